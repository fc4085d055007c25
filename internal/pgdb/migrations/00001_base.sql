-- +goose Up

-- What positions are positions of. Not the cluster's own identifier: clusters that were made from one copy share that.
CREATE TABLE meta (system bigint NOT NULL);
INSERT INTO meta SELECT ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;

-- Ids are drawn here, inside the write, so that several processes never draw the same: 41 bits of milliseconds since
-- 2000-01-01 UTC, 10 of bucket, 12 of this sequence.
CREATE SEQUENCE id_sequence AS bigint MINVALUE 0 MAXVALUE 4095 CYCLE;

-- next_id draws an id in a bucket that is higher than one drawn there before. p_at is the time where a test sets it.
-- +goose StatementBegin
CREATE FUNCTION next_id(p_bucket integer, p_after bigint, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	millis bigint := floor(extract(epoch FROM coalesce(p_at, clock_timestamp())) * 1000)::bigint - 946684800000;
	n bigint := nextval('id_sequence');
BEGIN
	IF millis < p_after >> 22 THEN -- the clock went back
		millis := p_after >> 22;
	END IF;
	IF millis = p_after >> 22 AND n <= (p_after & 4095) THEN
		millis := millis + 1;
	END IF;
	RETURN (millis << 22) | (p_bucket::bigint << 12) | n;
END $$;
-- +goose StatementEnd

-- bucket_of is the bucket in an id.
CREATE FUNCTION bucket_of(p_id bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT (p_id >> 12 & 1023)::integer';

-- now_or is the time of a write.
CREATE FUNCTION now_or(p_at timestamptz) RETURNS timestamptz LANGUAGE sql AS 'SELECT coalesce(p_at, clock_timestamp())';

-- refuse ends a write with one of the classes that package pgdb knows: FR001 not found, FR002 conflict, FR003 claimed,
-- FR004 invalid. p_what is the thing or the field.
-- +goose StatementBegin
CREATE FUNCTION refuse(p_code text, p_what text, p_detail text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = p_code, MESSAGE = p_what, DETAIL = p_detail;
END $$;
-- +goose StatementEnd

-- emit_change adds to the change feed: a logical message, which commits with the write and is in the WAL alone. Effects
-- follow in this transaction only where it was called, or mark_changed.
CREATE FUNCTION mark_changed() RETURNS void LANGUAGE sql AS $$ SELECT set_config('freshet.changed', '1', true) $$;

-- +goose StatementBegin
CREATE FUNCTION emit_change(p_kind integer, p_subject bigint, p_object bigint, p_also bigint[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM mark_changed();
	PERFORM pg_logical_emit_message(true, 'freshet', p_kind || ' ' || p_subject || ' ' || p_object ||
		coalesce(' ' || array_to_string(p_also, ' '), ''));
END $$;
-- +goose StatementEnd

-- made notes the id by which what a write made is found: effects and the claim bear it.
CREATE FUNCTION made(p_id bigint) RETURNS void LANGUAGE sql AS $$ SELECT set_config('freshet.made', p_id::text, true) $$;

CREATE FUNCTION made_id() RETURNS bigint LANGUAGE sql AS $$
	SELECT coalesce(nullif(current_setting('freshet.made', true), '')::bigint, 0) $$;

-- A job that waits is in one of three states: ready, in the lane of its key; waiting for its own time, in nobody's way; or
-- waiting for its next attempt at the head of its lane, which it holds.
CREATE TABLE jobs (
	id         bigint PRIMARY KEY,
	seq        bigint GENERATED ALWAYS AS IDENTITY, -- the order of making, which ids of one millisecond don't tell
	kind       text        NOT NULL,
	key        text COLLATE "C" NOT NULL,
	subject    bigint      NOT NULL,
	args       bytea,
	state      smallint    NOT NULL DEFAULT 0, -- 0 ready, 1 runs, 2 dead, 3 waits for run_at, 4 waits for run_at and holds its key
	run_at     timestamptz,                    -- null: at once
	attempt    integer     NOT NULL DEFAULT 0, -- how many have failed
	checkpoint bytea,                          -- where the last attempt stood
	error      text        NOT NULL DEFAULT '', -- of the last attempt
	dedupe     text,                           -- the effect's Unique
	again      boolean     NOT NULL DEFAULT false, -- run once more after this run
	owner      bigint,                         -- the process that runs it
	runs       integer     NOT NULL DEFAULT 0, -- attempts begun: together with id the fencing token of one
	created_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000); -- a queue is mostly what has left it
CREATE UNIQUE INDEX jobs_dedupe ON jobs (dedupe) WHERE dedupe IS NOT NULL AND state <> 2;
CREATE INDEX jobs_lanes ON jobs (key, seq) WHERE state IN (0, 4);                 -- claims walk it, one probe a key
CREATE UNIQUE INDEX jobs_running ON jobs (key) WHERE state = 1 AND key <> '';     -- one job of a key runs
CREATE INDEX jobs_owner ON jobs (owner) WHERE state = 1;
CREATE INDEX jobs_due ON jobs (run_at) WHERE state IN (3, 4);
CREATE INDEX jobs_ready ON jobs (seq) WHERE state = 0;                            -- the oldest
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 2;

-- emit_effect puts an effect into the outbox, if the write before it in this transaction has changed something. A job of
-- the same Unique name that waits stands for it, from its beginning: what an earlier attempt saved was read before this
-- write. One that runs may have read what is changed now, so it runs once more. The row is locked until the commit in any
-- case, so that no attempt begins before it.
-- +goose StatementBegin
CREATE FUNCTION emit_effect(p_kind text, p_key text, p_subject bigint, p_args bytea, p_run_at timestamptz, p_unique text,
	p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	about bigint := CASE WHEN p_subject = 0 THEN made_id() ELSE p_subject END;
BEGIN
	IF current_setting('freshet.changed', true) IS DISTINCT FROM '1' THEN
		RETURN false;
	END IF;
	INSERT INTO jobs (id, kind, key, subject, args, state, run_at, dedupe, created_at)
	VALUES (next_id(bucket_of(about), 0, p_at), p_kind, p_key, about, p_args, CASE WHEN p_run_at > now_or(p_at) THEN 3 ELSE 0 END,
		p_run_at, nullif(p_unique, ''), now_or(p_at))
	ON CONFLICT (dedupe) WHERE dedupe IS NOT NULL AND state <> 2 DO UPDATE
	SET again = jobs.state = 1, checkpoint = CASE WHEN jobs.state = 1 THEN jobs.checkpoint END;
	RETURN true;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION emit_effect;
DROP TABLE jobs;
DROP FUNCTION made_id;
DROP FUNCTION made;
DROP FUNCTION emit_change;
DROP FUNCTION mark_changed;
DROP FUNCTION refuse;
DROP FUNCTION now_or;
DROP FUNCTION bucket_of;
DROP FUNCTION next_id;
DROP SEQUENCE id_sequence;
DROP TABLE meta;
