// The functions of schema freshet that guarded writes of tables' rows begin with, and that seals ask. SQL text only.
//
// What has passed the guard stands in the setting freshet.passed until the transaction ends (or the savepoint under which it
// was written, together with the locks): the transaction's number, then each key, every one between two characters of
// number 31. In keys that character and its neighbour, 30, are written as 30 with a digit, so that no key can look like two.
#include "storage/postgres/schema.h"

namespace freshet::storage::postgres::schema_text {

const char* const kRows = R"sql(
-- The first statement of a transaction that writes rows: from here until it ends, no set_guard of these slots takes place.
-- Several calls in one transaction add up.
CREATE OR REPLACE FUNCTION freshet.pass_rows(
  lock_class integer, fleet_name text, slots integer[], tokens uuid[], row_keys text[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  passed text := current_setting('freshet.passed', true);
  here text := pg_current_xact_id()::text;
BEGIN
  PERFORM freshet.check_guards(lock_class, fleet_name, slots, tokens);
  IF passed IS NULL OR NOT starts_with(passed, here || E'\x1f') THEN
    passed := here;
  END IF;
  PERFORM set_config('freshet.passed', passed || (SELECT string_agg(
    E'\x1f' || replace(replace(k, E'\x1e', E'\x1e0'), E'\x1f', E'\x1e1') || E'\x1f', '') FROM unnest(row_keys) k), true);
END
$$;

-- The same for one row, in as few statements as can be: the lock is taken by the IF, so that the next statement sees every
-- set_guard before it.
CREATE OR REPLACE FUNCTION freshet.pass_row(
  lock_class integer, fleet_name text, at_slot integer, guard_token uuid, row_key text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
    OR current_setting('idle_in_transaction_session_timeout') = '0'
    OR (lock_class IS NOT NULL AND current_setting('transaction_isolation') <> 'read committed') THEN
    PERFORM freshet.begin_guarded(lock_class);
  END IF;
  IF lock_class IS NULL THEN
    PERFORM freshet.check_guards(lock_class, fleet_name, ARRAY[at_slot], ARRAY[guard_token]);
  ELSIF pg_advisory_xact_lock_shared(lock_class, at_slot / 64) IS NULL THEN
    RAISE EXCEPTION 'freshet: an advisory lock gave no answer';
  END IF;
  PERFORM set_config('freshet.passed', pg_current_xact_id()::text
      || E'\x1f' || replace(replace(row_key, E'\x1e', E'\x1e0'), E'\x1f', E'\x1e1') || E'\x1f', true)
    FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = at_slot / 64
      AND g.first_slot <= at_slot AND g.last_slot >= at_slot AND g.token = guard_token
      AND g.timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'freshet: the guard of slot % has another token', at_slot USING ERRCODE = 'FR001';
  END IF;
END
$$;

-- The same for many rows, as a write's only call. cells: those of the slots, each once, ascending. noted: what is to be
-- noted of the rows. wait_ms: how long it may wait for a lock, if not as long as its session may: one that waits for
-- somebody must not hold up those that travel with it.
CREATE OR REPLACE FUNCTION freshet.pass_many(
  lock_class integer, fleet_name text, cells integer[], slots integer[], guard_tokens uuid[], noted text, wait_ms integer)
RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  here text;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
    OR current_setting('idle_in_transaction_session_timeout') = '0'
    OR (lock_class IS NOT NULL AND current_setting('transaction_isolation') <> 'read committed') THEN
    PERFORM freshet.begin_guarded(lock_class);
  END IF;
  IF wait_ms IS NOT NULL THEN
    PERFORM set_config('lock_timeout', wait_ms::text, true);
  END IF;
  IF lock_class IS NULL THEN
    PERFORM freshet.check_guards(lock_class, fleet_name, slots, guard_tokens);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(lock_class, c.cell) FROM unnest(cells) c(cell);
  END IF;
  here := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);
  PERFORM set_config('freshet.passed', pg_current_xact_id()::text || noted, true)
    FROM unnest(slots, guard_tokens) u(slot, token)
    WHERE u.token = (SELECT g.token FROM freshet.guard g WHERE g.fleet = fleet_name AND g.cell = u.slot / 64
      AND g.first_slot <= u.slot AND g.last_slot >= u.slot AND g.timeline = here)
    HAVING count(*) = cardinality(slots);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'freshet: the guard of a slot has another token' USING ERRCODE = 'FR001';
  END IF;
END
$$;

-- Two spellings of one key would be two keys of the cache.
CREATE OR REPLACE FUNCTION freshet.require_canonical(asked text[], canonical text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF asked IS DISTINCT FROM canonical THEN
    RAISE EXCEPTION 'freshet: % is not the canonical spelling of this key', array_to_string(asked, ':')
      USING ERRCODE = 'FR006', DETAIL = array_to_string(canonical, ':');
  END IF;
END
$$;

-- In transactions of several statements: one that was to do something and did nothing takes the others back.
CREATE OR REPLACE FUNCTION freshet.require_done(done boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF done THEN
    RETURN true;
  END IF;
  RAISE EXCEPTION 'freshet: a row was not there, or was there, unlike expected' USING ERRCODE = 'FR004';
END
$$;

CREATE OR REPLACE FUNCTION freshet.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'freshet: %.% is sealed: TRUNCATE passes every guard by', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'FR005', HINT = 'Delete the rows through Freshet, or move the collection to observed first.';
END
$$;
)sql";

}  // namespace freshet::storage::postgres::schema_text
