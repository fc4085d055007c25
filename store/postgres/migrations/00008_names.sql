-- +goose Up

-- Names of users, at home, and the claims by which users elsewhere come by them (store.Names). Names come with their key, a
-- handle in lower case. Claims on names of one user are in the order of their ids, the user's own id (its sign-up) first, and only
-- rising ones name the user. So a claim that was kept says of every handle that an earlier one took: the user has it no more.

-- claim: the one under which the name was taken last. While it is pending, held is the claim under which the user has the name
-- anyway, null if it has not.
ALTER TABLE handles ADD COLUMN claim bigint NOT NULL DEFAULT 0, ADD COLUMN pending boolean NOT NULL DEFAULT false, ADD COLUMN held bigint;
ALTER TABLE user_refs ADD COLUMN claim bigint NOT NULL DEFAULT 0, ADD COLUMN pending boolean NOT NULL DEFAULT false, ADD COLUMN held bigint;

-- The last claim that named a user of this part, or that must not any more, in claim_order.
CREATE TABLE name_claims (
	user_id bigint PRIMARY KEY,
	claim   bigint NOT NULL
);

-- The last id that was drawn for a user or a claim: those of a bucket rise, as the claims on one user's names must.
CREATE TABLE drawn (
	bucket integer PRIMARY KEY,
	id     bigint NOT NULL
);

CREATE FUNCTION claim_order(p_claim bigint, p_user bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE p_claim WHEN p_user THEN 0 ELSE p_claim END $$;

-- +goose StatementBegin
CREATE FUNCTION draw_user_id(p_bucket integer, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	v_id bigint;
BEGIN
	IF EXISTS (SELECT FROM elsewhere WHERE bucket = p_bucket) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	INSERT INTO drawn AS d (bucket, id) VALUES (p_bucket, next_id(p_bucket, 0, p_at))
		ON CONFLICT (bucket) DO UPDATE SET id = next_id(p_bucket, d.id, p_at) RETURNING d.id INTO v_id;
	RETURN v_id;
END $$;

-- claim_names takes all names or none: it gives those that it can't have, because another user or claim has them. Rows are
-- looked at under the lock that the attempt to take them has left.
CREATE FUNCTION claim_names(p_claim bigint, p_user bigint, p_handle text, p_ref text)
	RETURNS TABLE (owner bigint, owning bigint, unsettled boolean) LANGUAGE plpgsql AS $$
DECLARE
	v_handle handles;
	v_ref user_refs;
BEGIN
	PERFORM refuse_names();
	BEGIN
		IF p_handle <> '' THEN
			INSERT INTO handles AS h (handle, user_id, claim, pending) VALUES (p_handle, p_user, p_claim, true)
				ON CONFLICT (handle) DO UPDATE SET claim = p_claim, pending = true, held = CASE WHEN h.pending THEN h.held ELSE h.claim END
				WHERE h.user_id = p_user AND CASE WHEN h.pending THEN h.claim = p_claim
					ELSE claim_order(h.claim, p_user) <= claim_order(p_claim, p_user) END;
			IF NOT FOUND THEN
				SELECT * INTO v_handle FROM handles h WHERE h.handle = p_handle;
			END IF;
		END IF;
		IF p_ref <> '' THEN
			INSERT INTO user_refs AS h (ref, user_id, claim, pending) VALUES (p_ref, p_user, p_claim, true)
				ON CONFLICT (ref) DO UPDATE SET claim = p_claim, pending = true, held = CASE WHEN h.pending THEN h.held ELSE h.claim END
				WHERE h.user_id = p_user AND CASE WHEN h.pending THEN h.claim = p_claim
					ELSE claim_order(h.claim, p_user) <= claim_order(p_claim, p_user) END;
			IF NOT FOUND THEN
				SELECT * INTO v_ref FROM user_refs h WHERE h.ref = p_ref;
			END IF;
		END IF;
		IF v_handle.user_id IS NOT NULL OR v_ref.user_id IS NOT NULL THEN
			PERFORM refuse('FR006', 'name', ''); -- what was taken here is let go of
		END IF;
	EXCEPTION WHEN SQLSTATE 'FR006' THEN
		RETURN QUERY SELECT * FROM (VALUES (v_handle.user_id, v_handle.claim, v_handle.pending), (v_ref.user_id, v_ref.claim, v_ref.pending)) AS t (a, b, c)
			WHERE t.a IS NOT NULL;
	END;
END $$;

-- settle_names ends a claim. Who looks up a handle that was let go of reads it again.
CREATE FUNCTION settle_names(p_claim bigint, p_user bigint, p_handle text, p_ref text, p_kept boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM refuse_names();
	IF NOT p_kept THEN
		DELETE FROM handles WHERE handle = p_handle AND user_id = p_user AND claim = p_claim AND pending AND held IS NULL;
		UPDATE handles SET claim = held, pending = false, held = NULL WHERE handle = p_handle AND user_id = p_user AND claim = p_claim AND pending;
		DELETE FROM user_refs WHERE ref = p_ref AND user_id = p_user AND claim = p_claim AND pending AND held IS NULL;
		UPDATE user_refs SET claim = held, pending = false, held = NULL WHERE ref = p_ref AND user_id = p_user AND claim = p_claim AND pending;
	ELSE
		UPDATE handles SET pending = false, held = NULL WHERE handle = p_handle AND user_id = p_user AND claim = p_claim AND pending;
		UPDATE user_refs SET pending = false, held = NULL WHERE ref = p_ref AND user_id = p_user AND claim = p_claim AND pending;
		IF p_handle <> '' THEN
			DELETE FROM handles WHERE user_id = p_user AND handle <> p_handle AND claim_order(claim, p_user) < claim_order(p_claim, p_user);
			UPDATE handles SET held = NULL WHERE user_id = p_user AND handle <> p_handle AND pending
				AND claim_order(held, p_user) < claim_order(p_claim, p_user);
		END IF;
	END IF;
	PERFORM emit_change(1, p_user, 0);
END $$;

-- use_claim uses a claim for a user of this part, unless that was ended or a later one was used.
CREATE FUNCTION use_claim(p_claim bigint, p_user bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO name_claims AS c (user_id, claim) VALUES (p_user, claim_order(p_claim, p_user))
		ON CONFLICT (user_id) DO UPDATE SET claim = excluded.claim WHERE c.claim < excluded.claim;
	IF NOT FOUND THEN
		PERFORM refuse('FR002', 'handle', 'is taken: its claim was ended');
	END IF;
END $$;

CREATE FUNCTION create_named(p_id bigint, p_handle text, p_ref text, p_name text, p_avatar_url text, p_email text, p_password_hash text,
	p_admin boolean, p_at timestamptz) RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	u users;
BEGIN
	IF is_elsewhere(p_id) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	PERFORM use_claim(p_id, p_id);
	u.id := p_id; u.created_at := date_trunc('microseconds', now_or(p_at));
	u.handle := p_handle; u.ref := p_ref; u.name := p_name; u.bio := ''; u.avatar_url := p_avatar_url; u.email := p_email;
	u.password_hash := p_password_hash; u.admin := p_admin;
	INSERT INTO users SELECT u.*;
	INSERT INTO user_counts (id) VALUES (u.id);
	PERFORM made(u.id), emit_change(1, u.id, 0);
	RETURN u;
END $$;

-- update_named changes what is not null, and gives the handle before.
CREATE FUNCTION update_named(p_id bigint, p_claim bigint, p_handle text, p_name text, p_bio text, p_avatar_url text, p_email text)
	RETURNS users LANGUAGE plpgsql AS $$
DECLARE
	before users;
	u users;
BEGIN
	SELECT * INTO before FROM users WHERE id = p_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM refuse_missing(p_id, 'user');
	END IF;
	IF p_claim <> 0 THEN
		PERFORM use_claim(p_claim, p_id);
	END IF;
	u := before;
	u.handle := coalesce(p_handle, before.handle); u.name := coalesce(p_name, before.name); u.bio := coalesce(p_bio, before.bio);
	u.avatar_url := coalesce(p_avatar_url, before.avatar_url); u.email := coalesce(p_email, before.email);
	IF u IS DISTINCT FROM before THEN
		UPDATE users SET handle = u.handle, name = u.name, bio = u.bio, avatar_url = u.avatar_url, email = u.email WHERE id = p_id;
		PERFORM emit_change(1, p_id, 0);
	END IF;
	RETURN u;
END $$;

-- end_claim waits for who uses the claim, and lets nobody use it from now on.
CREATE FUNCTION end_claim(p_claim bigint, p_user bigint) RETURNS TABLE (handle text, ref text) LANGUAGE plpgsql AS $$
BEGIN
	IF is_elsewhere(p_user) THEN
		PERFORM refuse('FR005', 'user', '');
	END IF;
	INSERT INTO name_claims AS c (user_id, claim) VALUES (p_user, claim_order(p_claim, p_user))
		ON CONFLICT (user_id) DO UPDATE SET claim = greatest(c.claim, excluded.claim);
	RETURN QUERY SELECT u.handle, u.ref FROM users u WHERE u.id = p_user;
END $$;
-- +goose StatementEnd
