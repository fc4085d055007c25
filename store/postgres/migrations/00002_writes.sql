-- +goose Up

-- The writes of package store, one function each: a write is one call, and so one flight. Each first locks, then decides,
-- then changes. Locks are taken in the order users (the rows of user_counts, by id), post, counts of the post; what still
-- deadlocks is repeated by the client. p_at is the time where the client sets one.

-- lock_users locks users in the order of their ids, and refuses where one is absent.
-- +goose StatementBegin
CREATE FUNCTION lock_users(VARIADIC p_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n integer;
BEGIN
	SELECT count(*) INTO n FROM (SELECT FROM user_counts WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE) AS locked;
	IF n < cardinality(p_ids) THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
END $$;

-- need_user refuses where a user is absent; it can't be erased before this write ends.
CREATE FUNCTION need_user(p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM user_counts WHERE id = p_id FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
END $$;

-- need_apart refuses with what was not found where a block stands between two users. It reads what the bucket of the first
-- one holds.
CREATE FUNCTION need_apart(p_home bigint, p_other bigint, p_what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM blocks WHERE blocker = p_home AND blocked = p_other)
		OR EXISTS (SELECT FROM blocked_by WHERE blocked = p_home AND blocker = p_other) THEN
		PERFORM refuse('FR001', p_what, '');
	END IF;
END $$;

-- claim_key takes an idempotency key for this write; another write under it waits until this one ends.
CREATE FUNCTION claim_key(p_key bytea, p_hash bytea, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO claims (key, hash, created_at) VALUES (p_key, p_hash, now_or(p_at))
	ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, status = 0, answer = NULL
		WHERE claims.subject = 0;
	IF NOT FOUND THEN
		PERFORM refuse('FR003', 'claim', '');
	END IF;
END $$;

CREATE FUNCTION keep_claim(p_key bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF made_id() <> 0 THEN
		UPDATE claims SET subject = made_id() WHERE key = p_key;
	END IF;
END $$;

-- Users. Handles come with their key (in lower case) and the bucket that follows from the name.

-- lock_ref makes those take turns who make or change the user of a ref. It comes before all other locks.
CREATE FUNCTION lock_ref(p_ref text) RETURNS void LANGUAGE sql AS
	$$ SELECT pg_advisory_xact_lock(hashtextextended('user_ref ' || p_ref, 0)) $$;

CREATE FUNCTION add_user(p_handle text, p_key text, p_ref text, p_bucket integer, p_name text, p_avatar_url text, p_email text,
	p_password_hash text, p_admin boolean, p_at timestamptz) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	u users;
BEGIN
	u.created_at := date_trunc('microseconds', now_or(p_at));
	u.id := next_id(p_bucket, 0, p_at);
	u.handle := p_handle;
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

CREATE FUNCTION create_user(p_handle text, p_key text, p_ref text, p_bucket integer, p_name text, p_avatar_url text, p_email text,
	p_password_hash text, p_admin boolean, p_at timestamptz) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	u users;
BEGIN
	u := add_user(p_handle, p_key, p_ref, p_bucket, p_name, p_avatar_url, p_email, p_password_hash, p_admin, p_at);
	PERFORM emit_change(1, u.id, 0);
	RETURN u;
END $$;

-- update_user changes what is not null.
CREATE FUNCTION update_user(p_id bigint, p_handle text, p_key text, p_name text, p_bio text, p_avatar_url text, p_email text)
	RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	old users;
	u users;
BEGIN
	SELECT * INTO old FROM users WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	u := old;
	u.handle := coalesce(p_handle, old.handle); u.name := coalesce(p_name, old.name); u.bio := coalesce(p_bio, old.bio);
	u.avatar_url := coalesce(p_avatar_url, old.avatar_url); u.email := coalesce(p_email, old.email);
	IF u IS NOT DISTINCT FROM old THEN
		RETURN u;
	END IF;
	IF u.handle <> old.handle THEN
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

-- upsert_user makes or changes the user of a ref.
CREATE FUNCTION upsert_user(p_handle text, p_key text, p_ref text, p_bucket integer, p_name text, p_avatar_url text, p_email text,
	p_password_hash text, p_admin boolean, p_at timestamptz, OUT u users, OUT created boolean) LANGUAGE plpgsql AS $$
DECLARE
	found_id bigint;
BEGIN
	PERFORM lock_ref(p_ref);
	SELECT user_id INTO found_id FROM user_refs WHERE ref = p_ref;
	created := NOT FOUND;
	IF created THEN
		u := create_user(p_handle, p_key, p_ref, p_bucket, p_name, p_avatar_url, p_email, p_password_hash, p_admin, p_at);
	ELSE
		u := update_user(found_id, nullif(p_handle, ''), p_key, nullif(p_name, ''), NULL, nullif(p_avatar_url, ''), nullif(p_email, ''));
	END IF;
END $$;

CREATE FUNCTION end_sessions(p_user bigint) RETURNS SETOF sessions LANGUAGE plpgsql AS $$
DECLARE
	s sessions;
BEGIN
	FOR s IN SELECT * FROM sessions WHERE user_id = p_user ORDER BY id FOR UPDATE LOOP
		DELETE FROM sessions WHERE id = s.id;
		PERFORM emit_change(11, s.id, p_user);
		RETURN NEXT s;
	END LOOP;
END $$;

CREATE FUNCTION set_password(p_user bigint, p_hash text, p_admin boolean) RETURNS SETOF sessions LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET password_hash = p_hash, admin = admin OR p_admin WHERE id = p_user;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	PERFORM emit_change(1, p_user, 0);
	RETURN QUERY SELECT * FROM end_sessions(p_user);
END $$;

-- Edges

CREATE FUNCTION add_follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
	n integer;
BEGIN
	SELECT coalesce(max(id), 0) INTO v_id FROM follows WHERE follower = p_actor;
	v_id := next_id(bucket_of(p_actor), v_id, p_at);
	INSERT INTO follows (follower, followee, id) VALUES (p_actor, p_target, v_id) ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n = 1 THEN
		INSERT INTO followers (followee, id, follower) VALUES (p_target, v_id, p_actor);
	END IF;
	RETURN n = 1;
END $$;

CREATE FUNCTION follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_users(p_actor, p_target);
	PERFORM need_apart(p_actor, p_target, 'user');
	IF NOT add_follow(p_actor, p_target, p_at) THEN
		RETURN false;
	END IF;
	UPDATE user_counts SET following = following + 1 WHERE id = p_actor;
	UPDATE user_counts SET followers = followers + 1 WHERE id = p_target;
	PERFORM emit_change(3, p_actor, p_target);
	RETURN true;
END $$;

CREATE FUNCTION end_follow(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	DELETE FROM follows WHERE follower = p_actor AND followee = p_target RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	DELETE FROM followers WHERE followee = p_target AND id = v_id AND follower = p_actor;
	UPDATE user_counts SET following = following - 1 WHERE id = p_actor;
	UPDATE user_counts SET followers = followers - 1 WHERE id = p_target;
	PERFORM emit_change(3, p_actor, p_target);
	RETURN true;
END $$;

CREATE FUNCTION unfollow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_users(p_actor, p_target);
	RETURN end_follow(p_actor, p_target);
END $$;

CREATE FUNCTION block(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	PERFORM lock_users(p_actor, p_target);
	SELECT coalesce(max(id), 0) INTO v_id FROM blocks WHERE blocker = p_actor;
	INSERT INTO blocks (blocker, blocked, id) VALUES (p_actor, p_target, next_id(bucket_of(p_actor), v_id, p_at)) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	INSERT INTO blocked_by (blocked, blocker) VALUES (p_target, p_actor);
	PERFORM end_follow(p_actor, p_target);
	PERFORM end_follow(p_target, p_actor);
	PERFORM emit_change(4, p_actor, p_target);
	RETURN true;
END $$;

CREATE FUNCTION unblock(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_users(p_actor, p_target);
	DELETE FROM blocks WHERE blocker = p_actor AND blocked = p_target;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	DELETE FROM blocked_by WHERE blocked = p_target AND blocker = p_actor;
	PERFORM emit_change(4, p_actor, p_target);
	RETURN true;
END $$;

CREATE FUNCTION mute(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	PERFORM lock_users(p_actor, p_target);
	SELECT coalesce(max(id), 0) INTO v_id FROM mutes WHERE muter = p_actor;
	INSERT INTO mutes (muter, muted, id) VALUES (p_actor, p_target, next_id(bucket_of(p_actor), v_id, p_at)) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(5, p_actor, p_target);
	RETURN true;
END $$;

CREATE FUNCTION unmute(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_users(p_actor, p_target);
	DELETE FROM mutes WHERE muter = p_actor AND muted = p_target;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(5, p_actor, p_target);
	RETURN true;
END $$;

-- Posts

CREATE FUNCTION create_post(p_author bigint, p_ref text, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_head bigint;
BEGIN
	SELECT head INTO v_head FROM user_counts WHERE id = p_author FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'user', '');
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
CREATE FUNCTION edit_post(p_author bigint, p_id bigint, p_text text, p_data bytea, p_at timestamptz) RETURNS posts LANGUAGE plpgsql AS $$
DECLARE
	p posts;
	v_text text;
	v_data bytea;
BEGIN
	SELECT * INTO p FROM posts WHERE id = p_id AND author = p_author FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'post', '');
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

-- forget_posts removes what hangs on posts, once who reacts to them at this moment has ended.
CREATE FUNCTION forget_posts(p_posts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM post_counts WHERE id = ANY (p_posts) ORDER BY id FOR UPDATE;
	DELETE FROM likes WHERE post = ANY (p_posts);
	DELETE FROM comments WHERE post = ANY (p_posts);
	DELETE FROM post_views WHERE post = ANY (p_posts);
	DELETE FROM post_view_hours WHERE post = ANY (p_posts);
	DELETE FROM post_readers WHERE post = ANY (p_posts);
	DELETE FROM post_counts WHERE id = ANY (p_posts);
END $$;

CREATE FUNCTION delete_post(p_author bigint, p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_ref text;
	v_head bigint;
BEGIN
	SELECT head INTO v_head FROM user_counts WHERE id = p_author FOR NO KEY UPDATE;
	DELETE FROM posts WHERE id = p_id AND author = p_author RETURNING ref INTO v_ref;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'post', '');
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

-- Reactions

-- need_post reads a post's author; the post can't be deleted before this write ends.
CREATE FUNCTION need_post(p_actor bigint, p_post bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_author bigint;
BEGIN
	PERFORM need_user(p_actor);
	SELECT author INTO v_author FROM post_counts WHERE id = p_post FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'post', '');
	END IF;
	RETURN v_author;
END $$;

CREATE FUNCTION like_post(p_actor bigint, p_post bigint, p_at timestamptz, OUT count bigint, OUT changed boolean) LANGUAGE plpgsql AS $$
DECLARE
	n integer;
BEGIN
	PERFORM need_apart(need_post(p_actor, p_post), p_actor, 'post');
	INSERT INTO likes (post, user_id, id) VALUES (p_post, p_actor, next_id(bucket_of(p_post), 0, p_at)) ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS n = ROW_COUNT;
	changed := n = 1;
	IF changed THEN
		UPDATE post_counts SET likes = likes + 1 WHERE id = p_post RETURNING likes INTO count;
		PERFORM emit_change(9, p_post, p_actor);
	ELSE
		SELECT likes INTO count FROM post_counts WHERE id = p_post;
	END IF;
END $$;

CREATE FUNCTION unlike_post(p_actor bigint, p_post bigint, OUT count bigint, OUT changed boolean) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM need_post(p_actor, p_post);
	DELETE FROM likes WHERE post = p_post AND user_id = p_actor;
	changed := FOUND;
	IF changed THEN
		UPDATE post_counts SET likes = likes - 1 WHERE id = p_post RETURNING likes INTO count;
		PERFORM emit_change(9, p_post, p_actor);
	ELSE
		SELECT likes INTO count FROM post_counts WHERE id = p_post;
	END IF;
END $$;

CREATE FUNCTION create_comment(p_author bigint, p_post bigint, p_text text, p_at timestamptz) RETURNS comments LANGUAGE plpgsql AS $$
DECLARE
	c comments;
	v_last bigint;
BEGIN
	PERFORM need_apart(need_post(p_author, p_post), p_author, 'post');
	-- The counter's row puts the comments of a post into the order of their commits.
	UPDATE post_counts SET comments = post_counts.comments + 1 WHERE id = p_post;
	SELECT coalesce(max(id), 0) INTO v_last FROM comments WHERE post = p_post;
	c.id := next_id(bucket_of(p_post), v_last, p_at);
	c.post := p_post; c.author := p_author; c.text := p_text; c.created_at := date_trunc('microseconds', now_or(p_at));
	INSERT INTO comments SELECT c.*;
	PERFORM made(c.id);
	PERFORM emit_change(10, p_post, c.id);
	RETURN c;
END $$;

-- delete_comment lets the comment's author or the post's author remove it.
CREATE FUNCTION delete_comment(p_actor bigint, p_id bigint) RETURNS comments LANGUAGE plpgsql AS $$
DECLARE
	c comments;
BEGIN
	DELETE FROM comments d WHERE id = p_id AND (author = p_actor OR p_actor = (SELECT author FROM post_counts p WHERE p.id = d.post))
		RETURNING * INTO c;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'comment', '');
	END IF;
	UPDATE post_counts SET comments = comments - 1 WHERE id = c.post;
	PERFORM emit_change(10, c.post, p_id);
	RETURN c;
END $$;

-- Access

CREATE FUNCTION create_session(p_user bigint, p_hash bytea, p_admin boolean, p_agent text, p_created timestamptz, p_used timestamptz,
	p_expires timestamptz, p_at timestamptz) RETURNS sessions LANGUAGE plpgsql AS $$
DECLARE
	s sessions;
BEGIN
	PERFORM need_user(p_user);
	INSERT INTO sessions (id, user_id, hash, admin, agent, created_at, used_at, expires_at)
	VALUES (next_id(bucket_of(p_user), 0, p_at), p_user, p_hash, p_admin, p_agent, coalesce(p_created, now_or(p_at)),
		coalesce(p_used, now_or(p_at)), p_expires) RETURNING * INTO s;
	PERFORM made(s.id), mark_changed();
	RETURN s;
END $$;

CREATE FUNCTION touch_session(p_id bigint, p_used timestamptz, p_expires timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE sessions SET used_at = p_used, expires_at = p_expires WHERE id = p_id;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'session', '');
	END IF;
END $$;

CREATE FUNCTION end_session(p_user bigint, p_id bigint) RETURNS sessions LANGUAGE plpgsql AS $$
DECLARE
	s sessions;
BEGIN
	DELETE FROM sessions WHERE id = p_id AND user_id = p_user RETURNING * INTO s;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'session', '');
	END IF;
	PERFORM emit_change(11, p_id, p_user);
	RETURN s;
END $$;

CREATE FUNCTION create_key(p_name text, p_hash bytea, p_admin boolean, p_created timestamptz, p_at timestamptz) RETURNS api_keys LANGUAGE plpgsql AS $$
DECLARE
	k api_keys;
BEGIN
	INSERT INTO api_keys (id, name, hash, admin, created_at)
	VALUES (next_id(0, 0, p_at), p_name, p_hash, p_admin, coalesce(p_created, now_or(p_at)))
	ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING RETURNING * INTO k;
	IF NOT FOUND THEN
		PERFORM refuse('FR002', 'name', 'is taken');
	END IF;
	RETURN k;
END $$;

CREATE FUNCTION revoke_key(p_name text, p_revoked timestamptz, p_at timestamptz) RETURNS api_keys LANGUAGE plpgsql AS $$
DECLARE
	k api_keys;
BEGIN
	UPDATE api_keys SET revoked_at = coalesce(p_revoked, now_or(p_at)) WHERE name = p_name AND revoked_at IS NULL RETURNING * INTO k;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'key', '');
	END IF;
	PERFORM emit_change(12, k.id, 0);
	RETURN k;
END $$;

-- neighbors_of are the users who have an edge to or from a user.
CREATE FUNCTION neighbors_of(p_user bigint) RETURNS SETOF bigint LANGUAGE sql AS $$
	SELECT followee FROM follows WHERE follower = p_user
	UNION SELECT follower FROM followers WHERE followee = p_user
	UNION SELECT blocked FROM blocks WHERE blocker = p_user
	UNION SELECT blocker FROM blocked_by WHERE blocked = p_user
	UNION SELECT muted FROM mutes WHERE muter = p_user
	UNION SELECT muter FROM mutes WHERE muted = p_user
$$;

-- begin_erasure locks a user, so that nothing new can belong to it, and ends its sessions.
CREATE FUNCTION begin_erasure(p_user bigint) RETURNS SETOF sessions LANGUAGE plpgsql AS $$
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
	PERFORM FROM user_counts WHERE id = p_user FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'user', '');
	END IF;
	RETURN QUERY SELECT * FROM end_sessions(p_user);
END $$;

-- erase_user removes a user and all that the user wrote, and names what it touched. It comes after begin_erasure.
CREATE FUNCTION erase_user(p_user bigint, OUT posts bigint[], OUT neighbors bigint[], OUT parents bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	v bigint;
	liked bigint[];
	commented bigint[];
BEGIN
	SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO neighbors FROM neighbors_of(p_user) AS id;
	PERFORM FROM user_counts WHERE id = ANY (neighbors) ORDER BY id FOR NO KEY UPDATE;
	UPDATE user_counts SET followers = followers - 1 WHERE id IN (SELECT followee FROM follows WHERE follower = p_user);
	UPDATE user_counts SET following = following - 1 WHERE id IN (SELECT follower FROM followers WHERE followee = p_user);
	DELETE FROM followers m USING follows f WHERE f.follower = p_user AND m.followee = f.followee AND m.id = f.id AND m.follower = p_user;
	DELETE FROM follows f USING followers m WHERE m.followee = p_user AND f.follower = m.follower AND f.followee = p_user;
	DELETE FROM follows WHERE follower = p_user;
	DELETE FROM followers WHERE followee = p_user;
	DELETE FROM blocked_by m USING blocks b WHERE b.blocker = p_user AND m.blocked = b.blocked AND m.blocker = p_user;
	DELETE FROM blocks b USING blocked_by m WHERE m.blocked = p_user AND b.blocker = m.blocker AND b.blocked = p_user;
	DELETE FROM blocks WHERE blocker = p_user;
	DELETE FROM blocked_by WHERE blocked = p_user;
	DELETE FROM mutes WHERE muter = p_user;
	DELETE FROM mutes WHERE muted = p_user;

	SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO posts FROM freshet.posts WHERE author = p_user;
	PERFORM forget_posts(erase_user.posts);
	DELETE FROM freshet.posts WHERE author = p_user;
	DELETE FROM post_refs WHERE author = p_user;
	FOREACH v IN ARRAY erase_user.posts LOOP
		PERFORM emit_change(8, v, p_user);
	END LOOP;

	SELECT coalesce(array_agg(post ORDER BY post), '{}') INTO liked FROM likes WHERE user_id = p_user;
	SELECT coalesce(array_agg(DISTINCT post ORDER BY post), '{}') INTO commented FROM comments WHERE author = p_user;
	PERFORM FROM post_counts WHERE id = ANY (liked || commented) ORDER BY id FOR NO KEY UPDATE;
	UPDATE post_counts SET likes = likes - 1 WHERE id = ANY (liked);
	DELETE FROM likes WHERE user_id = p_user;
	UPDATE post_counts c SET comments = c.comments - mine.n
		FROM (SELECT post, count(*) AS n FROM comments WHERE author = p_user GROUP BY post) AS mine WHERE c.id = mine.post;
	DELETE FROM comments WHERE author = p_user;
	FOREACH v IN ARRAY liked LOOP
		PERFORM emit_change(9, v, p_user);
	END LOOP;
	FOREACH v IN ARRAY commented LOOP
		PERFORM emit_change(10, v, 0);
	END LOOP;
	SELECT coalesce(array_agg(DISTINCT id ORDER BY id), '{}') INTO parents FROM unnest(liked || commented) AS id;

	DELETE FROM handles WHERE handle = (SELECT lower(handle) FROM users WHERE id = p_user) AND user_id = p_user;
	DELETE FROM user_refs WHERE ref = (SELECT ref FROM users WHERE id = p_user) AND user_id = p_user;
	DELETE FROM users WHERE id = p_user;
	DELETE FROM user_counts WHERE id = p_user;
	PERFORM emit_change(2, p_user, 0, neighbors);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION erase_user, begin_erasure, neighbors_of, revoke_key, create_key, end_session, touch_session, create_session, delete_comment, create_comment,
	unlike_post, like_post, need_post, delete_post, forget_posts, edit_post, create_post, unmute, mute, unblock, block, unfollow,
	end_follow, follow, add_follow, set_password, end_sessions, upsert_user, update_user, create_user, add_user, lock_ref, keep_claim,
	claim_key, need_apart, need_user, lock_users;
