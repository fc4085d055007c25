-- +goose Up

-- A database may be a part: it holds some of the buckets, and others hold the rest (store.Part). Where it holds all, the tables
-- here are empty, but for what they remember of erasures, and no write looks at them unless it misses a row.

CREATE TABLE elsewhere (
	bucket integer PRIMARY KEY
);

-- What other parts are to be told. Rows about the same two users are inserted under the lock of the one who is here, so seq is
-- in the order of their facts.
CREATE TABLE mirrors (
	seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id     bigint NOT NULL UNIQUE,
	kind   integer NOT NULL, -- store.MirrorKind
	actor  bigint NOT NULL,
	target bigint NOT NULL,
	edge   bigint NOT NULL,
	also   bigint[] NOT NULL
);

-- What other parts told, and what came of it.
CREATE TABLE mirrored (
	id      bigint PRIMARY KEY,
	refused boolean NOT NULL,
	at      timestamptz NOT NULL
);
CREATE INDEX mirrored_at ON mirrored (at); -- for the purge

-- Users who were erased, here or elsewhere.
CREATE TABLE ended (
	id bigint PRIMARY KEY
);

-- A block's end takes away the mirror of that block, not of a later one.
ALTER TABLE blocked_by ADD COLUMN id bigint NOT NULL DEFAULT 0;
UPDATE blocked_by m SET id = b.id FROM blocks b WHERE b.blocker = m.blocker AND b.blocked = m.blocked;

-- refuse knows one class more: FR005 moved, for a write that belongs to a bucket which is elsewhere.

-- +goose StatementBegin
CREATE FUNCTION is_elsewhere(p_id bigint) RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT EXISTS (SELECT FROM elsewhere WHERE bucket = bucket_of(p_id)) $$;

-- refuse_missing refuses because of a row that is not here.
CREATE FUNCTION refuse_missing(p_id bigint, p_what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM refuse(CASE WHEN is_elsewhere(p_id) THEN 'FR005' ELSE 'FR001' END, p_what, '');
END $$;

-- refuse_names refuses where handles and refs are not here. They are at home, with bucket 0.
CREATE FUNCTION refuse_names() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF is_elsewhere(0) THEN
		PERFORM refuse('FR005', 'handle', '');
	END IF;
END $$;

-- user_lock is the advisory lock that stands for the row of a user who is elsewhere: shared by writes that take the user to
-- exist, alone for the erasure. It comes after the rows of users who are here.
CREATE FUNCTION user_lock(p_id bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT hashtextextended('user ' || p_id, 0) $$;

-- lock_strangers gives those of the users who are elsewhere and taken to exist; none is erased here before this write ends.
CREATE FUNCTION lock_strangers(p_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	v bigint[];
BEGIN
	SELECT array_agg(DISTINCT a.id ORDER BY a.id) INTO v FROM unnest(p_ids) AS a (id)
		WHERE is_elsewhere(a.id) AND NOT EXISTS (SELECT FROM user_counts c WHERE c.id = a.id);
	PERFORM pg_advisory_xact_lock_shared(user_lock(a.id)) FROM unnest(v) AS a (id);
	RETURN ARRAY(SELECT a.id FROM unnest(v) AS a (id) WHERE NOT EXISTS (SELECT FROM ended e WHERE e.id = a.id));
END $$;

-- lock_pair locks two users in the order of their ids, and tells whether the second is here. The first must be.
CREATE FUNCTION lock_pair(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here bigint[];
BEGIN
	SELECT array_agg(id) INTO v_here FROM (SELECT id FROM user_counts WHERE id IN (p_actor, p_target) ORDER BY id FOR NO KEY UPDATE) AS locked;
	IF cardinality(v_here) = 2 THEN
		RETURN true;
	END IF;
	IF p_actor = ANY (v_here) IS NOT TRUE THEN
		PERFORM refuse_missing(p_actor, 'user');
	END IF;
	IF cardinality(lock_strangers(ARRAY[p_target])) = 0 THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	RETURN false;
END $$;

CREATE OR REPLACE FUNCTION need_user(p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM user_counts WHERE id = p_id FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
END $$;

-- tell writes a mirror. Its id is above the edge's, also where the clock went back.
CREATE FUNCTION tell(p_kind integer, p_actor bigint, p_target bigint, p_edge bigint, p_also bigint[] DEFAULT '{}') RETURNS void LANGUAGE sql AS
	$$ INSERT INTO mirrors (id, kind, actor, target, edge, also)
		VALUES (next_id(bucket_of(p_actor), p_edge, NULL), p_kind, p_actor, p_target, p_edge, p_also) $$;

-- Users

CREATE OR REPLACE FUNCTION add_user(p_handle text, p_key text, p_ref text, p_bucket integer, p_name text, p_avatar_url text, p_email text,
	p_password_hash text, p_admin boolean, p_at timestamptz) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	u users;
BEGIN
	u.created_at := date_trunc('microseconds', now_or(p_at));
	u.id := next_id(p_bucket, 0, p_at);
	u.handle := p_handle;
	IF is_elsewhere(u.id) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	IF p_ref <> '' THEN
		PERFORM lock_ref(p_ref);
		INSERT INTO user_refs (ref, user_id) VALUES (p_ref, u.id) ON CONFLICT DO NOTHING;
		IF NOT FOUND THEN
			PERFORM refuse('FR002', 'ref', 'is taken');
		END IF;
	END IF;
	LOOP
		IF p_handle = '' THEN
			u.handle := 'u' || u.id;
		END IF;
		INSERT INTO handles (handle, user_id) VALUES (CASE WHEN p_handle = '' THEN u.handle ELSE p_key END, u.id) ON CONFLICT DO NOTHING;
		EXIT WHEN FOUND;
		IF p_handle <> '' THEN
			PERFORM refuse('FR002', 'handle', 'is taken');
		END IF;
		u.id := next_id(p_bucket, 0, p_at); -- somebody is called like that
		UPDATE user_refs SET user_id = u.id WHERE ref = p_ref;
	END LOOP;
	u.ref := p_ref; u.name := p_name; u.bio := ''; u.avatar_url := p_avatar_url; u.email := p_email;
	u.password_hash := p_password_hash; u.admin := p_admin;
	INSERT INTO users SELECT u.*;
	INSERT INTO user_counts (id) VALUES (u.id);
	PERFORM made(u.id);
	RETURN u;
END $$;

-- update_user changes what is not null. What is taken of names is decided here, at home.
CREATE OR REPLACE FUNCTION update_user(p_id bigint, p_handle text, p_key text, p_name text, p_bio text, p_avatar_url text, p_email text)
	RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	old users;
	u users;
BEGIN
	SELECT * INTO old FROM users WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
	u := old;
	u.handle := coalesce(p_handle, old.handle); u.name := coalesce(p_name, old.name); u.bio := coalesce(p_bio, old.bio);
	u.avatar_url := coalesce(p_avatar_url, old.avatar_url); u.email := coalesce(p_email, old.email);
	IF u IS NOT DISTINCT FROM old THEN
		RETURN u;
	END IF;
	IF u.handle <> old.handle THEN
		PERFORM refuse_names();
		INSERT INTO handles (handle, user_id) VALUES (p_key, p_id) ON CONFLICT (handle) DO UPDATE SET user_id = handles.user_id
			WHERE handles.user_id = p_id;
		IF NOT FOUND THEN
			PERFORM refuse('FR002', 'handle', 'is taken');
		END IF;
		DELETE FROM handles WHERE user_id = p_id AND handle = lower(old.handle) AND handle <> p_key;
	END IF;
	UPDATE users SET handle = u.handle, name = u.name, bio = u.bio, avatar_url = u.avatar_url, email = u.email WHERE id = p_id;
	PERFORM emit_change(1, p_id, 0);
	RETURN u;
END $$;

CREATE OR REPLACE FUNCTION set_password(p_user bigint, p_hash text, p_admin boolean) RETURNS SETOF sessions LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET password_hash = p_hash, admin = admin OR p_admin WHERE id = p_user;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_user, 'user');
	END IF;
	PERFORM emit_change(1, p_user, 0);
	RETURN QUERY SELECT * FROM end_sessions(p_user);
END $$;

-- Edges

CREATE OR REPLACE FUNCTION follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here boolean := lock_pair(p_actor, p_target);
	v_id bigint;
BEGIN
	PERFORM need_apart(p_actor, p_target, 'user');
	IF v_here THEN
		IF NOT add_follow(p_actor, p_target, p_at) THEN
			RETURN false;
		END IF;
		UPDATE user_counts SET followers = followers + 1 WHERE id = p_target;
	ELSE
		SELECT coalesce(max(id), 0) INTO v_id FROM follows WHERE follower = p_actor;
		INSERT INTO follows (follower, followee, id) VALUES (p_actor, p_target, next_id(bucket_of(p_actor), v_id, p_at))
			ON CONFLICT DO NOTHING RETURNING id INTO v_id;
		IF NOT FOUND THEN
			RETURN false;
		END IF;
		PERFORM tell(1, p_actor, p_target, v_id);
	END IF;
	UPDATE user_counts SET following = following + 1 WHERE id = p_actor;
	PERFORM emit_change(3, p_actor, p_target);
	RETURN true;
END $$;

-- end_follow ends a follow of an actor who is here.
CREATE OR REPLACE FUNCTION end_follow(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	DELETE FROM follows WHERE follower = p_actor AND followee = p_target RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	DELETE FROM followers WHERE followee = p_target AND id = v_id AND follower = p_actor;
	IF FOUND THEN
		UPDATE user_counts SET followers = followers - 1 WHERE id = p_target;
	ELSIF is_elsewhere(p_target) THEN
		PERFORM tell(2, p_actor, p_target, v_id);
	END IF;
	UPDATE user_counts SET following = following - 1 WHERE id = p_actor;
	PERFORM emit_change(3, p_actor, p_target);
	RETURN true;
END $$;

CREATE OR REPLACE FUNCTION unfollow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_pair(p_actor, p_target);
	RETURN end_follow(p_actor, p_target);
END $$;

-- block: the follow of a target who is elsewhere is ended by who applies the mirror.
CREATE OR REPLACE FUNCTION block(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here boolean := lock_pair(p_actor, p_target);
	v_id bigint;
BEGIN
	SELECT coalesce(max(id), 0) INTO v_id FROM blocks WHERE blocker = p_actor;
	INSERT INTO blocks (blocker, blocked, id) VALUES (p_actor, p_target, next_id(bucket_of(p_actor), v_id, p_at))
		ON CONFLICT DO NOTHING RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM end_follow(p_actor, p_target);
	IF v_here THEN
		INSERT INTO blocked_by (blocked, blocker, id) VALUES (p_target, p_actor, v_id);
		PERFORM end_follow(p_target, p_actor);
	ELSE
		PERFORM tell(3, p_actor, p_target, v_id);
	END IF;
	PERFORM emit_change(4, p_actor, p_target);
	RETURN true;
END $$;

CREATE OR REPLACE FUNCTION unblock(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here boolean := lock_pair(p_actor, p_target);
	v_id bigint;
BEGIN
	DELETE FROM blocks WHERE blocker = p_actor AND blocked = p_target RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF v_here THEN
		DELETE FROM blocked_by WHERE blocked = p_target AND blocker = p_actor;
	ELSE
		PERFORM tell(4, p_actor, p_target, v_id);
	END IF;
	PERFORM emit_change(4, p_actor, p_target);
	RETURN true;
END $$;

CREATE OR REPLACE FUNCTION mute(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	PERFORM lock_pair(p_actor, p_target);
	SELECT coalesce(max(id), 0) INTO v_id FROM mutes WHERE muter = p_actor;
	INSERT INTO mutes (muter, muted, id) VALUES (p_actor, p_target, next_id(bucket_of(p_actor), v_id, p_at)) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(5, p_actor, p_target);
	RETURN true;
END $$;

CREATE OR REPLACE FUNCTION unmute(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_pair(p_actor, p_target);
	DELETE FROM mutes WHERE muter = p_actor AND muted = p_target;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(5, p_actor, p_target);
	RETURN true;
END $$;

DROP FUNCTION lock_users;

-- Posts

CREATE OR REPLACE FUNCTION create_post(p_author bigint, p_ref text, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_head bigint;
BEGIN
	SELECT head INTO v_head FROM user_counts WHERE id = p_author FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_author, 'user');
	END IF;
	p.id := next_id(bucket_of(p_author), v_head, p_at);
	p.author := p_author; p.ref := p_ref; p.text := p_text; p.data := p_data;
	p.created_at := date_trunc('microseconds', now_or(p_at));
	IF p_ref <> '' THEN
		INSERT INTO post_refs (author, ref, post) VALUES (p_author, p_ref, p.id) ON CONFLICT DO NOTHING;
		IF NOT FOUND THEN
			PERFORM refuse('FR002', 'ref', 'was used for another post');
		END IF;
	END IF;
	INSERT INTO posts SELECT p.*;
	INSERT INTO post_counts (id, author) VALUES (p.id, p_author);
	UPDATE user_counts SET posts = posts + 1, head = p.id WHERE id = p_author;
	PERFORM made(p.id);
	PERFORM emit_change(6, p.id, p_author);
	RETURN p;
END $$;

-- edit_post changes what is not null.
CREATE OR REPLACE FUNCTION edit_post(p_author bigint, p_id bigint, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_text text;
	v_data bytea;
BEGIN
	SELECT * INTO p FROM posts WHERE id = p_id AND author = p_author FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'post');
	END IF;
	v_text := coalesce(p_text, p.text);
	v_data := CASE WHEN p_data IS NULL THEN p.data ELSE nullif(p_data, '') END;
	IF v_text = p.text AND v_data IS NOT DISTINCT FROM p.data THEN
		RETURN p;
	END IF;
	p.text := v_text; p.data := v_data; p.edited_at := date_trunc('microseconds', now_or(p_at));
	UPDATE posts SET text = p.text, data = p.data, edited_at = p.edited_at WHERE id = p_id;
	PERFORM emit_change(7, p_id, p_author);
	RETURN p;
END $$;

CREATE OR REPLACE FUNCTION delete_post(p_author bigint, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_ref text;
	v_head bigint;
BEGIN
	SELECT head INTO v_head FROM user_counts WHERE id = p_author FOR NO KEY UPDATE;
	DELETE FROM posts WHERE id = p_id AND author = p_author RETURNING ref INTO v_ref;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'post');
	END IF;
	PERFORM forget_posts(ARRAY[p_id]);
	IF v_ref <> '' THEN
		DELETE FROM post_refs WHERE author = p_author AND ref = v_ref;
	END IF;
	IF v_head = p_id THEN
		SELECT coalesce(max(id), 0) INTO v_head FROM posts WHERE author = p_author;
	END IF;
	UPDATE user_counts SET posts = posts - 1, head = v_head WHERE id = p_author;
	PERFORM emit_change(8, p_id, p_author);
END $$;

-- Reactions. Who reacts may be elsewhere; the post is here.

CREATE OR REPLACE FUNCTION need_post(p_actor bigint, p_post bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_author bigint;
BEGIN
	PERFORM FROM user_counts WHERE id = p_actor FOR KEY SHARE;
	IF NOT FOUND AND cardinality(lock_strangers(ARRAY[p_actor])) = 0 THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	SELECT author INTO v_author FROM post_counts WHERE id = p_post FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_post, 'post');
	END IF;
	RETURN v_author;
END $$;

CREATE OR REPLACE FUNCTION delete_comment(p_actor bigint, p_id bigint) RETURNS comments LANGUAGE plpgsql AS $$
DECLARE
	c comments;
BEGIN
	DELETE FROM comments d WHERE id = p_id AND (author = p_actor OR p_actor = (SELECT author FROM post_counts p WHERE p.id = d.post))
		RETURNING * INTO c;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'comment');
	END IF;
	UPDATE post_counts SET comments = comments - 1 WHERE id = c.post;
	PERFORM emit_change(10, c.post, p_id);
	RETURN c;
END $$;

-- like_many tells in missing also that a post's bucket is elsewhere: 'moved'.
CREATE OR REPLACE FUNCTION like_many(p_on boolean, p_actors bigint[], p_posts bigint[], p_at timestamptz)
	RETURNS TABLE (missing text, likes bigint, changed boolean) LANGUAGE plpgsql AS $$
DECLARE
	millis bigint := floor(extract(epoch FROM now_or(p_at)) * 1000)::bigint - 946684800000;
	v_here integer;
	v_strangers bigint[] := '{}';
	v_missing text[];
	v_posts bigint[];
	v_users bigint[];
BEGIN
	-- Each user, then each post, once and in order: no two calls wait for each other, nor for who erases and deletes.
	PERFORM FROM user_counts WHERE id = ANY (p_actors) ORDER BY id FOR KEY SHARE;
	GET DIAGNOSTICS v_here = ROW_COUNT;
	IF v_here < cardinality(p_actors) AND EXISTS (SELECT FROM elsewhere) THEN -- one is not here, or comes twice
		v_strangers := lock_strangers(p_actors);
	END IF;
	PERFORM FROM post_counts WHERE id = ANY (p_posts) ORDER BY id FOR NO KEY UPDATE;
	SELECT array_agg(CASE WHEN u.id IS NULL AND a.actor <> ALL (v_strangers) THEN 'user'
			WHEN c.id IS NULL AND is_elsewhere(a.post) THEN 'moved'
			WHEN c.id IS NULL OR p_on AND (EXISTS (SELECT FROM blocks b WHERE b.blocker = c.author AND b.blocked = a.actor)
				OR EXISTS (SELECT FROM blocked_by b WHERE b.blocked = c.author AND b.blocker = a.actor)) THEN 'post'
			ELSE '' END ORDER BY a.place)
		INTO v_missing FROM unnest(p_actors, p_posts) WITH ORDINALITY AS a (actor, post, place)
		LEFT JOIN user_counts u ON u.id = a.actor LEFT JOIN post_counts c ON c.id = a.post;
	IF p_on THEN
		WITH done AS (INSERT INTO likes AS l (post, user_id, id)
			SELECT a.post, a.actor, (millis << 22) | (a.post & (1023 << 12)) | nextval('id_sequence') FROM unnest(p_actors, p_posts, v_missing) AS a (actor, post, missing)
			WHERE a.missing = '' ON CONFLICT DO NOTHING RETURNING l.post, l.user_id)
		SELECT array_agg(d.post), array_agg(d.user_id) INTO v_posts, v_users FROM done d;
	ELSE
		WITH done AS (DELETE FROM likes l USING unnest(p_actors, p_posts, v_missing) AS a (actor, post, missing)
			WHERE a.missing = '' AND l.post = a.post AND l.user_id = a.actor RETURNING l.post, l.user_id)
		SELECT array_agg(d.post), array_agg(d.user_id) INTO v_posts, v_users FROM done d;
	END IF;
	IF v_posts IS NOT NULL THEN
		PERFORM mark_changed();
		PERFORM pg_logical_emit_message(true, 'freshet', '9 ' || d.post || ' ' || d.user_id) FROM unnest(v_posts, v_users) AS d (post, user_id);
		UPDATE post_counts c SET likes = c.likes + CASE WHEN p_on THEN d.n ELSE -d.n END
			FROM (SELECT post, count(*) AS n FROM unnest(v_posts) AS post GROUP BY post) AS d WHERE c.id = d.post;
	END IF;
	RETURN QUERY SELECT a.missing, coalesce(c.likes, 0), d.post IS NOT NULL
		FROM unnest(p_actors, p_posts, v_missing) WITH ORDINALITY AS a (actor, post, missing, place)
		LEFT JOIN post_counts c ON c.id = a.post
		LEFT JOIN unnest(v_posts, v_users) AS d (post, user_id) ON d.post = a.post AND d.user_id = a.actor
		ORDER BY a.place;
END $$;

-- Access: a session lies with its user.

CREATE OR REPLACE FUNCTION touch_session(p_id bigint, p_used timestamptz, p_expires timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE sessions SET used_at = p_used, expires_at = p_expires WHERE id = p_id;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'session');
	END IF;
END $$;

CREATE OR REPLACE FUNCTION end_session(p_user bigint, p_id bigint) RETURNS sessions LANGUAGE plpgsql AS $$
DECLARE
	s sessions;
BEGIN
	DELETE FROM sessions WHERE id = p_id AND user_id = p_user RETURNING * INTO s;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_user, 'session');
	END IF;
	PERFORM emit_change(11, p_id, p_user);
	RETURN s;
END $$;

-- An import makes users, so it is for a database that holds all buckets.
CREATE OR REPLACE FUNCTION lock_imported(p_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM user_counts WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE;
	IF EXISTS (SELECT FROM unnest(p_ids) AS id WHERE NOT EXISTS (SELECT FROM user_counts c WHERE c.id = id.id)) THEN
		IF EXISTS (SELECT FROM elsewhere) THEN
			PERFORM refuse('FR005', 'user', '');
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'a user of the chunk was erased';
	END IF;
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
