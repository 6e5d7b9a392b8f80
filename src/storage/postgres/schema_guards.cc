// The functions of schema freshet around write guards: setting them, and the guarded puts, single and merged. SQL
// text only.
//
// Why it is safe. A writer takes its cell's lock *shared* and checks the token in a later statement; set_guard takes it
// *exclusively*, so it waits for the writers in flight, and a writer that waited for it sees the new token. The later
// statement sees it only at READ COMMITTED, where each statement of a volatile function has a snapshot of its own: other
// levels are refused. Without advisory locks (lock_class NULL) the lock is FOR SHARE on the guard's row, taken by the
// statement that checks it: at READ COMMITTED the row is checked again after the wait, above that it fails with 40001.
#include "storage/postgres/schema.h"

namespace freshet::storage::postgres::schema_text {

const char* const kGuards = R"sql(
-- What every guarded transaction sets: a commit that is durable when acknowledged, and no idling inside a lock.
CREATE OR REPLACE FUNCTION freshet.begin_guarded(lock_class integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF lock_class IS NOT NULL AND current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'freshet: guards with advisory locks need isolation level READ COMMITTED, not %',
      upper(current_setting('transaction_isolation')) USING ERRCODE = 'FR002';
  END IF;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF current_setting('idle_in_transaction_session_timeout') = '0' THEN
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
  END IF;
END
$$;

-- Takes the exclusive locks of one class on cells. Waits for one cell; of several, none may wait while others are held: it
-- fails at once with 55P03, and the caller goes on cell by cell.
CREATE OR REPLACE FUNCTION freshet.lock_cells(lock_class integer, cells integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF cardinality(cells) = 1 THEN
    PERFORM pg_advisory_xact_lock(lock_class, cells[1]);
  ELSIF EXISTS (SELECT 1 FROM unnest(cells) c(cell) WHERE NOT pg_try_advisory_xact_lock(lock_class, c.cell)) THEN
    RAISE EXCEPTION 'freshet: the lock of a cell is not free' USING ERRCODE = '55P03';
  END IF;
END
$$;

-- Replaces the token of slots from_slot to to_slot, after the writes in flight there have ended. One transaction.
CREATE OR REPLACE FUNCTION freshet.set_guard(
  lock_class integer, fleet_name text, from_slot integer, to_slot integer, new_token uuid) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  from_cell integer := from_slot / 64;
  to_cell integer := to_slot / 64;
  cells integer[] := ARRAY(SELECT n FROM generate_series(from_cell, to_cell) n ORDER BY n);
  older record;
  here text;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'freshet: set_guard needs isolation level READ COMMITTED' USING ERRCODE = 'FR002';
  END IF;
  PERFORM freshet.begin_guarded(lock_class);
  PERFORM freshet.claim(fleet_name);
  IF lock_class IS NOT NULL THEN
    PERFORM freshet.lock_cells(lock_class, cells);
  END IF;
  -- The row at a cell's first slot is never deleted: locking it puts the set_guards of a cell in order.
  INSERT INTO freshet.guard (fleet, cell, first_slot, last_slot, token, timeline, set_at, writers_class)
    SELECT fleet_name, n, n * 64, n * 64 + 63, '00000000-0000-0000-0000-000000000000', '', clock_timestamp(), lock_class
    FROM generate_series(from_cell, to_cell) n ORDER BY n ON CONFLICT DO NOTHING;
  IF from_cell = to_cell THEN
    PERFORM 1 FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = from_cell AND g.first_slot = from_cell * 64
      FOR UPDATE;
  ELSE
    PERFORM 1 FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell BETWEEN from_cell AND to_cell
      ORDER BY g.first_slot FOR UPDATE NOWAIT;
  END IF;
  -- Writers under the tokens to be replaced may take locks of another class, or took advisory ones before this caller took
  -- none: wait for those, too. Writers that lock FOR SHARE are waited for by the updates below.
  FOR older IN SELECT g.writers_class AS class, array_agg(DISTINCT g.cell ORDER BY g.cell) AS cells
      FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell BETWEEN from_cell AND to_cell
      AND g.last_slot >= from_slot AND g.first_slot <= to_slot
      AND g.writers_class IS NOT NULL AND g.writers_class IS DISTINCT FROM lock_class GROUP BY 1 ORDER BY 1 LOOP
    PERFORM freshet.lock_cells(older.class, older.cells);
  END LOOP;
  -- Rows that reach over an end of the range are split there; both halves keep what they had.
  INSERT INTO freshet.guard SELECT g.fleet, g.cell, from_slot, g.last_slot, g.token, g.timeline, g.set_at,
    g.writers_class
    FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = from_cell
    AND g.first_slot < from_slot AND g.last_slot >= from_slot;
  UPDATE freshet.guard g SET last_slot = from_slot - 1 WHERE g.fleet = fleet_name AND g.cell = from_cell
    AND g.first_slot < from_slot AND g.last_slot >= from_slot;
  INSERT INTO freshet.guard SELECT g.fleet, g.cell, to_slot + 1, g.last_slot, g.token, g.timeline, g.set_at,
    g.writers_class
    FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = to_cell
    AND g.first_slot <= to_slot AND g.last_slot > to_slot;
  UPDATE freshet.guard g SET last_slot = to_slot WHERE g.fleet = fleet_name AND g.cell = to_cell
    AND g.first_slot <= to_slot AND g.last_slot > to_slot;
  DELETE FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell BETWEEN from_cell AND to_cell
    AND g.first_slot > greatest(from_slot, g.cell * 64) AND g.last_slot <= to_slot;
  here := freshet.timeline();
  UPDATE freshet.guard g SET token = new_token, timeline = here, set_at = clock_timestamp(),
    writers_class = lock_class, last_slot = least(to_slot, g.cell * 64 + 63)
    WHERE g.fleet = fleet_name AND g.cell BETWEEN from_cell AND to_cell
    AND g.first_slot = greatest(from_slot, g.cell * 64);
  RETURN here;
END
$$;

-- Takes the locks of the cells of these slots, in ascending order, then checks each slot's token.
CREATE OR REPLACE FUNCTION freshet.check_guards(
  lock_class integer, fleet_name text, slots integer[], tokens uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  w record;
BEGIN
  PERFORM freshet.begin_guarded(lock_class);
  IF lock_class IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock_shared(lock_class, c.cell)
      FROM (SELECT DISTINCT s.slot / 64 AS cell FROM unnest(slots) s(slot) ORDER BY 1) c;
    SELECT u.slot INTO w FROM unnest(slots, tokens) u(slot, token) WHERE NOT EXISTS (
      SELECT 1 FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = u.slot / 64
        AND g.first_slot <= u.slot AND g.last_slot >= u.slot AND g.token = u.token
        AND g.timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)) LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'freshet: the guard of slot % has another token', w.slot USING ERRCODE = 'FR001';
    END IF;
    RETURN;
  END IF;
  FOR w IN SELECT DISTINCT u.slot, u.token FROM unnest(slots, tokens) u(slot, token) ORDER BY 1, 2 LOOP
    PERFORM 1 FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = w.slot / 64
      AND g.first_slot <= w.slot AND g.last_slot >= w.slot AND g.token = w.token
      AND g.timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) FOR SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'freshet: the guard of slot % has another token', w.slot USING ERRCODE = 'FR001';
    END IF;
  END LOOP;
END
$$;
)sql";

// The commonest write by far: one function, one expression that locks, one statement that checks and writes. Each further
// statement or record would cost as much as the check itself.
const char* const kSinglePut = R"sql(
-- One unconditional put of a string under a key of at most 2000 bytes; returns its version. The lock is taken by the IF, so
-- that the INSERT is a later statement, with a snapshot of its own, and what it finds in the guard's row cannot change until
-- the commit.
CREATE OR REPLACE FUNCTION freshet.put(
  lock_class integer, fleet_name text, at_slot integer, guard_token uuid, new_key bytea, new_position bigint,
  new_value bytea, new_operation uuid, new_expires_at_ms bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  new_version bigint;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
    OR current_setting('idle_in_transaction_session_timeout') = '0'
    OR (lock_class IS NOT NULL AND current_setting('transaction_isolation') <> 'read committed') THEN
    PERFORM freshet.begin_guarded(lock_class);
  END IF;
  IF lock_class IS NULL THEN
    PERFORM 1 FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = at_slot / 64
      AND g.first_slot <= at_slot AND g.last_slot >= at_slot AND g.token = guard_token FOR SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'freshet: the guard of slot % has another token', at_slot USING ERRCODE = 'FR001';
    END IF;
  ELSIF pg_advisory_xact_lock_shared(lock_class, at_slot / 64) IS NULL THEN
    RAISE EXCEPTION 'freshet: an advisory lock gave no answer';
  END IF;
  INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms)
    SELECT new_key, new_position, new_value, nextval('freshet.version'), new_operation, new_expires_at_ms
    FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = at_slot / 64
      AND g.first_slot <= at_slot AND g.last_slot >= at_slot AND g.token = guard_token
      AND g.timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = nextval('freshet.version'),
      operation = EXCLUDED.operation, expires_at_ms = EXCLUDED.expires_at_ms, kind = 0
    RETURNING r.version INTO new_version;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'freshet: the guard of slot % has another token', at_slot USING ERRCODE = 'FR001';
  END IF;
  RETURN new_version;
END
$$;

-- The same with a deadline counted from the moment of the write: by the statement that writes, after its waits for locks.
CREATE OR REPLACE FUNCTION freshet.put_for(
  lock_class integer, fleet_name text, at_slot integer, guard_token uuid, new_key bytea, new_position bigint,
  new_value bytea, new_operation uuid, lifetime_ms bigint, OUT new_version bigint, OUT new_expires_at_ms bigint)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM freshet.check_guards(lock_class, fleet_name, ARRAY[at_slot], ARRAY[guard_token]);
  INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms)
    VALUES (new_key, new_position, new_value, nextval('freshet.version'), new_operation, freshet.now_ms() + lifetime_ms)
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = nextval('freshet.version'),
      operation = EXCLUDED.operation, expires_at_ms = freshet.now_ms() + lifetime_ms, kind = 0
    RETURNING r.version, r.expires_at_ms INTO new_version, new_expires_at_ms;
END
$$;
)sql";

// Writes that wait in Freshet's queue travel as one transaction. Its fixed costs (a round trip, a commit, a function's call)
// are paid once; the locks and the check, as in freshet.put, once for each cell and each key.
const char* const kManyPuts = R"sql(
-- Many unconditional puts of strings under distinct keys of at most 2000 bytes. cells: those of the slots, each once,
-- ascending. The other arrays: an element a put, ascending by key, so that rows are locked in that order. Deadline 0: never.
-- One token that does not match fails them all, and so does a wait for one lock, which must not hold up the others: the
-- caller then sends each alone.
CREATE OR REPLACE FUNCTION freshet.put_many(
  lock_class integer, fleet_name text, cells integer[], slots integer[], guard_tokens uuid[], new_keys bytea[],
  new_positions bigint[], new_values bytea[], new_operations uuid[], new_expires_at_mss bigint[])
RETURNS TABLE (put_key bytea, put_version bigint)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '200ms' AS $$
DECLARE
  here text;
  written bigint;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
    OR current_setting('idle_in_transaction_session_timeout') = '0'
    OR (lock_class IS NOT NULL AND current_setting('transaction_isolation') <> 'read committed') THEN
    PERFORM freshet.begin_guarded(lock_class);
  END IF;
  IF lock_class IS NULL THEN
    PERFORM freshet.check_guards(lock_class, fleet_name, slots, guard_tokens);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(lock_class, c.cell) FROM unnest(cells) c(cell);
  END IF;
  here := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
  -- A later statement than the locks: its snapshot has every guard that was set before they were granted.
  RETURN QUERY INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms)
    SELECT u.key, u.position, u.value, nextval('freshet.version'), u.operation, nullif(u.expires_at_ms, 0)
    FROM unnest(slots, guard_tokens, new_keys, new_positions, new_values, new_operations, new_expires_at_mss)
      u(slot, token, key, position, value, operation, expires_at_ms)
    WHERE u.token = (SELECT g.token FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = u.slot / 64
      AND g.first_slot <= u.slot AND g.last_slot >= u.slot AND g.timeline = here)
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = nextval('freshet.version'),
      operation = EXCLUDED.operation, expires_at_ms = EXCLUDED.expires_at_ms, kind = 0
    RETURNING r.key, r.version;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> cardinality(slots) THEN
    RAISE EXCEPTION 'freshet: the guard of a slot has another token' USING ERRCODE = 'FR001';
  END IF;
END
$$;
)sql";

}  // namespace freshet::storage::postgres::schema_text
