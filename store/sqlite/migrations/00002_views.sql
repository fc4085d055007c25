-- +goose Up

-- What was seen of posts, on the post's bucket. An hour is the number of hours
-- since 2000-01-01 UTC, which is what ids count milliseconds from.

CREATE TABLE post_views (
	post  INTEGER PRIMARY KEY,
	views INTEGER NOT NULL -- since the post was written
);

CREATE TABLE post_view_hours (
	post  INTEGER NOT NULL,
	hour  INTEGER NOT NULL,
	views INTEGER NOT NULL,
	PRIMARY KEY (post, hour)
) WITHOUT ROWID;
CREATE INDEX post_view_hours_hour ON post_view_hours (hour); -- for the purge

-- Apart from post_views, whose rows change more often and would take the set along.
CREATE TABLE post_readers (
	post    INTEGER PRIMARY KEY,
	readers BLOB    NOT NULL  -- as package store/reach writes it
);

-- The last batch of views that was added from each journal, and how much of it.
CREATE TABLE view_batches (
	journal BLOB PRIMARY KEY,
	seq     INTEGER NOT NULL,
	part    INTEGER NOT NULL
) WITHOUT ROWID;

-- Likes by hour: an id bears the time.
CREATE INDEX likes_post ON likes (post, id);

-- +goose Down
DROP INDEX likes_post;
DROP TABLE view_batches;
DROP TABLE post_readers;
DROP TABLE post_view_hours;
DROP TABLE post_views;
