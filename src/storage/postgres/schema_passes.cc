// The functions of schema freshet that let a transaction of plain SQL write guarded rows: the recipe for programs that have
// a connection to PostgreSQL and nothing else. SQL text only. Why it is safe: docs/CONSISTENCY-ROWS.md, "The recipe in SQL".
//
// A request is the shared advisory lock of the one-integer form on 1179796819 << 32 | cell: a space of its own, whatever
// class guards' locks are configured to have. pg_locks shows it to everybody for as long as the transaction lives.
#include "storage/postgres/schema.h"

namespace freshet::storage::postgres::schema_text {

const char* const kPasses = R"sql(
-- Numbers of requests. A crash may bring some again: they mean something within one life of the server only.
CREATE SEQUENCE IF NOT EXISTS freshet.pass_request AS bigint CACHE 1;

-- What the owner has heard: in this period of its lease, every request on the cell up to this number of this server.
CREATE TABLE IF NOT EXISTS freshet.pass_heard (
  fleet text COLLATE "C" NOT NULL,
  cell integer NOT NULL,
  number bigint NOT NULL,
  server text NOT NULL,
  period bigint NOT NULL,
  PRIMARY KEY (fleet, cell)) WITH (fillfactor = 50);

-- The hash slot of a key: CRC16/XMODEM of what stands between its first '{' and the next '}', or of all of it.
CREATE OR REPLACE FUNCTION freshet.slot_of(row_key text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  opened integer := strpos(row_key, '{');
  tagged integer := CASE WHEN opened = 0 THEN 0 ELSE strpos(substr(row_key, opened + 1), '}') - 1 END;
  bytes bytea := convert_to(CASE WHEN tagged > 0 THEN substr(row_key, opened + 1, tagged) ELSE row_key END, 'UTF8');
  crc integer := 0;
  x integer;
BEGIN
  FOR i IN 0 .. octet_length(bytes) - 1 LOOP
    x := (crc >> 8) # get_byte(bytes, i);
    x := x # (x >> 4);
    crc := ((crc << 8) # (x << 12) # (x << 5) # x) & 65535;
  END LOOP;
  RETURN crc & 16383;
END
$$;

-- Which life of which server this is. By the rights of its owner, so that it says the same to everybody.
CREATE OR REPLACE FUNCTION freshet.pass_server() RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT concat_ws(' ', i.system, i.timeline, i.started_at) FROM freshet.identity() i
$$;

-- Requests as the owner sees them. The number first: whoever drew it had its lock before, and has it until it ends. So every
-- request up to the number whose transaction lives is on one of the cells. NULL: none came since the known number.
CREATE OR REPLACE FUNCTION freshet.pass_requests(
  known_number bigint, known_server text, look_anyway boolean,
  OUT timeline text, OUT number bigint, OUT server text, OUT cells integer[])
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  timeline := freshet.timeline();
  server := freshet.pass_server();
  SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END INTO number FROM freshet.pass_request s;
  IF look_anyway OR number <> known_number OR server <> known_server THEN
    cells := ARRAY(SELECT DISTINCT l.objid::bigint::integer FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid = 1179796819::oid AND l.objid < 256::oid
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
      ORDER BY 1);
  END IF;
END
$$;

-- The owner's word. One of an earlier period that comes late changes nothing. It need not outlive a crash: nothing that
-- waits for it does.
CREATE OR REPLACE FUNCTION freshet.acknowledge_passes(
  fleet_name text, heard_cells integer[], heard_number bigint, heard_server text, heard_period bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO freshet.pass_heard AS h (fleet, cell, number, server, period)
    SELECT fleet_name, c.cell, heard_number, heard_server, heard_period FROM unnest(heard_cells) c(cell) ORDER BY c.cell
    ON CONFLICT (fleet, cell) DO UPDATE SET number = EXCLUDED.number, server = EXCLUDED.server, period = EXCLUDED.period
    WHERE h.period < EXCLUDED.period OR h.period = EXCLUDED.period
      AND (h.server <> EXCLUDED.server OR h.number < EXCLUDED.number);
  RETURN freshet.timeline();
END
$$;

-- What the lease's record says now, and on how many of these cells its holder has heard the request.
CREATE OR REPLACE FUNCTION freshet.pass_state(
  fleet_name text, asked_cells integer[], request bigint, asked_server text,
  OUT holder text, OUT period bigint, OUT counter bigint, OUT lease_ms bigint, OUT heard_cells integer)
LANGUAGE sql VOLATILE AS $$
  SELECT l.holder, l.period, l.counter, l.lease_ms, (SELECT count(*)::integer FROM freshet.pass_heard h
    WHERE h.fleet = fleet_name AND h.cell = ANY(asked_cells) AND h.number >= request AND h.server = asked_server
      AND h.period = l.period)
  FROM (SELECT 1) one LEFT JOIN freshet.lease l ON l.fleet = fleet_name
$$;

-- Lets the transaction in, if it still may: with the cells' locks held no set_guard of theirs takes place until it ends, so
-- nobody can take over and cache there. False: not yet; the locks that it took are to be given back.
-- by_owner: the holder of the lease has heard the request. Else nobody serves: the transaction takes the cells over itself,
-- as a new owner would, and fences what an earlier one may still have on its way.
CREATE OR REPLACE FUNCTION freshet.pass_if_still(
  fleet_name text, asked_cells integer[], request bigint, asked_server text, by_owner boolean,
  seen_holder text, seen_period bigint, seen_counter bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  classes integer[];
  now_is record;
BEGIN
  SELECT array_agg(g.class ORDER BY g.cell) INTO classes FROM (
    SELECT g.cell, min(g.writers_class) AS class FROM freshet.guard g
    WHERE g.fleet = fleet_name AND g.cell = ANY(asked_cells) GROUP BY g.cell) g;
  IF by_owner THEN
    PERFORM pg_advisory_xact_lock_shared(c.class, c.cell) FROM unnest(classes, asked_cells) c(class, cell);
  ELSE
    PERFORM freshet.set_guard(c.class, fleet_name, c.cell * 64, c.cell * 64 + 63, gen_random_uuid())
      FROM unnest(classes, asked_cells) c(class, cell);
  END IF;
  -- A later statement: it sees what was done before the locks were granted.
  SELECT * INTO now_is FROM freshet.pass_state(fleet_name, asked_cells, request, asked_server);
  IF EXISTS (SELECT FROM freshet.guard g JOIN unnest(classes, asked_cells) c(class, cell) ON c.cell = g.cell
      WHERE g.fleet = fleet_name AND g.writers_class IS DISTINCT FROM c.class) THEN
    RETURN false;
  END IF;
  RETURN CASE WHEN by_owner THEN now_is.heard_cells = cardinality(asked_cells)
    ELSE (now_is.holder, now_is.period, now_is.counter) IS NOT DISTINCT FROM (seen_holder, seen_period, seen_counter) END;
END
$$;

-- Of these cells, in ascending order, those that the transaction has not passed yet.
CREATE OR REPLACE FUNCTION freshet.cells_to_pass(fleet_name text, named_cells integer[]) RETURNS integer[]
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  c record;
  missing integer[] := '{}';
BEGIN
  FOR c IN SELECT n.cell, count(g.cell) AS guards, count(g.cell) = count(g.writers_class) AS is_advisory,
      EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.objsubid = 1
        AND l.classid = 1179796819::oid AND l.objid = n.cell::oid) AS has_asked,
      EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.objsubid = 2
        AND l.objid = n.cell::oid AND l.classid IN (SELECT (w.writers_class::bigint & 4294967295)::oid
          FROM freshet.guard w WHERE w.fleet = fleet_name AND w.cell = n.cell)) AS has_passed
      FROM unnest(named_cells) n(cell) LEFT JOIN freshet.guard g ON g.fleet = fleet_name AND g.cell = n.cell
      GROUP BY n.cell ORDER BY n.cell LOOP
    IF c.guards = 0 THEN
      RAISE EXCEPTION 'freshet: these rows have never been guarded' USING ERRCODE = 'FR008',
        HINT = 'Start a node of Freshet once.';
    ELSIF NOT c.is_advisory THEN
      RAISE EXCEPTION 'freshet: freshet.pass needs guards with advisory locks' USING ERRCODE = 'FR008',
        HINT = 'Use FRESHET.GUARD, or set storage.guard_dialect = "advisory".';
    ELSIF c.has_passed AND NOT c.has_asked THEN
      RAISE EXCEPTION 'freshet: this transaction has passed guards of the same cell by FRESHET.GUARD, which freshet.pass '
        'would wait for' USING ERRCODE = 'FR008', HINT = 'Name all rows to one of the two.';
    ELSIF NOT c.has_passed THEN
      missing := missing || c.cell;
    END IF;
  END LOOP;
  RETURN missing;
END
$$;

-- Called first in a transaction that writes guarded rows, with their keys. It waits until no cache serves them.
-- Several calls in one transaction add up. By the rights of its owner: callers need no more than EXECUTE.
CREATE OR REPLACE FUNCTION freshet.pass(VARIADIC row_keys text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  keys_max CONSTANT integer := 1024;
  pause_ms CONSTANT integer := 5;
  lock_timeout_ms CONSTANT integer := 2000;
  wait_ms_max CONSTANT integer := 10000;  -- Beside the length of the lease.
  fleet_name text := (SELECT m.fleet FROM freshet.meta m);
  asked_server text;
  asked_cells integer[];
  request bigint;
  state record;
  seen_holder text;
  seen_period bigint;
  seen_counter bigint;
  by_owner boolean;
  lease_wait_ms bigint;
  unchanged_ms bigint := 0;  -- How long the lease's record has stood still, at the least.
  waited_ms bigint := 0;
  here text;
  passed text;
  noted text;
BEGIN
  PERFORM freshet.begin_guarded(0);
  IF fleet_name IS NULL OR cardinality(row_keys) = 0 OR cardinality(row_keys) > keys_max
    OR array_position(row_keys, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'freshet: freshet.pass takes 1 to % keys, of a database that a node of Freshet serves', keys_max
      USING ERRCODE = 'FR008';
  END IF;
  asked_cells := freshet.cells_to_pass(fleet_name, ARRAY(SELECT DISTINCT freshet.slot_of(k) / 64 FROM unnest(row_keys) k));
  -- The locks, then the number: see freshet.pass_requests.
  PERFORM pg_advisory_xact_lock_shared(1179796819::bigint << 32 | c.cell) FROM unnest(asked_cells) c(cell);
  request := nextval('freshet.pass_request');
  asked_server := freshet.pass_server();
  WHILE cardinality(asked_cells) > 0 LOOP
    SELECT * INTO state FROM freshet.pass_state(fleet_name, asked_cells, request, asked_server);
    IF (state.holder, state.period, state.counter) IS DISTINCT FROM (seen_holder, seen_period, seen_counter) THEN
      seen_holder := state.holder;
      seen_period := state.period;
      seen_counter := state.counter;
      unchanged_ms := 0;
    END IF;
    by_owner := state.heard_cells = cardinality(asked_cells);
    lease_wait_ms := state.lease_ms + state.lease_ms / 20 + 1;
    IF by_owner OR state.holder IS NULL OR state.holder = '' OR unchanged_ms >= lease_wait_ms THEN
      BEGIN
        IF freshet.pass_if_still(fleet_name, asked_cells, request, asked_server, by_owner,
            seen_holder, seen_period, seen_counter) THEN
          EXIT;
        END IF;
        -- Gives back the locks that were taken since BEGIN.
        RAISE EXCEPTION 'freshet: not yet' USING ERRCODE = 'FR007';
      EXCEPTION
        WHEN SQLSTATE 'FR007' THEN NULL;
        WHEN lock_not_available THEN waited_ms := waited_ms + lock_timeout_ms;
      END;
    END IF;
    IF waited_ms > wait_ms_max + coalesce(lease_wait_ms, 0) THEN
      RAISE EXCEPTION 'freshet: no leave to write % within % ms', array_to_string(row_keys, ', '), waited_ms
        USING ERRCODE = 'FR007', HINT = format('Roll back, and try again. The lease is held by %s: see whether it is well, '
          'of this version, and not waiting for a long transaction''s locks.', state.holder);
    END IF;
    -- Time is counted in pauses, waited out by a clock that cannot be set: times of day can, and cut one short at most.
    PERFORM pg_sleep(pause_ms / 1000.0);
    unchanged_ms := unchanged_ms + pause_ms;
    waited_ms := waited_ms + pause_ms;
  END LOOP;
  -- As freshet.pass_rows notes them.
  here := pg_current_xact_id()::text;
  passed := current_setting('freshet.passed', true);
  IF passed IS NULL OR NOT starts_with(passed, here || E'\x1f') THEN
    passed := here;
  END IF;
  noted := (SELECT string_agg(
    E'\x1f' || replace(replace(k, E'\x1e', E'\x1e0'), E'\x1f', E'\x1e1') || E'\x1f', '') FROM unnest(row_keys) k);
  PERFORM set_config('freshet.passed', passed || noted, true);
  -- For whoever watches the tables' changes.
  PERFORM pg_logical_emit_message(true, 'freshet.passed', noted);
END
$$;
)sql";

}  // namespace freshet::storage::postgres::schema_text
