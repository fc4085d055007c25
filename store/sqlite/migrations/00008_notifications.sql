-- +goose Up

-- What users are told, on their bucket. Object is what the fact is about, by which it is found when that ends: the post of a like, the
-- comment, or who is followed, asked or accepted. What came from elsewhere has no actor; its object is the user, its name makes it one.
CREATE TABLE notifications (
	id     INTEGER PRIMARY KEY,
	user   INTEGER NOT NULL,
	kind   INTEGER NOT NULL,
	actor  INTEGER NOT NULL,
	object INTEGER NOT NULL,
	post   INTEGER NOT NULL,
	name   TEXT NOT NULL,
	text   TEXT NOT NULL
);
CREATE INDEX notifications_user ON notifications (user); -- and id, which is the rowid
CREATE UNIQUE INDEX notifications_fact ON notifications (actor, kind, object, name);

ALTER TABLE users ADD COLUMN notified INTEGER NOT NULL DEFAULT 0; -- the highest that the user has seen

-- +goose Down
ALTER TABLE users DROP COLUMN notified;
DROP TABLE notifications;
