-- +goose Up

-- Home may move, and come back to a database whose directory is older than by one. What counts is that nobody else was sooner.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION set_directory(p_epoch bigint, p_parts text, p_owners bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE directory IN SHARE ROW EXCLUSIVE MODE;
	IF p_epoch <= (SELECT coalesce(max(epoch), 0) FROM directory) THEN
		PERFORM refuse('FR002', 'epoch', 'is not above that of the last directory');
	END IF;
	DELETE FROM directory;
	INSERT INTO directory (epoch, parts, owners) VALUES (p_epoch, p_parts, p_owners);
END $$;

-- A user who arrives between two looks of a write (not here, and then not elsewhere either) is no stranger: the write is tried again.
CREATE FUNCTION refuse_stranger(p_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM refuse(CASE WHEN EXISTS (SELECT FROM user_counts WHERE id = p_id AND NOT is_elsewhere(id)) THEN 'FR005' ELSE 'FR001' END, 'user', '');
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
		PERFORM refuse_stranger(p_target);
	END IF;
	RETURN false;
END $$;

CREATE OR REPLACE FUNCTION need_post(p_actor bigint, p_post bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_author bigint;
BEGIN
	PERFORM FROM user_counts WHERE id = p_actor AND NOT is_elsewhere(id) FOR KEY SHARE;
	IF NOT FOUND AND cardinality(lock_strangers(ARRAY[p_actor])) = 0 THEN
		PERFORM refuse_stranger(p_actor);
	END IF;
	SELECT author INTO v_author FROM post_counts WHERE id = p_post AND NOT is_elsewhere(id) FOR KEY SHARE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_post, 'post');
	END IF;
	RETURN v_author;
END $$;
-- +goose StatementEnd
