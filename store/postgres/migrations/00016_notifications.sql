-- +goose Up

-- What users are told, on their bucket. Object is what the fact is about, by which it is found when that ends: the post of a like, the
-- comment, or who is followed, asked or accepted. What came from elsewhere has no actor; its object is the user, its name makes it one.
-- Triggers on the tables of the facts make and remove these rows, for whole statements at a time; what a mover writes is none of
-- theirs, and of what is imported nobody is told.
CREATE TABLE notifications (
	id      bigint PRIMARY KEY,
	user_id bigint NOT NULL,
	kind    bigint NOT NULL, -- freshet.NotificationKind
	actor   bigint NOT NULL,
	object  bigint NOT NULL,
	post    bigint NOT NULL,
	name    text NOT NULL DEFAULT '',
	text    text NOT NULL DEFAULT ''
);
CREATE INDEX notifications_user ON notifications (user_id, id);
CREATE UNIQUE INDEX notifications_fact ON notifications (actor, kind, object, name);

ALTER TABLE user_counts ADD COLUMN notified bigint NOT NULL DEFAULT 0; -- the highest that the user has seen

-- +goose StatementBegin
CREATE FUNCTION guard_notifications() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	r notifications;
BEGIN
	IF TG_OP <> 'DELETE' THEN
		r := NEW;
		PERFORM note_move(26, bucket_of(r.id), a => r.id);
	END IF;
	IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND r.id IS DISTINCT FROM OLD.id THEN
		r := OLD;
		PERFORM note_move(26, bucket_of(r.id), a => r.id);
	END IF;
	RETURN NULL;
END $$;

-- moving says that this transaction is a mover's.
CREATE FUNCTION moving() RETURNS boolean LANGUAGE sql STABLE AS
	$$ SELECT current_setting('freshet.mover', true) IS NOT DISTINCT FROM '1' $$;

-- notify_of makes the notifications of facts, unless they are there. It tells of them beside whatever else is told of the transaction:
-- also of one by psql, whose rows tell the facts.
CREATE FUNCTION notify_of(p_kind bigint, p_users bigint[], p_actors bigint[], p_objects bigint[], p_posts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_told integer;
BEGIN
	WITH made AS (INSERT INTO notifications AS n (id, user_id, kind, actor, object, post)
		SELECT next_id(bucket_of(a.user_id), 0, NULL), a.user_id, p_kind, a.actor, a.object, a.post
			FROM unnest(p_users, p_actors, p_objects, p_posts) AS a (user_id, actor, object, post) WHERE a.user_id <> a.actor
		ON CONFLICT DO NOTHING RETURNING n.id, n.user_id)
	SELECT count(pg_logical_emit_message(true, 'freshet.beside', '16 ' || made.id || ' ' || made.user_id)) INTO v_told FROM made;
END $$;

CREATE FUNCTION notify_likes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT moving() THEN
		PERFORM notify_of(1, array_agg(c.author), array_agg(l.user_id), array_agg(l.post), array_agg(l.post)) FROM made l JOIN post_counts c ON c.id = l.post;
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION notify_comments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT moving() THEN
		PERFORM notify_of(2, array_agg(c.author), array_agg(m.author), array_agg(m.id), array_agg(m.post)) FROM made m JOIN post_counts c ON c.id = m.post;
	END IF;
	RETURN NULL;
END $$;

-- Who let the follower follow is not told of it.
CREATE FUNCTION notify_followers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT moving() AND current_setting('freshet.quiet', true) IS DISTINCT FROM '1' THEN
		PERFORM notify_of(3, array_agg(f.followee), array_agg(f.follower), array_agg(f.followee), array_agg(0::bigint)) FROM made f
			WHERE NOT EXISTS (SELECT FROM follow_requests r WHERE r.target = f.followee AND r.requester = f.follower AND r.accepted);
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION notify_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NOT moving() THEN
		PERFORM notify_of(4, array_agg(r.target), array_agg(r.requester), array_agg(r.target), array_agg(0::bigint)) FROM made r WHERE NOT r.accepted;
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION denote() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF moving() THEN
		RETURN NULL;
	END IF;
	CASE TG_TABLE_NAME
	WHEN 'likes' THEN
		DELETE FROM notifications n USING gone g WHERE n.actor = g.user_id AND n.kind = 1 AND n.object = g.post;
	WHEN 'comments' THEN
		DELETE FROM notifications n USING gone g WHERE n.actor = g.author AND n.kind = 2 AND n.object = g.id;
	WHEN 'followers' THEN
		DELETE FROM notifications n USING gone g WHERE n.actor = g.follower AND n.kind = 3 AND n.object = g.followee;
	WHEN 'follow_requests' THEN
		DELETE FROM notifications n USING gone g WHERE n.actor = g.requester AND n.kind = 4 AND n.object = g.target;
	WHEN 'follows' THEN
		DELETE FROM notifications n USING gone g WHERE n.actor = g.followee AND n.kind = 5 AND n.object = g.follower;
	WHEN 'users' THEN
		DELETE FROM notifications n USING gone g WHERE n.user_id = g.id;
	END CASE;
	RETURN NULL;
END $$;

CREATE TRIGGER notify AFTER INSERT ON likes REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION notify_likes();
CREATE TRIGGER notify AFTER INSERT ON comments REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION notify_comments();
CREATE TRIGGER notify AFTER INSERT ON followers REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION notify_followers();
CREATE TRIGGER notify AFTER INSERT ON follow_requests REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION notify_requests();
CREATE TRIGGER denote AFTER DELETE ON likes REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
CREATE TRIGGER denote AFTER DELETE ON comments REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
CREATE TRIGGER denote AFTER DELETE ON followers REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
CREATE TRIGGER denote AFTER DELETE ON follow_requests REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
CREATE TRIGGER denote AFTER DELETE ON follows REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
CREATE TRIGGER denote AFTER DELETE ON users REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();
-- A request that was accepted waits no more.
CREATE TRIGGER answered AFTER UPDATE ON follow_requests REFERENCING NEW TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION denote();

CREATE FUNCTION see_notifications(p_user bigint, p_up_to bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_up_to bigint;
BEGIN
	PERFORM need_user(p_user);
	SELECT least(nullif(p_up_to, 0), coalesce(max(id), 0)) INTO v_up_to FROM notifications WHERE user_id = p_user;
	UPDATE user_counts SET notified = v_up_to WHERE id = p_user AND notified < v_up_to;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(16, 0, p_user);
	RETURN true;
END $$;

CREATE FUNCTION add_notification(p_user bigint, p_name text, p_text text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	PERFORM need_user(p_user);
	INSERT INTO notifications (id, user_id, kind, actor, object, post, name, text)
		VALUES (next_id(bucket_of(p_user), 0, NULL), p_user, 6, 0, p_user, 0, p_name, p_text) ON CONFLICT DO NOTHING RETURNING id INTO v_id;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM emit_change(16, v_id, p_user);
	RETURN true;
END $$;

-- complete_follow takes for granted of a target elsewhere that no leave is wanted. Who asked is told.
CREATE OR REPLACE FUNCTION complete_follow(p_actor bigint, p_target bigint, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_here boolean := lock_pair(p_actor, p_target);
	v_changed boolean;
BEGIN
	IF v_here AND (NOT EXISTS (SELECT FROM follow_requests WHERE target = p_target AND requester = p_actor) OR closed_to(p_actor, p_target)) THEN
		RETURN false;
	END IF;
	v_changed := follow(p_actor, p_target, p_at);
	IF v_here THEN
		DELETE FROM follow_requests WHERE target = p_target AND requester = p_actor; -- also of who follows already
	END IF;
	IF v_changed THEN
		PERFORM notify_of(5, ARRAY[p_actor], ARRAY[p_target], ARRAY[p_actor], ARRAY[0]);
	END IF;
	RETURN v_changed;
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
			-- Of an import nobody is notified.
			PERFORM set_config('freshet.quiet', (p_ends[i] > coalesce(p_ends[i - 1], 0))::int::text, true);
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
	PERFORM set_config('freshet.quiet', '1', true);
	INSERT INTO follows (follower, followee, id) SELECT * FROM unnest(v_followers, v_followees, v_ids);
	INSERT INTO followers (followee, id, follower) SELECT a.followee, a.id, a.follower
		FROM unnest(v_followers, v_followees, v_ids, v_here) AS a (follower, followee, id, here) WHERE a.here;
	INSERT INTO mirrors (id, kind, actor, target, edge, also) SELECT next_id(bucket_of(a.follower), a.id, NULL), 1, a.follower, a.followee, a.id, ARRAY[a.follower]
		FROM unnest(v_followers, v_followees, v_ids, v_here) AS a (follower, followee, id, here) WHERE NOT a.here;
	UPDATE user_counts c SET following = c.following + d.n
		FROM (SELECT a.id, count(*) AS n FROM unnest(v_followers) AS a (id) GROUP BY a.id) AS d WHERE c.id = d.id;
	UPDATE user_counts c SET followers = c.followers + d.n
		FROM (SELECT a.id, count(*) AS n FROM unnest(v_followees, v_here) AS a (id, here) WHERE a.here GROUP BY a.id) AS d WHERE c.id = d.id;
	RETURN QUERY SELECT * FROM unnest(v_followers, v_followees);
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
