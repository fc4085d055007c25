-- +goose Up

-- Rows of a bucket that is elsewhere may lie here while it is moved: they have not arrived yet, or were left behind. What was
-- decided by whether a row is here is decided by its bucket too: such users are strangers, and such rows nobody's. Where a write
-- does not look, the guard refuses it.

-- is_held says that rows of a bucket can't be written here at the moment, for who passes over them.
CREATE FUNCTION is_held(p_bucket integer) RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT EXISTS (SELECT FROM elsewhere WHERE bucket = p_bucket)
		OR EXISTS (SELECT FROM move WHERE p_bucket = ANY (buckets) AND fenced > now()) $$;

-- +goose StatementBegin
-- forget_names lets go of a user's names, at home.
CREATE FUNCTION forget_names(p_user bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT is_elsewhere(0) THEN
		DELETE FROM handles WHERE user_id = p_user;
		DELETE FROM user_refs WHERE user_id = p_user;
	END IF;
END $$;

CREATE OR REPLACE FUNCTION lock_strangers(p_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	v bigint[];
BEGIN
	SELECT array_agg(DISTINCT a.id ORDER BY a.id) INTO v FROM unnest(p_ids) AS a (id) WHERE is_elsewhere(a.id);
	PERFORM pg_advisory_xact_lock_shared(user_lock(a.id)) FROM unnest(v) AS a (id);
	RETURN ARRAY(SELECT a.id FROM unnest(v) AS a (id) WHERE NOT EXISTS (SELECT FROM ended e WHERE e.id = a.id));
END $$;

CREATE OR REPLACE FUNCTION lock_pair(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here bigint[];
BEGIN
	SELECT array_agg(id) INTO v_here FROM (SELECT id FROM user_counts WHERE id IN (p_actor, p_target) AND NOT is_elsewhere(id)
		ORDER BY id FOR NO KEY UPDATE) AS locked;
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
	PERFORM FROM user_counts WHERE id = p_id AND NOT is_elsewhere(id) FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
END $$;

CREATE OR REPLACE FUNCTION claim_key(p_key bytea, p_hash bytea, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO claims (key, hash, created_at) VALUES (p_key, p_hash, now_or(p_at))
	ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, status = 0, answer = NULL
		WHERE claims.subject = 0;
	IF NOT FOUND THEN
		IF (SELECT is_elsewhere(subject) FROM claims WHERE key = p_key) THEN
			PERFORM refuse('FR005', 'claim', '');
		END IF;
		PERFORM refuse('FR003', 'claim', '');
	END IF;
END $$;

CREATE OR REPLACE FUNCTION update_user(p_id bigint, p_handle text, p_key text, p_name text, p_bio text, p_avatar_url text, p_email text)
	RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	old users;
	u users;
BEGIN
	SELECT * INTO old FROM users WHERE id = p_id AND NOT is_elsewhere(id) FOR NO KEY UPDATE;
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

CREATE OR REPLACE FUNCTION end_follow(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	DELETE FROM follows WHERE follower = p_actor AND followee = p_target RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF is_elsewhere(p_target) THEN
		PERFORM tell(2, p_actor, p_target, v_id);
	ELSE
		DELETE FROM followers WHERE followee = p_target AND id = v_id AND follower = p_actor;
		IF FOUND THEN
			UPDATE user_counts SET followers = followers - 1 WHERE id = p_target;
		END IF;
	END IF;
	UPDATE user_counts SET following = following - 1 WHERE id = p_actor;
	PERFORM emit_change(3, p_actor, p_target);
	RETURN true;
END $$;

CREATE OR REPLACE FUNCTION create_post(p_author bigint, p_ref text, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_head bigint;
BEGIN
	SELECT head INTO v_head FROM user_counts WHERE id = p_author AND NOT is_elsewhere(id) FOR NO KEY UPDATE;
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

CREATE OR REPLACE FUNCTION edit_post(p_author bigint, p_id bigint, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_text text;
	v_data bytea;
BEGIN
	SELECT * INTO p FROM posts WHERE id = p_id AND author = p_author AND NOT is_elsewhere(id) FOR NO KEY UPDATE;
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

CREATE OR REPLACE FUNCTION need_post(p_actor bigint, p_post bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_author bigint;
BEGIN
	PERFORM FROM user_counts WHERE id = p_actor AND NOT is_elsewhere(id) FOR KEY SHARE;
	IF NOT FOUND AND cardinality(lock_strangers(ARRAY[p_actor])) = 0 THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	SELECT author INTO v_author FROM post_counts WHERE id = p_post AND NOT is_elsewhere(id) FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_post, 'post');
	END IF;
	RETURN v_author;
END $$;

CREATE OR REPLACE FUNCTION like_many(p_on boolean, p_actors bigint[], p_posts bigint[], p_at timestamptz)
	RETURNS TABLE (missing text, likes bigint, changed boolean) LANGUAGE plpgsql AS $$
DECLARE
	millis bigint := floor(extract(epoch FROM now_or(p_at)) * 1000)::bigint - 946684800000;
	v_part boolean := EXISTS (SELECT FROM elsewhere) OR EXISTS (SELECT FROM move WHERE fenced > now());
	v_strangers bigint[] := '{}';
	v_missing text[];
	v_posts bigint[];
	v_users bigint[];
BEGIN
	-- Each user, then each post, once and in order: no two calls wait for each other, nor for who erases and deletes.
	PERFORM FROM user_counts WHERE id = ANY (p_actors) ORDER BY id FOR KEY SHARE;
	IF v_part THEN
		v_strangers := lock_strangers(p_actors);
	END IF;
	PERFORM FROM post_counts WHERE id = ANY (p_posts) ORDER BY id FOR NO KEY UPDATE;
	SELECT array_agg(CASE WHEN (u.id IS NULL OR v_part AND is_elsewhere(u.id)) AND a.actor <> ALL (v_strangers) THEN 'user'
			WHEN v_part AND is_held(bucket_of(a.post)) THEN 'moved'
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

CREATE OR REPLACE FUNCTION neighbors_of(p_user bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
	SELECT followee FROM follows WHERE follower = p_user
	UNION SELECT follower FROM followers WHERE followee = p_user
	UNION SELECT blocked FROM blocks WHERE blocker = p_user
	UNION SELECT blocker FROM blocked_by WHERE blocked = p_user
	UNION SELECT muted FROM mutes WHERE muter = p_user
	UNION SELECT muter FROM mutes WHERE muted = p_user AND NOT is_elsewhere(muter)
$$;

CREATE OR REPLACE FUNCTION begin_erasure(p_user bigint) RETURNS SETOF sessions LANGUAGE plpgsql AS $$
DECLARE
	v_ref text;
BEGIN
	SELECT ref INTO v_ref FROM users WHERE id = p_user; -- it never changes
	IF v_ref <> '' THEN
		PERFORM lock_ref(v_ref);
	END IF;
	PERFORM FROM users WHERE id = p_user FOR UPDATE;
	-- Neighbors with it, in the order of all who lock several. Those who come until it is locked alone are locked after it.
	PERFORM FROM user_counts WHERE id = ANY (ARRAY(SELECT neighbors_of(p_user)) || p_user) ORDER BY id FOR NO KEY UPDATE;
	PERFORM FROM user_counts WHERE id = p_user AND NOT is_elsewhere(id) FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_user, 'user');
	END IF;
	PERFORM pg_advisory_xact_lock(user_lock(p_user)); -- writes that began while the user was elsewhere
	RETURN QUERY SELECT * FROM end_sessions(p_user);
END $$;

CREATE OR REPLACE FUNCTION erase_user(p_user bigint, OUT posts bigint[], OUT neighbors bigint[], OUT parents bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	v bigint;
BEGIN
	SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO neighbors FROM neighbors_of(p_user) AS id;
	PERFORM FROM user_counts WHERE id = ANY (neighbors) ORDER BY id FOR NO KEY UPDATE;
	INSERT INTO ended (id) VALUES (p_user) ON CONFLICT DO NOTHING; -- before a look at where others are: no bucket leaves from here on
	IF EXISTS (SELECT FROM elsewhere) THEN
		PERFORM tell(2, p_user, f.followee, f.id) FROM follows f WHERE f.follower = p_user AND is_elsewhere(f.followee);
		PERFORM tell(5, p_user, 0, 0, ARRAY(SELECT id FROM unnest(neighbors) AS id WHERE is_elsewhere(id)));
	END IF;
	UPDATE user_counts SET followers = followers - 1 WHERE id IN (SELECT followee FROM follows WHERE follower = p_user) AND NOT is_elsewhere(id);
	UPDATE user_counts SET following = following - 1 WHERE id IN (SELECT follower FROM followers WHERE followee = p_user) AND NOT is_elsewhere(id);
	DELETE FROM followers m USING follows f WHERE f.follower = p_user AND m.followee = f.followee AND m.id = f.id AND m.follower = p_user
		AND NOT is_elsewhere(m.followee);
	DELETE FROM follows f USING followers m WHERE m.followee = p_user AND f.follower = m.follower AND f.followee = p_user
		AND NOT is_elsewhere(f.follower);
	DELETE FROM follows WHERE follower = p_user;
	DELETE FROM followers WHERE followee = p_user;
	DELETE FROM blocked_by m USING blocks b WHERE b.blocker = p_user AND m.blocked = b.blocked AND m.blocker = p_user
		AND NOT is_elsewhere(m.blocked);
	DELETE FROM blocks b USING blocked_by m WHERE m.blocked = p_user AND b.blocker = m.blocker AND b.blocked = p_user
		AND NOT is_elsewhere(b.blocker);
	DELETE FROM blocks WHERE blocker = p_user;
	DELETE FROM blocked_by WHERE blocked = p_user;
	DELETE FROM mutes WHERE muter = p_user;
	DELETE FROM mutes WHERE muted = p_user AND NOT is_elsewhere(muter);

	SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO posts FROM freshet.posts WHERE author = p_user;
	PERFORM forget_posts(erase_user.posts);
	DELETE FROM freshet.posts WHERE author = p_user;
	DELETE FROM post_refs WHERE author = p_user;
	FOREACH v IN ARRAY erase_user.posts LOOP
		PERFORM emit_change(8, v, p_user);
	END LOOP;
	parents := forget_reactions(p_user);

	PERFORM forget_names(p_user);
	DELETE FROM users WHERE id = p_user;
	DELETE FROM user_counts WHERE id = p_user;
	PERFORM emit_change(2, p_user, 0, neighbors);
END $$;

CREATE OR REPLACE FUNCTION forget_reactions(p_user bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	v bigint;
	liked bigint[];
	commented bigint[];
BEGIN
	SELECT coalesce(array_agg(post ORDER BY post), '{}') INTO liked FROM likes WHERE user_id = p_user AND NOT is_elsewhere(post);
	SELECT coalesce(array_agg(DISTINCT post ORDER BY post), '{}') INTO commented FROM comments WHERE author = p_user
		AND NOT is_elsewhere(post);
	PERFORM FROM post_counts WHERE id = ANY (liked || commented) ORDER BY id FOR NO KEY UPDATE;
	WITH gone AS (DELETE FROM likes WHERE user_id = p_user AND NOT is_elsewhere(post) RETURNING post)
		UPDATE post_counts c SET likes = c.likes - 1 FROM gone WHERE c.id = gone.post;
	WITH gone AS (DELETE FROM comments WHERE author = p_user AND NOT is_elsewhere(post) RETURNING post)
		UPDATE post_counts c SET comments = c.comments - mine.n FROM (SELECT post, count(*) AS n FROM gone GROUP BY post) AS mine WHERE c.id = mine.post;
	FOREACH v IN ARRAY liked LOOP
		PERFORM emit_change(9, v, p_user);
	END LOOP;
	FOREACH v IN ARRAY commented LOOP
		PERFORM emit_change(10, v, 0);
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT id FROM unnest(liked || commented) AS id ORDER BY id);
END $$;

CREATE OR REPLACE FUNCTION need_target(p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF is_elsewhere(p_target) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	RETURN EXISTS (SELECT FROM user_counts WHERE id = p_target);
END $$;

CREATE OR REPLACE FUNCTION apply_erasure(p_user bigint, p_also bigint[], OUT parents bigint[], OUT neighbors bigint[]) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ended (id) VALUES (p_user) ON CONFLICT DO NOTHING;
	neighbors := ARRAY(SELECT id FROM user_counts WHERE id = ANY (p_also) AND NOT is_elsewhere(id)
		UNION SELECT muter FROM mutes WHERE muted = p_user AND NOT is_elsewhere(muter) ORDER BY 1);
	WITH gone AS (DELETE FROM follows WHERE follower = ANY (neighbors) AND followee = p_user RETURNING follower)
		UPDATE user_counts c SET following = c.following - 1 FROM gone WHERE c.id = gone.follower;
	WITH gone AS (DELETE FROM followers WHERE followee = ANY (neighbors) AND follower = p_user RETURNING followee)
		UPDATE user_counts c SET followers = c.followers - mine.n
			FROM (SELECT followee, count(*) AS n FROM gone GROUP BY followee) AS mine WHERE c.id = mine.followee;
	DELETE FROM blocks WHERE blocker = ANY (neighbors) AND blocked = p_user;
	DELETE FROM blocked_by WHERE blocked = ANY (neighbors) AND blocker = p_user;
	DELETE FROM mutes WHERE muted = p_user AND NOT is_elsewhere(muter);
	parents := forget_reactions(p_user);
	PERFORM forget_names(p_user);
	PERFORM emit_change(2, p_user, 0, neighbors);
END $$;

CREATE OR REPLACE FUNCTION apply_mirrors(p_ids bigint[], p_kinds integer[], p_actors bigint[], p_targets bigint[], p_edges bigint[], p_also bigint[],
	p_ends integer[], p_at timestamptz) RETURNS TABLE (refused boolean, parents bigint[], neighbors bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	v_new bigint[];
	i integer;
BEGIN
	DELETE FROM mirrored WHERE id IN (SELECT m.id FROM mirrored m WHERE m.at < now_or(p_at) - interval '25 hours' AND NOT is_held(m.bucket)
		ORDER BY m.at LIMIT 1000 FOR UPDATE SKIP LOCKED);
	IF EXISTS (SELECT FROM unnest(p_kinds, p_targets) AS a (kind, target) WHERE a.kind <> 5 AND is_elsewhere(a.target)) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	PERFORM FROM user_counts WHERE id = ANY (p_actors || p_targets || p_also) ORDER BY id FOR NO KEY UPDATE;
	PERFORM pg_advisory_xact_lock(user_lock(e.actor)) FROM (SELECT DISTINCT a.actor FROM unnest(p_kinds, p_actors) AS a (kind, actor)
		WHERE a.kind = 5 ORDER BY a.actor) AS e;
	-- Writes that began while such a user was here have locked the row that was left behind.
	PERFORM FROM user_counts WHERE id IN (SELECT a.actor FROM unnest(p_kinds, p_actors) AS a (kind, actor) WHERE a.kind = 5) ORDER BY id FOR UPDATE;
	WITH added AS (INSERT INTO mirrored AS m (id, bucket, refused, at)
		SELECT DISTINCT ON (a.id) a.id, CASE a.kind WHEN 5 THEN -1 ELSE bucket_of(a.target) END, false, now_or(p_at)
		FROM unnest(p_ids, p_kinds, p_targets) AS a (id, kind, target) ORDER BY a.id ON CONFLICT DO NOTHING RETURNING m.id)
		SELECT coalesce(array_agg(added.id), '{}') INTO v_new FROM added;
	FOR i IN 1 .. cardinality(p_ids) LOOP
		parents := '{}';
		neighbors := '{}';
		IF p_ids[i] = ANY (v_new) THEN
			v_new := array_remove(v_new, p_ids[i]);
			refused := CASE p_kinds[i]
				WHEN 1 THEN apply_follow(p_actors[i], p_targets[i], p_edges[i])
				WHEN 2 THEN apply_follow_end(p_actors[i], p_targets[i], p_edges[i])
				WHEN 3 THEN apply_block(p_actors[i], p_targets[i], p_edges[i])
				WHEN 4 THEN apply_block_end(p_actors[i], p_targets[i], p_edges[i])
				ELSE false END;
			IF p_kinds[i] = 5 THEN
				SELECT e.parents, e.neighbors INTO parents, neighbors
					FROM apply_erasure(p_actors[i], p_also[coalesce(p_ends[i - 1], 0) + 1 : p_ends[i]]) AS e;
			ELSIF refused THEN
				UPDATE mirrored m SET refused = true WHERE m.id = p_ids[i];
			END IF;
		ELSE
			SELECT m.refused INTO refused FROM mirrored m WHERE m.id = p_ids[i];
		END IF;
		RETURN NEXT;
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION settle_mirrors(p_ids bigint[], p_refused boolean[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	m record;
BEGIN
	PERFORM FROM user_counts WHERE id = ANY (ARRAY(SELECT t.actor FROM mirrors t WHERE t.id = ANY (p_ids))) ORDER BY id FOR NO KEY UPDATE;
	FOR m IN WITH gone AS (DELETE FROM mirrors t USING unnest(p_ids, p_refused) AS a (id, refused) WHERE t.id = a.id AND NOT is_elsewhere(t.actor)
		RETURNING t.kind, t.actor, t.target, t.edge, a.refused) SELECT * FROM gone WHERE gone.refused LOOP
		IF m.kind = 1 THEN
			DELETE FROM follows WHERE follower = m.actor AND followee = m.target AND id = m.edge;
			IF FOUND THEN
				UPDATE user_counts SET following = following - 1 WHERE id = m.actor;
				PERFORM emit_change(3, m.actor, m.target);
			END IF;
		ELSIF m.kind = 3 THEN
			DELETE FROM blocks WHERE blocker = m.actor AND blocked = m.target AND id = m.edge;
			IF FOUND THEN
				PERFORM emit_change(4, m.actor, m.target);
			END IF;
		END IF;
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION create_named(p_id bigint, p_handle text, p_ref text, p_name text, p_avatar_url text, p_email text, p_password_hash text,
	p_admin boolean, p_at timestamptz) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	u users;
BEGIN
	IF is_elsewhere(p_id) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	PERFORM use_claim(p_id, p_id);
	IF EXISTS (SELECT FROM ended WHERE id = p_id) THEN -- so an ended claim comes from another part
		PERFORM refuse('FR002', 'handle', 'is taken: its claim was ended');
	END IF;
	u.id := p_id; u.created_at := date_trunc('microseconds', now_or(p_at));
	u.handle := p_handle; u.ref := p_ref; u.name := p_name; u.bio := ''; u.avatar_url := p_avatar_url; u.email := p_email;
	u.password_hash := p_password_hash; u.admin := p_admin;
	INSERT INTO users SELECT u.*;
	INSERT INTO user_counts (id) VALUES (u.id);
	PERFORM made(u.id), emit_change(1, u.id, 0);
	RETURN u;
END $$;

CREATE OR REPLACE FUNCTION update_named(p_id bigint, p_claim bigint, p_handle text, p_name text, p_bio text, p_avatar_url text, p_email text)
	RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	before users;
	u users;
BEGIN
	SELECT * INTO before FROM users WHERE id = p_id AND NOT is_elsewhere(id) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
	IF p_claim <> 0 THEN
		PERFORM use_claim(p_claim, p_id);
	END IF;
	u := before;
	u.handle := coalesce(p_handle, before.handle); u.name := coalesce(p_name, before.name); u.bio := coalesce(p_bio, before.bio);
	u.avatar_url := coalesce(p_avatar_url, before.avatar_url); u.email := coalesce(p_email, before.email);
	IF u IS DISTINCT FROM before THEN
		UPDATE users SET handle = u.handle, name = u.name, bio = u.bio, avatar_url = u.avatar_url, email = u.email WHERE id = p_id;
		PERFORM emit_change(1, p_id, 0);
	END IF;
	RETURN u;
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
