-- +goose Up

-- What parts tell each other, and erasures, which all of them hear of.

-- A user's names go with the user, whatever they are.
CREATE INDEX handles_user ON handles (user_id);
CREATE INDEX user_refs_user ON user_refs (user_id);

-- +goose StatementBegin
-- forget_reactions removes a user's likes and comments, and names the posts that lost them.
CREATE FUNCTION forget_reactions(p_user bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
	v bigint;
	liked bigint[];
	commented bigint[];
BEGIN
	SELECT coalesce(array_agg(post ORDER BY post), '{}') INTO liked FROM likes WHERE user_id = p_user;
	SELECT coalesce(array_agg(DISTINCT post ORDER BY post), '{}') INTO commented FROM comments WHERE author = p_user;
	PERFORM FROM post_counts WHERE id = ANY (liked || commented) ORDER BY id FOR NO KEY UPDATE;
	WITH gone AS (DELETE FROM likes WHERE user_id = p_user RETURNING post)
		UPDATE post_counts c SET likes = c.likes - 1 FROM gone WHERE c.id = gone.post;
	WITH gone AS (DELETE FROM comments WHERE author = p_user RETURNING post)
		UPDATE post_counts c SET comments = c.comments - mine.n FROM (SELECT post, count(*) AS n FROM gone GROUP BY post) AS mine WHERE c.id = mine.post;
	FOREACH v IN ARRAY liked LOOP
		PERFORM emit_change(9, v, p_user);
	END LOOP;
	FOREACH v IN ARRAY commented LOOP
		PERFORM emit_change(10, v, 0);
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT id FROM unnest(liked || commented) AS id ORDER BY id);
END $$;

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
	PERFORM FROM user_counts WHERE id = p_user FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_user, 'user');
	END IF;
	RETURN QUERY SELECT * FROM end_sessions(p_user);
END $$;

-- erase_user removes a user and all that the user wrote, and names what it touched. It comes after begin_erasure. Other parts
-- hear of the ends of the user's follows, and then of the erasure, which ends the rest.
CREATE OR REPLACE FUNCTION erase_user(p_user bigint, OUT posts bigint[], OUT neighbors bigint[], OUT parents bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	v bigint;
BEGIN
	SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO neighbors FROM neighbors_of(p_user) AS id;
	PERFORM FROM user_counts WHERE id = ANY (neighbors) ORDER BY id FOR NO KEY UPDATE;
	IF EXISTS (SELECT FROM elsewhere) THEN
		PERFORM tell(2, p_user, f.followee, f.id) FROM follows f WHERE f.follower = p_user AND is_elsewhere(f.followee);
		PERFORM tell(5, p_user, 0, 0, ARRAY(SELECT id FROM unnest(neighbors) AS id WHERE is_elsewhere(id)));
	END IF;
	INSERT INTO ended (id) VALUES (p_user) ON CONFLICT DO NOTHING;
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
	parents := forget_reactions(p_user);

	DELETE FROM handles WHERE user_id = p_user;
	DELETE FROM user_refs WHERE user_id = p_user;
	DELETE FROM users WHERE id = p_user;
	DELETE FROM user_counts WHERE id = p_user;
	PERFORM emit_change(2, p_user, 0, neighbors);
END $$;

-- Apply. What a mirror makes here is under the lock of its target's row, an erasure under that which stands for the user:
-- apply_mirrors has taken them. Each tells whether it was refused.

-- need_target tells whether the target of a mirror exists. One whose bucket is elsewhere is asked there.
CREATE FUNCTION need_target(p_target bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM user_counts WHERE id = p_target) THEN
		RETURN true;
	END IF;
	IF is_elsewhere(p_target) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	RETURN false;
END $$;

CREATE FUNCTION apply_follow(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF NOT need_target(p_target) OR EXISTS (SELECT FROM ended WHERE id = p_actor)
		OR EXISTS (SELECT FROM blocks WHERE blocker = p_target AND blocked = p_actor)
		OR EXISTS (SELECT FROM blocked_by WHERE blocked = p_target AND blocker = p_actor) THEN
		RETURN true;
	END IF;
	INSERT INTO followers (followee, id, follower) VALUES (p_target, p_edge, p_actor) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		UPDATE user_counts SET followers = followers + 1 WHERE id = p_target;
		PERFORM emit_change(3, p_actor, p_target);
	END IF;
	RETURN false;
END $$;

CREATE FUNCTION apply_follow_end(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM need_target(p_target);
	DELETE FROM followers WHERE followee = p_target AND id = p_edge AND follower = p_actor;
	IF FOUND THEN
		UPDATE user_counts SET followers = followers - 1 WHERE id = p_target;
		PERFORM emit_change(3, p_actor, p_target);
	END IF;
	RETURN false;
END $$;

-- apply_block also ends the target's follow of the actor, whose part is told.
CREATE FUNCTION apply_block(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF NOT need_target(p_target) OR EXISTS (SELECT FROM ended WHERE id = p_actor) THEN
		RETURN true;
	END IF;
	INSERT INTO blocked_by AS m (blocked, blocker, id) VALUES (p_target, p_actor, p_edge)
		ON CONFLICT (blocked, blocker) DO UPDATE SET id = excluded.id WHERE m.id < excluded.id;
	PERFORM end_follow(p_target, p_actor);
	PERFORM emit_change(4, p_actor, p_target);
	RETURN false;
END $$;

CREATE FUNCTION apply_block_end(p_actor bigint, p_target bigint, p_edge bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM need_target(p_target);
	DELETE FROM blocked_by WHERE blocked = p_target AND blocker = p_actor AND id = p_edge;
	IF FOUND THEN
		PERFORM emit_change(4, p_actor, p_target);
	END IF;
	RETURN false;
END $$;

-- apply_erasure removes what is here of a user who was erased elsewhere, and names the posts that lost a reaction and who had
-- an edge to or from the user. p_also are these, but for mutes of the user, of which its part knows nothing.
CREATE FUNCTION apply_erasure(p_user bigint, p_also bigint[], OUT parents bigint[], OUT neighbors bigint[]) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ended (id) VALUES (p_user) ON CONFLICT DO NOTHING;
	neighbors := ARRAY(SELECT id FROM user_counts WHERE id = ANY (p_also) UNION SELECT muter FROM mutes WHERE muted = p_user ORDER BY 1);
	WITH gone AS (DELETE FROM follows WHERE follower = ANY (neighbors) AND followee = p_user RETURNING follower)
		UPDATE user_counts c SET following = c.following - 1 FROM gone WHERE c.id = gone.follower;
	WITH gone AS (DELETE FROM followers WHERE followee = ANY (neighbors) AND follower = p_user RETURNING followee)
		UPDATE user_counts c SET followers = c.followers - mine.n
			FROM (SELECT followee, count(*) AS n FROM gone GROUP BY followee) AS mine WHERE c.id = mine.followee;
	DELETE FROM blocks WHERE blocker = ANY (neighbors) AND blocked = p_user;
	DELETE FROM blocked_by WHERE blocked = ANY (neighbors) AND blocker = p_user;
	DELETE FROM mutes WHERE muted = p_user;
	parents := forget_reactions(p_user);
	DELETE FROM handles WHERE user_id = p_user;
	DELETE FROM user_refs WHERE user_id = p_user;
	PERFORM emit_change(2, p_user, 0, neighbors);
END $$;

-- apply_mirrors applies each mirror once. All that it locks before it begins is in the order of ids: users, users who are erased,
-- mirrors, of which two batches may have the same. p_also are those of all erasures; p_ends says where each mirror's end.
CREATE FUNCTION apply_mirrors(p_ids bigint[], p_kinds integer[], p_actors bigint[], p_targets bigint[], p_edges bigint[], p_also bigint[],
	p_ends integer[], p_at timestamptz) RETURNS TABLE (refused boolean, parents bigint[], neighbors bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	v_new bigint[];
	i integer;
BEGIN
	DELETE FROM mirrored WHERE id IN (SELECT m.id FROM mirrored m WHERE m.at < now_or(p_at) - interval '25 hours' ORDER BY m.at LIMIT 1000
		FOR UPDATE SKIP LOCKED);
	PERFORM FROM user_counts WHERE id = ANY (p_actors || p_targets || p_also) ORDER BY id FOR NO KEY UPDATE;
	PERFORM pg_advisory_xact_lock(user_lock(e.actor)) FROM (SELECT DISTINCT a.actor FROM unnest(p_kinds, p_actors) AS a (kind, actor)
		WHERE a.kind = 5 ORDER BY a.actor) AS e;
	WITH added AS (INSERT INTO mirrored AS m (id, refused, at) SELECT DISTINCT a.id, false, now_or(p_at) FROM unnest(p_ids) AS a (id) ORDER BY a.id
		ON CONFLICT DO NOTHING RETURNING m.id)
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

-- settle_mirrors forgets mirrors, and undoes the facts of those that were refused.
CREATE FUNCTION settle_mirrors(p_ids bigint[], p_refused boolean[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	m record;
BEGIN
	PERFORM FROM user_counts WHERE id = ANY (ARRAY(SELECT t.actor FROM mirrors t WHERE t.id = ANY (p_ids))) ORDER BY id FOR NO KEY UPDATE;
	FOR m IN WITH gone AS (DELETE FROM mirrors t USING unnest(p_ids, p_refused) AS a (id, refused) WHERE t.id = a.id
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

-- set_elsewhere says which buckets are not here.
CREATE FUNCTION set_elsewhere(p_buckets integer[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE elsewhere IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM elsewhere WHERE bucket <> ALL (p_buckets);
	INSERT INTO elsewhere (bucket) SELECT unnest(p_buckets) ON CONFLICT DO NOTHING;
END $$;
-- +goose StatementEnd
