-- +goose Up

-- Erasures that passed over the rows of a move's buckets, because these were
-- elsewhere when it came. They are made for those rows when the buckets come.
CREATE TABLE passed (
	user INTEGER PRIMARY KEY,
	also BLOB NOT NULL -- 8 bytes for each user
);

-- +goose Down
DROP TABLE passed;
