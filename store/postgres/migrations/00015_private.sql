-- +goose Up

-- Private users, and who asks them for a follow. A request lies on the bucket of who is asked; one that was accepted is there until
-- it is a follow. Whether a user is private changes under the lock of its row in user_counts, which a follow takes too.
ALTER TABLE users ADD COLUMN private boolean NOT NULL DEFAULT false;

CREATE TABLE follow_requests (
	target    bigint NOT NULL,
	requester bigint NOT NULL,
	id        bigint NOT NULL,
	accepted  boolean NOT NULL DEFAULT false,
	PRIMARY KEY (target, requester)
);
CREATE INDEX follow_requests_id ON follow_requests (target, id);
CREATE INDEX follow_requests_requester ON follow_requests (requester); -- for erasure alone

ALTER PUBLICATION freshet ADD TABLE follow_requests;

-- refuse knows one class more: FR009 for a follow of a private user who has not accepted it.

-- +goose StatementBegin
CREATE FUNCTION guard_follow_requests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	r follow_requests;
BEGIN
	IF TG_OP <> 'DELETE' THEN
		r := NEW;
		PERFORM note_move(25, bucket_of(r.target), a => r.target, b => r.requester);
	END IF;
	IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (r.target, r.requester) IS DISTINCT FROM (OLD.target, OLD.requester) THEN
		r := OLD;
		PERFORM note_move(25, bucket_of(r.target), a => r.target, b => r.requester);
	END IF;
	RETURN NULL;
END $$;

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
	u.password_hash := p_password_hash; u.admin := p_admin; u.private := false;
	INSERT INTO users SELECT u.*;
	INSERT INTO user_counts (id) VALUES (u.id);
	PERFORM made(u.id);
	RETURN u;
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
	u.password_hash := p_password_hash; u.admin := p_admin; u.private := false;
	INSERT INTO users SELECT u.*;
	INSERT INTO user_counts (id) VALUES (u.id);
	PERFORM made(u.id), emit_change(1, u.id, 0);
	RETURN u;
END $$;

-- patch_user gives a user as it is to be: what is not null changes. Who changes whether it is private waits for follows under way.
CREATE FUNCTION patch_user(u users, p_handle text, p_name text, p_bio text, p_avatar_url text, p_email text, p_private boolean)
	RETURNS users LANGUAGE plpgsql AS $$
BEGIN
	IF u.private <> p_private THEN
		PERFORM FROM user_counts WHERE id = u.id FOR NO KEY UPDATE;
	END IF;
	u.handle := coalesce(p_handle, u.handle); u.name := coalesce(p_name, u.name); u.bio := coalesce(p_bio, u.bio);
	u.avatar_url := coalesce(p_avatar_url, u.avatar_url); u.email := coalesce(p_email, u.email);
	u.private := coalesce(p_private, u.private);
	RETURN u;
END $$;

DROP FUNCTION update_user;
CREATE FUNCTION update_user(p_id bigint, p_handle text, p_key text, p_name text, p_bio text, p_avatar_url text, p_email text,
	p_private boolean DEFAULT NULL) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	old users;
	u users;
BEGIN
	PERFORM need_here(p_id, 'user');
	SELECT * INTO old FROM users WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
	u := patch_user(old, p_handle, p_name, p_bio, p_avatar_url, p_email, p_private);
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
	UPDATE users SET handle = u.handle, name = u.name, bio = u.bio, avatar_url = u.avatar_url, email = u.email, private = u.private WHERE id = p_id;
	PERFORM emit_change(1, p_id, 0);
	RETURN u;
END $$;

DROP FUNCTION update_named;
CREATE FUNCTION update_named(p_id bigint, p_claim bigint, p_handle text, p_name text, p_bio text, p_avatar_url text, p_email text,
	p_private boolean DEFAULT NULL) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	before users;
	u users;
BEGIN
	PERFORM need_here(p_id, 'user');
	SELECT * INTO before FROM users WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
	IF p_claim <> 0 THEN
		PERFORM use_claim(p_claim, p_id);
	END IF;
	u := patch_user(before, p_handle, p_name, p_bio, p_avatar_url, p_email, p_private);
	IF u IS DISTINCT FROM before THEN
		UPDATE users SET handle = u.handle, name = u.name, bio = u.bio, avatar_url = u.avatar_url, email = u.email, private = u.private WHERE id = p_id;
		PERFORM emit_change(1, p_id, 0);
	END IF;
	RETURN u;
END $$;

-- Follows

-- closed_to says that a target, who is here and whose row is locked, is private and has not accepted an actor.
CREATE FUNCTION closed_to(p_actor bigint, p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN EXISTS (SELECT FROM users WHERE id = p_target AND private)
		AND NOT EXISTS (SELECT FROM follow_requests WHERE target = p_target AND requester = p_actor AND accepted);
END $$;

CREATE OR REPLACE FUNCTION follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here boolean := lock_pair(p_actor, p_target);
	v_id bigint;
BEGIN
	PERFORM need_apart(p_actor, p_target, 'user');
	IF v_here THEN
		IF closed_to(p_actor, p_target) THEN
			IF EXISTS (SELECT FROM follows WHERE follower = p_actor AND followee = p_target) THEN
				RETURN false;
			END IF;
			PERFORM refuse('FR009', 'user', '');
		END IF;
		IF NOT add_follow(p_actor, p_target, p_at) THEN
			RETURN false;
		END IF;
		DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor;
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
	DELETE FROM follow_requests WHERE target = p_actor AND requester = p_target;
	IF v_here THEN
		INSERT INTO blocked_by (blocked, blocker, id) VALUES (p_target, p_actor, v_id);
		DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor;
		PERFORM end_follow(p_target, p_actor);
	ELSE
		PERFORM tell(3, p_actor, p_target, v_id);
	END IF;
	PERFORM emit_change(4, p_actor, p_target);
	RETURN true;
END $$;

-- Requests. The target is here, and locked before who asks.

-- request_follow tells whether that is needed, and whether it was made just now.
CREATE FUNCTION request_follow(p_actor bigint, p_target bigint, p_at timestamptz, OUT needed boolean, OUT changed boolean) LANGUAGE plpgsql AS $$
DECLARE
	v_last bigint;
BEGIN
	PERFORM lock_pair(p_target, p_actor);
	PERFORM need_apart(p_target, p_actor, 'user');
	needed := closed_to(p_actor, p_target);
	changed := false;
	IF NOT needed THEN
		RETURN;
	END IF;
	SELECT coalesce(max(id), 0) INTO v_last FROM follow_requests WHERE target = p_target;
	INSERT INTO follow_requests (target, requester, id) VALUES (p_target, p_actor, next_id(bucket_of(p_target), v_last, p_at)) ON CONFLICT DO NOTHING;
	changed := FOUND;
	IF changed THEN
		PERFORM emit_change(15, p_target, p_actor);
	END IF;
END $$;

CREATE FUNCTION withdraw_request(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_pair(p_target, p_actor);
	DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(15, p_target, p_actor);
	RETURN true;
END $$;

CREATE FUNCTION accept_request(p_target bigint, p_actor bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_accepted boolean;
BEGIN
	PERFORM lock_pair(p_target, p_actor);
	SELECT accepted INTO v_accepted FROM follow_requests WHERE target = p_target AND requester = p_actor FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'follow request', '');
	END IF;
	IF v_accepted THEN
		RETURN false;
	END IF;
	UPDATE follow_requests SET accepted = true WHERE target = p_target AND requester = p_actor;
	PERFORM emit_change(15, p_target, p_actor);
	RETURN true;
END $$;

CREATE FUNCTION refuse_request(p_target bigint, p_actor bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lock_pair(p_target, p_actor);
	DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor AND NOT accepted;
	IF NOT FOUND THEN
		PERFORM refuse('FR001', 'follow request', '');
	END IF;
	PERFORM emit_change(15, p_target, p_actor);
	RETURN true;
END $$;

-- complete_follow is for two users who are here.
CREATE FUNCTION complete_follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_changed boolean;
BEGIN
	IF NOT lock_pair(p_actor, p_target) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	IF NOT EXISTS (SELECT FROM follow_requests WHERE target = p_target AND requester = p_actor) OR closed_to(p_actor, p_target) THEN
		RETURN false;
	END IF;
	v_changed := follow(p_actor, p_target, p_at);
	DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor; -- also of who follows already
	RETURN v_changed;
END $$;

-- forget_reactions removes a user's likes and comments, and names the posts that lost them, and the user's requests.
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
	DELETE FROM follow_requests WHERE (target = p_user OR requester = p_user) AND NOT is_elsewhere(target);
	FOREACH v IN ARRAY liked LOOP
		PERFORM emit_change(9, v, p_user);
	END LOOP;
	FOREACH v IN ARRAY commented LOOP
		PERFORM emit_change(10, v, 0);
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT id FROM unnest(liked || commented) AS id ORDER BY id);
END $$;

-- Mirrors

CREATE OR REPLACE FUNCTION apply_follow(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF NOT need_target(p_target) OR EXISTS (SELECT FROM ended WHERE id = p_actor)
		OR EXISTS (SELECT FROM blocks WHERE blocker = p_target AND blocked = p_actor)
		OR EXISTS (SELECT FROM blocked_by WHERE blocked = p_target AND blocker = p_actor)
		OR closed_to(p_actor, p_target)
			AND NOT EXISTS (SELECT FROM followers WHERE followee = p_target AND id = p_edge AND follower = p_actor) THEN
		RETURN true;
	END IF;
	INSERT INTO followers (followee, id, follower) VALUES (p_target, p_edge, p_actor) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor;
		UPDATE user_counts SET followers = followers + 1 WHERE id = p_target;
		PERFORM emit_change(3, p_actor, p_target);
	END IF;
	RETURN false;
END $$;

CREATE OR REPLACE FUNCTION apply_follows(p_ids bigint[], p_actors bigint[], p_targets bigint[], p_edges bigint[], p_at timestamptz)
	RETURNS SETOF boolean LANGUAGE plpgsql AS $$
DECLARE
	v_new bigint[];
	v_told integer;
	v_private bigint[];
BEGIN
	DELETE FROM mirrored WHERE id IN (SELECT m.id FROM mirrored m WHERE m.at < now_or(p_at) - interval '25 hours' AND NOT is_held(m.bucket)
		ORDER BY m.at LIMIT 1000 FOR UPDATE SKIP LOCKED);
	PERFORM need_here(id, 'user') FROM (SELECT DISTINCT unnest(p_targets) AS id) AS t;
	PERFORM FROM user_counts WHERE id = ANY (p_actors || p_targets) ORDER BY id FOR NO KEY UPDATE;
	v_private := ARRAY(SELECT id FROM users WHERE id = ANY (p_targets) AND private);
	WITH added AS (INSERT INTO mirrored AS m (id, bucket, refused, at)
		SELECT DISTINCT ON (a.id) a.id, bucket_of(a.target),
			(EXISTS (SELECT FROM user_counts c WHERE c.id = a.target)) IS NOT TRUE
				OR (EXISTS (SELECT FROM ended e WHERE e.id = a.actor)) IS TRUE
				OR (EXISTS (SELECT FROM blocks b WHERE b.blocker = a.target AND b.blocked = a.actor)) IS TRUE
				OR (EXISTS (SELECT FROM blocked_by b WHERE b.blocked = a.target AND b.blocker = a.actor)) IS TRUE
				OR a.target = ANY (v_private) AND closed_to(a.actor, a.target)
					AND (EXISTS (SELECT FROM followers f WHERE f.followee = a.target AND f.id = a.edge AND f.follower = a.actor)) IS NOT TRUE,
			now_or(p_at)
		FROM unnest(p_ids, p_actors, p_targets, p_edges) AS a (id, actor, target, edge) ORDER BY a.id ON CONFLICT DO NOTHING RETURNING m.id, m.refused)
		SELECT array_agg(added.id) INTO v_new FROM added WHERE NOT added.refused;
	WITH made AS (INSERT INTO followers AS f (followee, id, follower)
			SELECT a.target, a.edge, a.actor FROM unnest(v_new) AS n (id) JOIN unnest(p_ids, p_actors, p_targets, p_edges) AS a (id, actor, target, edge)
			ON a.id = n.id ON CONFLICT DO NOTHING RETURNING f.followee, f.follower),
		counted AS (UPDATE user_counts c SET followers = c.followers + d.n
			FROM (SELECT made.followee, count(*) AS n FROM made GROUP BY made.followee) AS d WHERE c.id = d.followee)
		SELECT count(emit_change(3, made.follower, made.followee)) INTO v_told FROM made;
	IF v_new IS NOT NULL THEN
		DELETE FROM follow_requests r USING unnest(v_new) AS n (id) JOIN unnest(p_ids, p_actors, p_targets) AS a (id, actor, target) ON a.id = n.id
			WHERE r.target = a.target AND r.requester = a.actor;
	END IF;
	RETURN QUERY SELECT m.refused FROM unnest(p_ids) WITH ORDINALITY AS a (id, place) JOIN mirrored m ON m.id = a.id ORDER BY a.place;
END $$;

CREATE OR REPLACE FUNCTION apply_block(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF NOT need_target(p_target) OR EXISTS (SELECT FROM ended WHERE id = p_actor) THEN
		RETURN true;
	END IF;
	INSERT INTO blocked_by AS m (blocked, blocker, id) VALUES (p_target, p_actor, p_edge)
		ON CONFLICT (blocked, blocker) DO UPDATE SET id = excluded.id WHERE m.id < excluded.id;
	DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor;
	PERFORM end_follow(p_target, p_actor);
	PERFORM emit_change(4, p_actor, p_target);
	RETURN false;
END $$;

-- An import follows nobody who is private.
CREATE OR REPLACE FUNCTION import_follows(p_followers bigint[], p_followees bigint[], p_at timestamptz)
	RETURNS TABLE (follower bigint, followee bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	r record;
	n integer := 0;
	v_away bigint[] := '{}';
	v_left bigint[] := '{}'; -- who can't be followed
	v_last bigint; -- the last id of a follower
	v_followers bigint[] := '{}';
	v_followees bigint[] := '{}';
	v_ids bigint[] := '{}';
	v_here boolean[] := '{}';
BEGIN
	IF EXISTS (SELECT FROM elsewhere) THEN
		PERFORM need_here(id, 'user') FROM (SELECT DISTINCT unnest(p_followers) AS id) AS f;
		v_away := ARRAY(SELECT id FROM (SELECT DISTINCT unnest(p_followees) AS id) AS f WHERE is_elsewhere(id));
	END IF;
	PERFORM lock_imported(ARRAY(SELECT unnest(p_followers || p_followees) EXCEPT SELECT unnest(v_away)));
	IF v_away <> '{}' THEN
		LOCK TABLE ended IN SHARE MODE;
		v_left := ARRAY(SELECT id FROM ended WHERE id = ANY (v_away));
	END IF;
	v_left := v_left || ARRAY(SELECT id FROM users WHERE id = ANY (p_followees) AND private AND id <> ALL (v_away));
	FOR r IN SELECT a.follower, a.followee, NOT EXISTS (SELECT FROM elsewhere e WHERE e.bucket = bucket_of(a.followee)) AS here,
			(SELECT coalesce(max(f.id), 0) FROM follows f WHERE f.follower = a.follower) AS last
		FROM (SELECT x.follower, x.followee, min(x.place) AS place
			FROM unnest(p_followers, p_followees) WITH ORDINALITY AS x (follower, followee, place) GROUP BY x.follower, x.followee) AS a
		-- IS NOT TRUE keeps the planner from joins with all of a table.
		WHERE a.followee <> ALL (v_left)
			AND (EXISTS (SELECT FROM follows f WHERE f.follower = a.follower AND f.followee = a.followee)) IS NOT TRUE
			AND (EXISTS (SELECT FROM blocks b WHERE b.blocker = a.follower AND b.blocked = a.followee)) IS NOT TRUE
			AND (EXISTS (SELECT FROM blocked_by b WHERE b.blocked = a.follower AND b.blocker = a.followee)) IS NOT TRUE
		ORDER BY a.follower, a.place
	LOOP
		v_last := next_id(bucket_of(r.follower), CASE WHEN v_followers[n] = r.follower THEN v_last ELSE r.last END, p_at);
		n := n + 1;
		v_followers[n] := r.follower; v_followees[n] := r.followee; v_ids[n] := v_last; v_here[n] := r.here;
	END LOOP;
	INSERT INTO follows (follower, followee, id) SELECT * FROM unnest(v_followers, v_followees, v_ids);
	INSERT INTO followers (followee, id, follower) SELECT a.followee, a.id, a.follower
		FROM unnest(v_followers, v_followees, v_ids, v_here) AS a (follower, followee, id, here) WHERE a.here;
	INSERT INTO mirrors (id, kind, actor, target, edge, also) SELECT next_id(bucket_of(a.follower), a.id, NULL), 1, a.follower, a.followee, a.id, '{}'
		FROM unnest(v_followers, v_followees, v_ids, v_here) AS a (follower, followee, id, here) WHERE NOT a.here;
	UPDATE user_counts c SET following = c.following + d.n
		FROM (SELECT a.id, count(*) AS n FROM unnest(v_followers) AS a (id) GROUP BY a.id) AS d WHERE c.id = d.id;
	UPDATE user_counts c SET followers = c.followers + d.n
		FROM (SELECT a.id, count(*) AS n FROM unnest(v_followees, v_here) AS a (id, here) WHERE a.here GROUP BY a.id) AS d WHERE c.id = d.id;
	RETURN QUERY SELECT * FROM unnest(v_followers, v_followees);
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
