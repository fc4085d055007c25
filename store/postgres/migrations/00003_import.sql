-- +goose Up

-- What an import calls, once per chunk. Chunks of one database take turns.

-- +goose StatementBegin
-- lock_imported locks the users of a chunk. Where one was erased since it was found, the chunk is to be repeated.
CREATE FUNCTION lock_imported(p_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM user_counts WHERE id = ANY (p_ids) ORDER BY id FOR NO KEY UPDATE;
	IF EXISTS (SELECT FROM unnest(p_ids) AS id WHERE NOT EXISTS (SELECT FROM user_counts c WHERE c.id = id.id)) THEN
		RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'a user of the chunk was erased';
	END IF;
END $$;

CREATE FUNCTION import_users(p_handles text[], p_keys text[], p_buckets integer[], p_at timestamptz)
	RETURNS TABLE (handle text, user_id bigint, created boolean) LANGUAGE plpgsql AS $$
DECLARE
	i integer;
	u users;
BEGIN
	BEGIN
		FOR i IN 1 .. cardinality(p_handles) LOOP
			handle := p_keys[i];
			SELECT h.user_id INTO user_id FROM handles h WHERE h.handle = p_keys[i];
			created := NOT FOUND;
			IF created THEN
				u := add_user(p_handles[i], p_keys[i], '', p_buckets[i], p_handles[i], '', '', '', false, p_at);
				user_id := u.id;
			END IF;
			RETURN NEXT;
		END LOOP;
	EXCEPTION WHEN SQLSTATE 'FR002' THEN -- who signs up at this moment is met when the chunk is repeated
		RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'a user of the chunk signed up';
	END;
END $$;

CREATE FUNCTION import_follows(p_followers bigint[], p_followees bigint[], p_at timestamptz)
	RETURNS TABLE (follower bigint, followee bigint) LANGUAGE plpgsql AS $$
DECLARE
	i integer;
BEGIN
	PERFORM lock_imported(p_followers || p_followees);
	FOR i IN 1 .. cardinality(p_followers) LOOP
		follower := p_followers[i];
		followee := p_followees[i];
		CONTINUE WHEN EXISTS (SELECT FROM blocks b WHERE b.blocker = follower AND b.blocked = followee)
			OR EXISTS (SELECT FROM blocked_by b WHERE b.blocked = follower AND b.blocker = followee);
		IF add_follow(follower, followee, p_at) THEN
			UPDATE user_counts c SET following = c.following + 1 WHERE c.id = follower;
			UPDATE user_counts c SET followers = c.followers + 1 WHERE c.id = followee;
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;

-- import_posts places each post at the first id of its millisecond and bucket that is free: p_firsts is sequence 0.
CREATE FUNCTION import_posts(p_authors bigint[], p_firsts bigint[], p_hashes bytea[], p_times timestamptz[], p_texts text[])
	RETURNS TABLE (author bigint, post bigint) LANGUAGE plpgsql AS $$
DECLARE
	i integer;
BEGIN
	PERFORM lock_imported(p_authors);
	FOR i IN 1 .. cardinality(p_authors) LOOP
		author := p_authors[i];
		CONTINUE WHEN EXISTS (SELECT FROM imported WHERE hash = p_hashes[i]);
		SELECT coalesce(min(n), 4096) INTO post FROM (
			SELECT row_number() OVER (ORDER BY id) - 1 AS n, id - p_firsts[i] AS used FROM posts
			WHERE id >= p_firsts[i] AND id < p_firsts[i] + 4096) AS taken WHERE n <> used;
		IF post = 4096 THEN -- none is left out below the highest
			SELECT count(*) INTO post FROM posts WHERE id >= p_firsts[i] AND id < p_firsts[i] + 4096;
		END IF;
		IF post = 4096 THEN
			RAISE EXCEPTION 'all 4096 ids of the millisecond % are taken', p_firsts[i] >> 22;
		END IF;
		post := p_firsts[i] + post;
		INSERT INTO imported (hash, post) VALUES (p_hashes[i], import_posts.post);
		INSERT INTO posts (id, author, created_at, ref, text) VALUES (import_posts.post, import_posts.author, p_times[i], '', p_texts[i]);
		INSERT INTO post_counts (id, author) VALUES (import_posts.post, import_posts.author);
		UPDATE user_counts c SET posts = c.posts + 1, head = greatest(c.head, import_posts.post) WHERE c.id = import_posts.author;
		RETURN NEXT;
	END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION import_posts, import_follows, import_users, lock_imported;
