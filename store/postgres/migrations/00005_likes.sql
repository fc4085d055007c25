-- +goose Up

-- like_many is like_post (p_on) or unlike_post for many at once: the counter of a post changes once, and all share a commit.
-- It draws ids as next_id does and tells as emit_change does, without a call for each. No pair of user and post comes twice. The answers are in the order of what was asked; missing says what there is not, and
-- then nothing was done for that one.
-- +goose StatementBegin
CREATE FUNCTION like_many(p_on boolean, p_actors bigint[], p_posts bigint[], p_at timestamptz)
	RETURNS TABLE (missing text, likes bigint, changed boolean) LANGUAGE plpgsql AS $$
DECLARE
	millis bigint := floor(extract(epoch FROM now_or(p_at)) * 1000)::bigint - 946684800000;
	v_missing text[];
	v_posts bigint[];
	v_users bigint[];
BEGIN
	-- Each user, then each post, once and in order: no two calls wait for each other, nor for who erases and deletes.
	PERFORM FROM user_counts WHERE id = ANY (p_actors) ORDER BY id FOR KEY SHARE;
	PERFORM FROM post_counts WHERE id = ANY (p_posts) ORDER BY id FOR NO KEY UPDATE;
	SELECT array_agg(CASE WHEN u.id IS NULL THEN 'user'
			WHEN c.id IS NULL OR p_on AND (EXISTS (SELECT FROM blocks b WHERE b.blocker = c.author AND b.blocked = a.actor)
				OR EXISTS (SELECT FROM blocked_by b WHERE b.blocked = c.author AND b.blocker = a.actor)) THEN 'post'
			ELSE '' END ORDER BY a.place)
		INTO v_missing FROM unnest(p_actors, p_posts) WITH ORDINALITY AS a (actor, post, place)
		LEFT JOIN user_counts u ON u.id = a.actor LEFT JOIN post_counts c ON c.id = a.post;
	IF p_on THEN
		WITH done AS (INSERT INTO likes AS l (post, user_id, id)
			SELECT a.post, a.actor, (millis << 22) | (a.post & (1023 << 12)) | nextval('id_sequence') FROM unnest(p_actors, p_posts, v_missing) AS a (actor, post, missing)
			WHERE a.missing = '' ON CONFLICT DO NOTHING RETURNING l.post, l.user_id)
		SELECT array_agg(d.post), array_agg(d.user_id) INTO v_posts, v_users FROM done d;
	ELSE
		WITH done AS (DELETE FROM likes l USING unnest(p_actors, p_posts, v_missing) AS a (actor, post, missing)
			WHERE a.missing = '' AND l.post = a.post AND l.user_id = a.actor RETURNING l.post, l.user_id)
		SELECT array_agg(d.post), array_agg(d.user_id) INTO v_posts, v_users FROM done d;
	END IF;
	IF v_posts IS NOT NULL THEN
		PERFORM mark_changed();
		PERFORM pg_logical_emit_message(true, 'freshet', '9 ' || d.post || ' ' || d.user_id) FROM unnest(v_posts, v_users) AS d (post, user_id);
		UPDATE post_counts c SET likes = c.likes + CASE WHEN p_on THEN d.n ELSE -d.n END
			FROM (SELECT post, count(*) AS n FROM unnest(v_posts) AS post GROUP BY post) AS d WHERE c.id = d.post;
	END IF;
	RETURN QUERY SELECT a.missing, coalesce(c.likes, 0), d.post IS NOT NULL
		FROM unnest(p_actors, p_posts, v_missing) WITH ORDINALITY AS a (actor, post, missing, place)
		LEFT JOIN post_counts c ON c.id = a.post
		LEFT JOIN unnest(v_posts, v_users) AS d (post, user_id) ON d.post = a.post AND d.user_id = a.actor
		ORDER BY a.place;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION like_many;
