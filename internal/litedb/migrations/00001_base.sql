-- +goose Up
CREATE TABLE meta (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	system   INTEGER NOT NULL, -- drawn at random when the file was made
	timeline INTEGER NOT NULL, -- rises with every restore
	position INTEGER NOT NULL, -- rises with every transaction
	millis   INTEGER NOT NULL  -- the highest time an id was drawn at
);
INSERT INTO meta VALUES (1, random(), 1, 0, 0);

CREATE TABLE changes (
	position INTEGER NOT NULL,
	n        INTEGER NOT NULL, -- order within the transaction
	kind     INTEGER NOT NULL,
	subject  INTEGER NOT NULL,
	object   INTEGER NOT NULL,
	also     BLOB,             -- further ids, varint deltas
	PRIMARY KEY (position, n)
) WITHOUT ROWID;

CREATE TABLE consumers (
	name     TEXT PRIMARY KEY,
	position INTEGER NOT NULL  -- confirmed up to here
) WITHOUT ROWID;

CREATE TABLE jobs (
	id         INTEGER PRIMARY KEY,
	kind       TEXT    NOT NULL,
	key        TEXT    NOT NULL,
	subject    INTEGER NOT NULL,
	args       BLOB,
	state      INTEGER NOT NULL, -- 0 waits or runs, 1 dead
	run_at     INTEGER NOT NULL, -- nanoseconds since 1970
	attempt    INTEGER NOT NULL, -- how many have failed
	checkpoint BLOB,             -- where the last attempt stood
	error      TEXT,             -- of the last attempt
	dedupe     TEXT,             -- the effect's Unique
	again      INTEGER NOT NULL, -- position that last asked for this Unique name, 0: none since it was made
	created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX jobs_dedupe ON jobs (dedupe) WHERE dedupe IS NOT NULL AND state = 0;
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 1;

-- +goose Down
DROP TABLE jobs;
DROP TABLE consumers;
DROP TABLE changes;
DROP TABLE meta;
