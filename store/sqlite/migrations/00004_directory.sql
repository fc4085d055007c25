-- +goose Up

-- Which part has which bucket, on the part that is home: one row.
CREATE TABLE directory (
	epoch  INTEGER PRIMARY KEY,
	parts  TEXT NOT NULL, -- JSON: the systems of the parts, home first
	owners BLOB NOT NULL  -- two bytes a bucket, the higher first
);

-- +goose Down
DROP TABLE directory;
