-- +goose Up

-- Several parts take an import together (store.PartImporter): each makes the follows of its own users, and a chunk's new users are
-- claimed, made and settled at once.

-- +goose StatementBegin
-- import_follows tells other parts of follows of their users. That none of those is erased here before this write ends is said by one
-- lock, for there may be thousands; it comes after the rows of users, as the erasures take them.
CREATE OR REPLACE FUNCTION import_follows(p_followers bigint[], p_followees bigint[], p_at timestamptz)
	RETURNS TABLE (follower bigint, followee bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	r record;
	n integer := 0;
	v_away bigint[] := '{}';
	v_ended bigint[] := '{}';
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
		v_ended := ARRAY(SELECT id FROM ended WHERE id = ANY (v_away));
	END IF;
	FOR r IN SELECT a.follower, a.followee, NOT EXISTS (SELECT FROM elsewhere e WHERE e.bucket = bucket_of(a.followee)) AS here,
			(SELECT coalesce(max(f.id), 0) FROM follows f WHERE f.follower = a.follower) AS last
		FROM (SELECT x.follower, x.followee, min(x.place) AS place
			FROM unnest(p_followers, p_followees) WITH ORDINALITY AS x (follower, followee, place) GROUP BY x.follower, x.followee) AS a
		-- IS NOT TRUE keeps the planner from joins with all of a table.
		WHERE a.followee <> ALL (v_ended)
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

-- apply_follows is apply_mirrors where nothing is told but follows: of sets, since an import tells of thousands.
CREATE FUNCTION apply_follows(p_ids bigint[], p_actors bigint[], p_targets bigint[], p_edges bigint[], p_at timestamptz)
	RETURNS SETOF boolean LANGUAGE plpgsql AS $$
DECLARE
	v_new bigint[];
	v_told integer;
BEGIN
	DELETE FROM mirrored WHERE id IN (SELECT m.id FROM mirrored m WHERE m.at < now_or(p_at) - interval '25 hours' AND NOT is_held(m.bucket)
		ORDER BY m.at LIMIT 1000 FOR UPDATE SKIP LOCKED);
	PERFORM need_here(id, 'user') FROM (SELECT DISTINCT unnest(p_targets) AS id) AS t;
	PERFORM FROM user_counts WHERE id = ANY (p_actors || p_targets) ORDER BY id FOR NO KEY UPDATE;
	WITH added AS (INSERT INTO mirrored AS m (id, bucket, refused, at)
		SELECT DISTINCT ON (a.id) a.id, bucket_of(a.target),
			(EXISTS (SELECT FROM user_counts c WHERE c.id = a.target)) IS NOT TRUE
				OR (EXISTS (SELECT FROM ended e WHERE e.id = a.actor)) IS TRUE
				OR (EXISTS (SELECT FROM blocks b WHERE b.blocker = a.target AND b.blocked = a.actor)) IS TRUE
				OR (EXISTS (SELECT FROM blocked_by b WHERE b.blocked = a.target AND b.blocker = a.actor)) IS TRUE,
			now_or(p_at)
		FROM unnest(p_ids, p_actors, p_targets) AS a (id, actor, target) ORDER BY a.id ON CONFLICT DO NOTHING RETURNING m.id, m.refused)
		SELECT array_agg(added.id) INTO v_new FROM added WHERE NOT added.refused;
	WITH made AS (INSERT INTO followers AS f (followee, id, follower)
			SELECT a.target, a.edge, a.actor FROM unnest(v_new) AS n (id) JOIN unnest(p_ids, p_actors, p_targets, p_edges) AS a (id, actor, target, edge)
			ON a.id = n.id ON CONFLICT DO NOTHING RETURNING f.followee, f.follower),
		counted AS (UPDATE user_counts c SET followers = c.followers + d.n
			FROM (SELECT made.followee, count(*) AS n FROM made GROUP BY made.followee) AS d WHERE c.id = d.followee)
		SELECT count(emit_change(3, made.follower, made.followee)) INTO v_told FROM made;
	RETURN QUERY SELECT m.refused FROM unnest(p_ids) WITH ORDINALITY AS a (id, place) JOIN mirrored m ON m.id = a.id ORDER BY a.place;
END $$;

-- claim_users takes handles, which come with their key, and gives those whose it has got.
CREATE FUNCTION claim_users(p_ids bigint[], p_keys text[]) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM refuse_names();
	RETURN QUERY INSERT INTO handles (handle, user_id, claim, pending) SELECT a.key, a.id, a.id, true FROM unnest(p_ids, p_keys) AS a (id, key)
		ORDER BY a.key ON CONFLICT DO NOTHING RETURNING user_id;
END $$;

-- create_users makes users of their own claims, and gives those whose claim nobody has ended.
CREATE FUNCTION create_users(p_ids bigint[], p_handles text[], p_at timestamptz) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
	v_made bigint[];
BEGIN
	PERFORM need_here(id, 'user') FROM unnest(p_ids) AS id;
	WITH used AS (INSERT INTO name_claims (user_id, claim) SELECT id, 0 FROM unnest(p_ids) AS id ORDER BY id ON CONFLICT DO NOTHING RETURNING user_id)
		SELECT coalesce(array_agg(user_id), '{}') INTO v_made FROM used;
	v_made := ARRAY(SELECT unnest(v_made) EXCEPT SELECT id FROM ended WHERE id = ANY (v_made)); -- a claim that was ended on another part
	INSERT INTO users (id, created_at, handle, ref, name, avatar_url, email, password_hash, admin)
		SELECT a.id, date_trunc('microseconds', now_or(p_at)), a.handle, '', a.handle, '', '', '', false
		FROM unnest(p_ids, p_handles) AS a (id, handle) JOIN unnest(v_made) AS m (id) ON m.id = a.id;
	INSERT INTO user_counts (id) SELECT unnest(v_made);
	IF v_made <> '{}' THEN
		PERFORM emit_change(13, 0, 0, v_made);
	END IF;
	RETURN QUERY SELECT unnest(v_made);
END $$;

-- settle_users is settle_names for claims of new users, who had no names before.
CREATE FUNCTION settle_users(p_ids bigint[], p_keys text[], p_kept boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM refuse_names();
	PERFORM FROM handles WHERE handle = ANY (p_keys) ORDER BY handle FOR UPDATE;
	IF p_kept THEN
		UPDATE handles h SET pending = false FROM unnest(p_ids, p_keys) AS a (id, key)
			WHERE h.handle = a.key AND h.user_id = a.id AND h.claim = a.id AND h.pending;
	ELSE
		DELETE FROM handles h USING unnest(p_ids, p_keys) AS a (id, key)
			WHERE h.handle = a.key AND h.user_id = a.id AND h.claim = a.id AND h.pending;
	END IF;
	PERFORM emit_change(13, 0, 0, p_ids);
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
