-- +goose Up

-- The schema is ready to be split by bucket: a fact lives on its actor's bucket
-- (a like or comment on its post's), and what the other side must know without
-- asking there is mirrored. handles and user_refs belong to home, because names
-- are unique across all buckets.

CREATE TABLE users (
	id              INTEGER PRIMARY KEY,
	followers_count INTEGER NOT NULL DEFAULT 0,
	following_count INTEGER NOT NULL DEFAULT 0,
	posts_count     INTEGER NOT NULL DEFAULT 0,
	created_at      INTEGER NOT NULL, -- all times: nanoseconds since 1970, 0 for none
	admin           INTEGER NOT NULL,
	handle          TEXT NOT NULL,    -- as given
	ref             TEXT NOT NULL,    -- '' for none
	name            TEXT NOT NULL,
	bio             TEXT NOT NULL,
	avatar_url      TEXT NOT NULL,
	email           TEXT NOT NULL,
	password_hash   TEXT NOT NULL
);

CREATE TABLE handles (
	handle TEXT PRIMARY KEY, -- in lower case
	user   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE user_refs (
	ref  TEXT PRIMARY KEY,
	user INTEGER NOT NULL
) WITHOUT ROWID;

-- Counts stand before the text, so that reading them never walks overflow pages.
CREATE TABLE posts (
	id         INTEGER PRIMARY KEY,
	author     INTEGER NOT NULL,
	likes      INTEGER NOT NULL DEFAULT 0,
	comments   INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	edited_at  INTEGER NOT NULL DEFAULT 0,
	ref        TEXT NOT NULL,
	text       TEXT NOT NULL,
	data       BLOB
);
-- An index ends with the rowid, which is the id: this is (author, id).
CREATE INDEX posts_author ON posts (author);

CREATE TABLE post_refs (
	author INTEGER NOT NULL,
	ref    TEXT    NOT NULL,
	post   INTEGER NOT NULL,
	PRIMARY KEY (author, ref)
) WITHOUT ROWID;

CREATE TABLE follows (
	follower INTEGER NOT NULL,
	followee INTEGER NOT NULL,
	id       INTEGER NOT NULL,
	PRIMARY KEY (follower, followee)
) WITHOUT ROWID;
CREATE INDEX follows_id ON follows (follower, id);

CREATE TABLE followers ( -- mirrors follows
	followee INTEGER NOT NULL,
	id       INTEGER NOT NULL,
	follower INTEGER NOT NULL,
	PRIMARY KEY (followee, id, follower)
) WITHOUT ROWID;

CREATE TABLE blocks (
	blocker INTEGER NOT NULL,
	blocked INTEGER NOT NULL,
	id      INTEGER NOT NULL,
	PRIMARY KEY (blocker, blocked)
) WITHOUT ROWID;
CREATE INDEX blocks_id ON blocks (blocker, id);

CREATE TABLE blocked_by ( -- mirrors blocks
	blocked INTEGER NOT NULL,
	blocker INTEGER NOT NULL,
	PRIMARY KEY (blocked, blocker)
) WITHOUT ROWID;

CREATE TABLE mutes (
	muter INTEGER NOT NULL,
	muted INTEGER NOT NULL,
	id    INTEGER NOT NULL,
	PRIMARY KEY (muter, muted)
) WITHOUT ROWID;
CREATE INDEX mutes_id ON mutes (muter, id);
CREATE INDEX mutes_muted ON mutes (muted); -- for erasure alone

CREATE TABLE likes (
	post INTEGER NOT NULL,
	user INTEGER NOT NULL,
	id   INTEGER NOT NULL,
	PRIMARY KEY (post, user)
) WITHOUT ROWID;
CREATE INDEX likes_user ON likes (user, post);

CREATE TABLE comments (
	id         INTEGER PRIMARY KEY,
	post       INTEGER NOT NULL,
	author     INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	text       TEXT NOT NULL
);
CREATE INDEX comments_post ON comments (post);
CREATE INDEX comments_author ON comments (author);

CREATE TABLE sessions (
	id         INTEGER PRIMARY KEY,
	user       INTEGER NOT NULL,
	hash       BLOB    NOT NULL UNIQUE,
	admin      INTEGER NOT NULL,
	agent      TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
);
CREATE INDEX sessions_user ON sessions (user);
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE api_keys (
	id         INTEGER PRIMARY KEY,
	name       TEXT    NOT NULL,
	hash       BLOB    NOT NULL UNIQUE,
	admin      INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at = 0;

CREATE TABLE claims (
	key        BLOB PRIMARY KEY,
	hash       BLOB    NOT NULL,
	subject    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	status     INTEGER NOT NULL,
	answer     BLOB
) WITHOUT ROWID;
CREATE INDEX claims_created ON claims (created_at);

CREATE TABLE secrets (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- What was imported is known for good: neither deleting a post nor erasing its
-- author is undone by importing the same file again.
CREATE TABLE imported (
	hash BLOB PRIMARY KEY, -- the first 16 bytes of SHA-256
	post INTEGER NOT NULL  -- its bucket is the row's
) WITHOUT ROWID;

-- +goose Down
DROP TABLE imported;
DROP TABLE secrets;
DROP TABLE claims;
DROP TABLE api_keys;
DROP TABLE sessions;
DROP TABLE comments;
DROP TABLE likes;
DROP TABLE mutes;
DROP TABLE blocked_by;
DROP TABLE blocks;
DROP TABLE followers;
DROP TABLE follows;
DROP TABLE post_refs;
DROP TABLE posts;
DROP TABLE user_refs;
DROP TABLE handles;
DROP TABLE users;
