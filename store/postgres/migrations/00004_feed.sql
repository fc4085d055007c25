-- +goose Up

-- What the change feed hears of writes that call none of the functions here. Counters are no facts, mirrors change with
-- their originals. A post is named by its table, whichever partition holds it.
CREATE PUBLICATION freshet FOR TABLE users, follows, blocks, mutes, posts, likes, comments, sessions, api_keys
	WITH (publish_via_partition_root = true);

-- +goose Down
DROP PUBLICATION freshet;
