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
-- +goose StatementEnd
