-- +goose Up

-- Who follows the change feed. A name without its slot tells that changes were lost: slots are not in backups, nor on a
-- replica that is promoted.
CREATE TABLE feed_consumers (
	name text PRIMARY KEY,
	slot text NOT NULL UNIQUE
);

-- +goose Down
DROP TABLE feed_consumers;
