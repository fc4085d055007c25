-- +goose Up

-- Which part has which bucket, on the part that is home: one row.
CREATE TABLE directory (
	epoch  bigint PRIMARY KEY,
	parts  text NOT NULL, -- JSON: the systems of the parts, home first
	owners bytea NOT NULL -- two bytes a bucket, the higher first
);

-- set_directory keeps a directory in the place of the one before it.
-- +goose StatementBegin
CREATE FUNCTION set_directory(p_epoch bigint, p_parts text, p_owners bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOCK TABLE directory IN SHARE ROW EXCLUSIVE MODE;
	IF p_epoch <> (SELECT coalesce(max(epoch), 0) + 1 FROM directory) THEN
		PERFORM refuse('FR002', 'epoch', 'is not one above that of the last directory');
	END IF;
	DELETE FROM directory;
	INSERT INTO directory (epoch, parts, owners) VALUES (p_epoch, p_parts, p_owners);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION set_directory;
DROP TABLE directory;
