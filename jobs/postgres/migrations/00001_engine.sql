-- +goose Up

-- The functions of the job engine; the table jobs and its indexes are pgdb's. Each settles what the planner may choose from:
-- a plan made while the table was small must not read a large one.

-- A process that runs jobs. Without a beat for long its jobs are taken back.
CREATE TABLE job_processes (
	id      bigint PRIMARY KEY,
	beat_at timestamptz NOT NULL
) WITH (fillfactor = 50); -- room on the page for the next beat

-- release_jobs puts what a process runs back where it was: an attempt that was interrupted does not count. What was asked
-- for again while it ran begins anew.
-- +goose StatementBegin
CREATE FUNCTION release_jobs(p_owner bigint) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	n integer;
BEGIN
	UPDATE jobs SET state = 0, owner = NULL, again = false, attempt = CASE WHEN again THEN 0 ELSE attempt END,
		checkpoint = CASE WHEN again THEN NULL ELSE checkpoint END
	WHERE owner = p_owner AND state = 1;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
-- +goose StatementEnd

-- beat_jobs notes that a process lives, and takes back the jobs of those that were silent for p_silence; null: of nobody.
-- alive is false when somebody has done that to the caller.
-- +goose StatementBegin
CREATE FUNCTION beat_jobs(p_owner bigint, p_silence interval, OUT alive boolean, OUT taken integer) LANGUAGE plpgsql AS $$
DECLARE
	dead bigint;
BEGIN
	UPDATE job_processes SET beat_at = clock_timestamp() WHERE id = p_owner;
	alive := FOUND;
	taken := 0;
	FOR dead IN DELETE FROM job_processes WHERE id IN (
			SELECT id FROM job_processes WHERE beat_at < clock_timestamp() - p_silence FOR UPDATE SKIP LOCKED) RETURNING id LOOP
		taken := taken + release_jobs(dead);
	END LOOP;
END $$;
-- +goose StatementEnd

-- promote_jobs makes ready what has waited for its time, and tells how many that were and in how many microseconds the next
-- one is due. jobs_due serves both.
-- +goose StatementBegin
CREATE FUNCTION promote_jobs(p_at timestamptz, p_limit integer, OUT promoted integer, OUT next_in bigint) LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	at timestamptz := now_or(p_at);
BEGIN
	WITH due AS MATERIALIZED (
		SELECT id FROM jobs WHERE state IN (3, 4) AND run_at <= at ORDER BY run_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
	UPDATE jobs j SET state = 0 FROM due WHERE j.id = due.id;
	GET DIAGNOSTICS promoted = ROW_COUNT;
	SELECT extract(epoch FROM run_at - at) * 1000000 INTO next_in FROM jobs WHERE state IN (3, 4) ORDER BY run_at LIMIT 1;
END $$;
-- +goose StatementEnd

-- claim_keyless gives a process up to p_slots jobs without a key.
-- +goose StatementBegin
CREATE FUNCTION claim_keyless(p_owner bigint, p_kinds text[], p_slots integer) RETURNS integer LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	n integer;
BEGIN
	WITH picked AS MATERIALIZED (
		SELECT id FROM jobs WHERE key = '' AND state = 0 AND kind = ANY (p_kinds) ORDER BY key, seq LIMIT p_slots FOR UPDATE SKIP LOCKED)
	UPDATE jobs j SET state = 1, owner = p_owner, runs = runs + 1 FROM picked WHERE j.id = picked.id;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
-- +goose StatementEnd

-- claim_jobs gives a process up to p_slots jobs of the kinds that it has handlers for, each the first of its key. It goes
-- round the keys that have work, one job a key and one for all without a key:
--
--	p_from ─▶ user:17 ─▶ user:9 ─▶ end ─▶ (no key) ─▶ post:3 ─▶ … ─▶ p_from: the round is whole
--
-- A step is one probe of the index jobs_lanes, whose next entry behind (key, ∞) is the head of the next lane: a million
-- jobs that wait behind one key are passed by in one step. A key is passed by when one of its jobs runs, when its head waits
-- for its next attempt, or when another process has its hands on the head. After p_visits keys a call ends where it stands
-- (stands, wrapped), and the next one may go on there. A process whose jobs were taken back is not alive and gets nothing.
--
-- Between the probe and the claim the lane may change. Two may not run at once: jobs_running refuses that. Nor may the head
-- have got somebody in front of it: who has a key's entry in jobs_running sees all that was done under it before, so it is
-- looked at again.
-- +goose StatementBegin
CREATE FUNCTION claim_jobs(p_owner bigint, p_kinds text[], p_from text, p_slots integer, p_visits integer,
	OUT alive boolean, INOUT stands text, INOUT wrapped boolean, OUT whole boolean) LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	undone boolean := false;
	head   record;
BEGIN
	PERFORM FROM job_processes WHERE id = p_owner FOR KEY SHARE; -- whoever takes its jobs back waits, or was faster
	alive := FOUND;
	whole := false;
	WHILE alive AND p_slots > 0 AND p_visits > 0 LOOP
		p_visits := p_visits - 1;
		SELECT j.id, j.key, j.seq, j.state, EXISTS (SELECT FROM jobs r WHERE r.key = j.key AND r.key <> '' AND r.state = 1) AS busy
		INTO head FROM jobs j
		WHERE j.state IN (0, 4) AND j.key > stands AND j.kind = ANY (p_kinds) ORDER BY j.key, j.seq LIMIT 1;
		IF head.id IS NULL AND NOT wrapped THEN
			wrapped := true;
			stands := '';
			p_slots := p_slots - claim_keyless(p_owner, p_kinds, 1);
			CONTINUE;
		END IF;
		IF head.id IS NULL OR wrapped AND head.key > p_from THEN
			whole := true;
			EXIT;
		END IF;
		stands := head.key;
		CONTINUE WHEN head.busy OR head.state = 4;
		UPDATE jobs j SET state = 1, owner = p_owner, runs = runs + 1
		FROM (SELECT id FROM jobs WHERE id = head.id AND state = 0 FOR UPDATE SKIP LOCKED) AS mine WHERE j.id = mine.id;
		CONTINUE WHEN NOT FOUND;
		IF EXISTS (SELECT FROM jobs e WHERE e.key = head.key AND e.seq < head.seq AND e.state IN (0, 4) AND e.kind = ANY (p_kinds)) THEN
			UPDATE jobs SET state = 0, owner = NULL WHERE id = head.id;
			undone := true;
			CONTINUE;
		END IF;
		p_slots := p_slots - 1;
	END LOOP;
	IF whole AND p_slots > 0 THEN
		PERFORM claim_keyless(p_owner, p_kinds, p_slots);
	END IF;
	IF undone THEN -- once more round
		wrapped := false;
		whole := false;
	END IF;
END $$;
-- +goose StatementEnd

-- finish_jobs writes how attempts ended: 0 done, 1 failed, 2 dead, 3 interrupted. The fence: an attempt ends its job only
-- while that is in the same run. Jobs that were asked for again while they ran are passed over by what would end them; the last
-- statement, which sees what committed meanwhile, puts these back to begin anew, and the interrupted as they were. (state + 0:
-- by id is the way to a job, and not through the index of all that run.)
-- +goose StatementBegin
CREATE FUNCTION finish_jobs(p_ids bigint[], p_runs integer[], p_results integer[], p_attempts integer[], p_delays bigint[],
	p_errors text[], p_at timestamptz) RETURNS void LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
	n    integer;
	rest integer := cardinality(p_ids);
BEGIN
	IF 0 = ANY (p_results) THEN
		DELETE FROM jobs j USING unnest(p_ids, p_runs, p_results) AS o (id, run, result)
		WHERE j.id = o.id AND j.runs = o.run AND j.state + 0 = 1 AND NOT j.again AND o.result = 0;
		GET DIAGNOSTICS n = ROW_COUNT;
		rest := rest - n;
	END IF;
	IF 1 = ANY (p_results) THEN
		UPDATE jobs j SET state = CASE WHEN j.key = '' THEN 3 ELSE 4 END, run_at = now_or(p_at) + o.delay * interval '1 microsecond',
			attempt = o.attempt, error = o.error, owner = NULL, again = false, checkpoint = CASE WHEN j.again THEN NULL ELSE j.checkpoint END
		FROM unnest(p_ids, p_runs, p_results, p_attempts, p_delays, p_errors) AS o (id, run, result, attempt, delay, error)
		WHERE j.id = o.id AND j.runs = o.run AND j.state + 0 = 1 AND o.result = 1;
		GET DIAGNOSTICS n = ROW_COUNT;
		rest := rest - n;
	END IF;
	IF 2 = ANY (p_results) THEN
		UPDATE jobs j SET state = 2, attempt = o.attempt, error = o.error, owner = NULL
		FROM unnest(p_ids, p_runs, p_results, p_attempts, p_errors) AS o (id, run, result, attempt, error)
		WHERE j.id = o.id AND j.runs = o.run AND j.state + 0 = 1 AND NOT j.again AND o.result = 2;
		GET DIAGNOSTICS n = ROW_COUNT;
		rest := rest - n;
	END IF;
	IF rest > 0 THEN
		UPDATE jobs j SET state = 0, owner = NULL, again = false, attempt = CASE WHEN j.again THEN 0 ELSE j.attempt END,
			checkpoint = CASE WHEN j.again THEN NULL ELSE j.checkpoint END
		FROM unnest(p_ids, p_runs) AS o (id, run)
		WHERE j.id = o.id AND j.runs = o.run AND j.state + 0 = 1;
	END IF;
END $$;
-- +goose StatementEnd

-- jobs_busy tells whether a job runs anywhere, or could run where there are handlers of these kinds.
-- +goose StatementBegin
CREATE FUNCTION jobs_busy(p_kinds text[], p_at timestamptz) RETURNS boolean LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
	at     timestamptz := now_or(p_at);
	stands text := '';
	head   record;
BEGIN
	IF EXISTS (SELECT FROM jobs WHERE state = 1 AND owner IS NOT NULL)
		OR EXISTS (SELECT FROM jobs WHERE state IN (3, 4) AND run_at <= at AND kind = ANY (p_kinds))
		OR EXISTS (SELECT FROM jobs WHERE key = '' AND state = 0 AND kind = ANY (p_kinds)) THEN
		RETURN true;
	END IF;
	LOOP
		SELECT key, state INTO head FROM jobs
		WHERE state IN (0, 4) AND key > stands AND kind = ANY (p_kinds) ORDER BY key, seq LIMIT 1;
		IF NOT FOUND OR head.state = 0 THEN
			RETURN FOUND;
		END IF;
		stands := head.key;
	END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION jobs_busy;
DROP FUNCTION finish_jobs;
DROP FUNCTION claim_jobs;
DROP FUNCTION claim_keyless;
DROP FUNCTION promote_jobs;
DROP FUNCTION beat_jobs;
DROP FUNCTION release_jobs;
DROP TABLE job_processes;
