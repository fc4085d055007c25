-- +goose Up

-- A fact lies on its actor's bucket (a like or comment on its post's), and what the other side must know without asking
-- there is mirrored, so that the data can be split by bucket. handles, user_refs and api_keys belong to home. What changes
-- often, the counters, has tables of its own with room on each page for updates in place; the row of user_counts is also
-- what a write about a user locks.

CREATE TABLE users (
	id            bigint PRIMARY KEY,
	created_at    timestamptz NOT NULL,
	admin         boolean NOT NULL,
	handle        text NOT NULL, -- as given
	ref           text NOT NULL, -- '' for none
	name          text NOT NULL,
	bio           text NOT NULL DEFAULT '',
	avatar_url    text NOT NULL,
	email         text NOT NULL,
	password_hash text NOT NULL
);

CREATE TABLE user_counts (
	id        bigint PRIMARY KEY,
	followers bigint NOT NULL DEFAULT 0,
	following bigint NOT NULL DEFAULT 0,
	posts     bigint NOT NULL DEFAULT 0,
	head      bigint NOT NULL DEFAULT 0 -- the newest post's id, 0 for none: the pull query begins with it
) WITH (fillfactor = 70);

CREATE TABLE handles (
	handle  text PRIMARY KEY, -- in lower case
	user_id bigint NOT NULL
);

CREATE TABLE user_refs (
	ref     text PRIMARY KEY,
	user_id bigint NOT NULL
);

-- Ids are times, so ranges of ids are ranges of time; see ensure_partitions.
CREATE TABLE posts (
	id         bigint PRIMARY KEY,
	author     bigint NOT NULL,
	created_at timestamptz NOT NULL,
	edited_at  timestamptz,
	ref        text NOT NULL,
	text       text NOT NULL,
	data       bytea
) PARTITION BY RANGE (id);
CREATE INDEX posts_author ON posts (author, id);

CREATE TABLE post_counts (
	id       bigint PRIMARY KEY,
	author   bigint NOT NULL,
	likes    bigint NOT NULL DEFAULT 0,
	comments bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

CREATE TABLE post_refs (
	author bigint NOT NULL,
	ref    text   NOT NULL,
	post   bigint NOT NULL,
	PRIMARY KEY (author, ref)
);

CREATE TABLE follows (
	follower bigint NOT NULL,
	followee bigint NOT NULL,
	id       bigint NOT NULL,
	PRIMARY KEY (follower, followee)
);
CREATE UNIQUE INDEX follows_id ON follows (follower, id);

CREATE TABLE followers ( -- mirrors follows
	followee bigint NOT NULL,
	id       bigint NOT NULL,
	follower bigint NOT NULL,
	PRIMARY KEY (followee, id, follower)
);

CREATE TABLE blocks (
	blocker bigint NOT NULL,
	blocked bigint NOT NULL,
	id      bigint NOT NULL,
	PRIMARY KEY (blocker, blocked)
);
CREATE INDEX blocks_id ON blocks (blocker, id);

CREATE TABLE blocked_by ( -- mirrors blocks
	blocked bigint NOT NULL,
	blocker bigint NOT NULL,
	PRIMARY KEY (blocked, blocker)
);

CREATE TABLE mutes (
	muter bigint NOT NULL,
	muted bigint NOT NULL,
	id    bigint NOT NULL,
	PRIMARY KEY (muter, muted)
);
CREATE INDEX mutes_id ON mutes (muter, id);
CREATE INDEX mutes_muted ON mutes (muted); -- for erasure alone

CREATE TABLE likes (
	post    bigint NOT NULL,
	user_id bigint NOT NULL,
	id      bigint NOT NULL,
	PRIMARY KEY (post, user_id)
);
CREATE INDEX likes_user ON likes (user_id, post);
CREATE INDEX likes_post ON likes (post, id); -- by hour: an id bears the time

CREATE TABLE comments (
	id         bigint PRIMARY KEY,
	post       bigint NOT NULL,
	author     bigint NOT NULL,
	created_at timestamptz NOT NULL,
	text       text NOT NULL
);
CREATE INDEX comments_post ON comments (post, id);
CREATE INDEX comments_author ON comments (author, id);

CREATE TABLE sessions (
	id         bigint PRIMARY KEY,
	user_id    bigint NOT NULL,
	hash       bytea NOT NULL UNIQUE,
	admin      boolean NOT NULL,
	agent      text NOT NULL,
	created_at timestamptz NOT NULL,
	used_at    timestamptz NOT NULL,
	expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE api_keys (
	id         bigint PRIMARY KEY,
	name       text NOT NULL,
	hash       bytea NOT NULL UNIQUE,
	admin      boolean NOT NULL,
	created_at timestamptz NOT NULL,
	revoked_at timestamptz
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;

CREATE TABLE claims (
	key        bytea PRIMARY KEY,
	hash       bytea NOT NULL,
	subject    bigint NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL,
	status     integer NOT NULL DEFAULT 0,
	answer     bytea
);
CREATE INDEX claims_created ON claims (created_at);

CREATE TABLE secrets (
	name  text PRIMARY KEY,
	value bytea NOT NULL
);

-- What was imported is known for good: neither deleting a post nor erasing its author is undone by importing the same file
-- again.
CREATE TABLE imported (
	hash bytea PRIMARY KEY, -- the first 16 bytes of SHA-256
	post bigint NOT NULL    -- its bucket is the row's
);

CREATE TABLE post_views (
	post  bigint PRIMARY KEY,
	views bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE post_view_hours (
	post  bigint  NOT NULL,
	hour  integer NOT NULL, -- since 2000-01-01 UTC
	views bigint  NOT NULL,
	PRIMARY KEY (post, hour)
) WITH (fillfactor = 70);
CREATE INDEX post_view_hours_hour ON post_view_hours (hour); -- for the purge

CREATE TABLE post_readers (
	post    bigint PRIMARY KEY,
	readers bytea NOT NULL -- as package store/reach writes it
);

-- The last batch of views that was added from each journal, and how much of it.
CREATE TABLE view_batches (
	journal bytea   PRIMARY KEY,
	seq     bigint  NOT NULL,
	part    integer NOT NULL
);

-- What psql deletes must say whose it was.
ALTER TABLE comments REPLICA IDENTITY FULL;
ALTER TABLE sessions REPLICA IDENTITY FULL;

-- ensure_partitions makes a partition of posts for all before this year and one for each of the next years, where there are
-- none yet. A query that can't prune visits each, so they are few.
-- +goose StatementBegin
CREATE FUNCTION ensure_partitions(p_years integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	this integer := extract(year FROM now())::integer;
	first_id bigint;
	next_id bigint;
	from_year integer;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('freshet.partitions'));
	IF to_regclass('posts_past') IS NULL THEN
		EXECUTE format('CREATE TABLE posts_past PARTITION OF posts FOR VALUES FROM (MINVALUE) TO (%s)', id_of_year(this));
		ALTER TABLE posts_past REPLICA IDENTITY FULL;
	END IF;
	FOR from_year IN this .. this + p_years LOOP
		CONTINUE WHEN to_regclass('posts_' || from_year) IS NOT NULL;
		first_id := id_of_year(from_year);
		next_id := id_of_year(from_year + 1);
		EXECUTE format('CREATE TABLE posts_%s PARTITION OF posts FOR VALUES FROM (%s) TO (%s)', from_year, first_id, next_id);
		EXECUTE format('ALTER TABLE posts_%s REPLICA IDENTITY FULL', from_year);
	END LOOP;
END $$;
-- +goose StatementEnd

CREATE FUNCTION id_of_year(p_year integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT (extract(epoch FROM make_timestamptz(p_year, 1, 1, 0, 0, 0, 'UTC')) * 1000)::bigint - 946684800000 << 22 $$;

-- +goose Down
DROP TABLE view_batches, post_readers, post_view_hours, post_views, imported, secrets, claims, api_keys, sessions, comments,
	likes, mutes, blocked_by, blocks, followers, follows, post_refs, post_counts, posts, user_refs, handles, user_counts, users;
DROP FUNCTION ensure_partitions;
DROP FUNCTION id_of_year;
