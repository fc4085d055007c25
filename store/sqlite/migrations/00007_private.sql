-- +goose Up

-- Who is private is asked for each follow. A request lies on the bucket of who is asked. One that was accepted is there until it
-- is a follow.
ALTER TABLE users ADD COLUMN private INTEGER NOT NULL DEFAULT 0;

CREATE TABLE follow_requests (
	target    INTEGER NOT NULL,
	requester INTEGER NOT NULL,
	id        INTEGER NOT NULL,
	accepted  INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (target, requester)
) WITHOUT ROWID;
CREATE INDEX follow_requests_id ON follow_requests (target, id);
CREATE INDEX follow_requests_requester ON follow_requests (requester); -- for erasure alone

-- +goose Down
DROP TABLE follow_requests;
ALTER TABLE users DROP COLUMN private;
