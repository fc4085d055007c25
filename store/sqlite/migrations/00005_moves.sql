-- +goose Up

-- A file may give buckets to another part, or take them, while it is in use
-- (store.BucketMover). While that is on, triggers guard the rows of those
-- buckets; they are made when it begins and dropped when it ends, so that without
-- it nothing here is looked at.

CREATE TABLE move (             -- one row
	term   INTEGER NOT NULL, -- the highest of a mover
	away   INTEGER NOT NULL, -- 1: the buckets are elsewhere
	fenced INTEGER NOT NULL, -- until when writes are refused, 0 for none
	quiet  INTEGER NOT NULL  -- 1: what the mover itself writes in this transaction is not guarded
);
INSERT INTO move VALUES (0, 0, 0, 0);

CREATE TABLE moving ( -- the move's buckets; without a move there are none
	bucket INTEGER PRIMARY KEY
);

-- What has changed: a store.Table and a key in it. A number is never used twice.
CREATE TABLE notes (
	n   INTEGER PRIMARY KEY AUTOINCREMENT,
	tab INTEGER NOT NULL,
	k1  NOT NULL,
	k2,
	k3
);

-- What a mover must know to go on, on the part that is home: one row.
CREATE TABLE move_plan (
	version INTEGER PRIMARY KEY,
	plan    BLOB NOT NULL
);

-- A mirror goes with its actor, and keeps its place (n) among those of the same
-- actor, while others here may have the same one.
CREATE TABLE mirrors_of_parts (
	id     INTEGER PRIMARY KEY,
	n      INTEGER NOT NULL,
	bucket INTEGER NOT NULL, -- the target's; -1 for all parts
	kind   INTEGER NOT NULL,
	actor  INTEGER NOT NULL,
	target INTEGER NOT NULL,
	edge   INTEGER NOT NULL,
	also   BLOB              -- 8 bytes for each user
);
INSERT INTO mirrors_of_parts SELECT id, n, bucket, kind, actor, target, edge, also FROM mirrors;
DROP TABLE mirrors;
ALTER TABLE mirrors_of_parts RENAME TO mirrors;
CREATE INDEX mirrors_bucket ON mirrors (bucket, n);
CREATE INDEX mirrors_n ON mirrors (n);

-- What was applied is known where the target's bucket is: -1 for erasures, and
-- for what was applied before this was kept.
ALTER TABLE mirrored ADD COLUMN bucket INTEGER NOT NULL DEFAULT -1;

-- +goose Down
ALTER TABLE mirrored DROP COLUMN bucket;
CREATE TABLE mirrors_of_parts (
	n      INTEGER PRIMARY KEY,
	id     INTEGER NOT NULL UNIQUE,
	bucket INTEGER NOT NULL,
	kind   INTEGER NOT NULL,
	actor  INTEGER NOT NULL,
	target INTEGER NOT NULL,
	edge   INTEGER NOT NULL,
	also   BLOB
);
INSERT INTO mirrors_of_parts (id, bucket, kind, actor, target, edge, also)
	SELECT id, bucket, kind, actor, target, edge, also FROM mirrors ORDER BY n;
DROP TABLE mirrors;
ALTER TABLE mirrors_of_parts RENAME TO mirrors;
CREATE INDEX mirrors_bucket ON mirrors (bucket);
DROP TABLE move_plan;
DROP TABLE notes;
DROP TABLE moving;
DROP TABLE move;
