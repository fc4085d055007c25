-- +goose Up

-- A file may hold some of the buckets, beside other parts that have the rest
-- (store.Part). One that holds all has no rows in the tables made here, but for
-- those that remember erasures.

CREATE TABLE elsewhere (
	bucket INTEGER PRIMARY KEY
);

-- What other parts have to be told, in the order of the facts.
CREATE TABLE mirrors (
	n      INTEGER PRIMARY KEY,
	id     INTEGER NOT NULL UNIQUE,
	bucket INTEGER NOT NULL, -- the target's; -1 for all parts
	kind   INTEGER NOT NULL,
	actor  INTEGER NOT NULL,
	target INTEGER NOT NULL,
	edge   INTEGER NOT NULL,
	also   BLOB              -- 8 bytes for each user
);
CREATE INDEX mirrors_bucket ON mirrors (bucket); -- and n, which is the rowid

-- Mirrors of other parts that were applied here, for a day.
CREATE TABLE mirrored (
	id      INTEGER PRIMARY KEY,
	refused INTEGER NOT NULL,
	at      INTEGER NOT NULL
);
CREATE INDEX mirrored_at ON mirrored (at);

-- Users who were erased, and such as never will be made.
CREATE TABLE ended (
	id INTEGER PRIMARY KEY
);

-- A block's end takes away the mirror of that block alone.
ALTER TABLE blocked_by ADD COLUMN id INTEGER NOT NULL DEFAULT 0;
UPDATE blocked_by SET id = (SELECT b.id FROM blocks b WHERE b.blocker = blocked_by.blocker AND b.blocked = blocked_by.blocked);

-- claim: the one under which a name was taken last. While it is pending, held is
-- the claim under which the user has the name anyway, NULL if it has not.
ALTER TABLE handles ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
ALTER TABLE handles ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE handles ADD COLUMN held INTEGER;
ALTER TABLE user_refs ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_refs ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE user_refs ADD COLUMN held INTEGER;
CREATE INDEX handles_user ON handles (user);
CREATE INDEX user_refs_user ON user_refs (user);

-- The highest claim that named the user, or that can't any more.
ALTER TABLE users ADD COLUMN claim INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE users DROP COLUMN claim;
DROP INDEX user_refs_user;
DROP INDEX handles_user;
ALTER TABLE user_refs DROP COLUMN held;
ALTER TABLE user_refs DROP COLUMN pending;
ALTER TABLE user_refs DROP COLUMN claim;
ALTER TABLE handles DROP COLUMN held;
ALTER TABLE handles DROP COLUMN pending;
ALTER TABLE handles DROP COLUMN claim;
ALTER TABLE blocked_by DROP COLUMN id;
DROP TABLE ended;
DROP TABLE mirrored;
DROP TABLE mirrors;
DROP TABLE elsewhere;
