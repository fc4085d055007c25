-- +goose Up

-- Erasures that passed over the rows of a move's buckets, because these were elsewhere when it came. They are made for those rows
-- when the buckets come: the source may have given them away before it heard of the erasure.
CREATE TABLE passed (
	user_id bigint PRIMARY KEY,
	also    bigint[] NOT NULL
);

-- +goose StatementBegin
-- pass_over notes an erasure where it passes over rows. A move that is on has its buckets all here or all elsewhere, and who erases has
-- the lock that who gives or takes them waits for.
CREATE FUNCTION pass_over(p_user bigint, p_also bigint[]) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO passed AS p SELECT p_user, p_also FROM move WHERE buckets <> '{}' AND all_away(buckets)
		ON CONFLICT (user_id) DO UPDATE SET also = p.also || excluded.also $$;

CREATE OR REPLACE FUNCTION tell(p_kind integer, p_actor bigint, p_target bigint, p_edge bigint, p_also bigint[] DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	INSERT INTO mirrors (id, kind, actor, target, edge, also)
		VALUES (next_id(bucket_of(p_actor), p_edge, NULL), p_kind, p_actor, p_target, p_edge, p_also);
	SELECT pass_over(p_actor, p_also) WHERE p_kind = 5;
$$;

CREATE OR REPLACE FUNCTION apply_erasure(p_user bigint, p_also bigint[], OUT parents bigint[], OUT neighbors bigint[]) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM stay();
	INSERT INTO ended (id) VALUES (p_user) ON CONFLICT DO NOTHING;
	PERFORM pass_over(p_user, p_also);
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

-- meet_erasures makes for rows that came what has passed over them. Where the source made it too, which is the rule, nothing is left
-- to be done.
CREATE FUNCTION meet_erasures() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	p passed;
BEGIN
	PERFORM FROM user_counts WHERE id IN (SELECT unnest(t.user_id || t.also) FROM passed t) ORDER BY id FOR NO KEY UPDATE;
	FOR p IN SELECT * FROM passed ORDER BY user_id LOOP
		PERFORM apply_erasure(p.user_id, p.also);
	END LOOP;
	DELETE FROM passed;
END $$;

CREATE OR REPLACE FUNCTION join_buckets(p_term bigint, p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	m move := step_of(p_term);
BEGIN
	IF NOT all_away(m.buckets) THEN
		RETURN;
	END IF;
	PERFORM pg_advisory_xact_lock(move_lock());
	DELETE FROM elsewhere WHERE bucket = ANY (m.buckets);
	UPDATE move SET fenced = NULL;
	PERFORM meet_mirrors(m.buckets, p_at), meet_erasures();
	PERFORM emit_change(14, 0, 0);
END $$;

CREATE OR REPLACE FUNCTION end_move(p_term bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM move_of(p_term, true);
	UPDATE move SET buckets = '{}', fenced = NULL;
	DELETE FROM passed;
END $$;
-- +goose StatementEnd

-- There is no way back: what is replaced here stands in the files before.
