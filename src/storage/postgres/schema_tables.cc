// The tables of schema freshet, and the functions around the lease and the server's identity. SQL text only.
#include "storage/postgres/schema.h"

namespace freshet::storage::postgres::schema_text {

const char* const kTables = R"sql(
CREATE SCHEMA IF NOT EXISTS freshet;

CREATE TABLE IF NOT EXISTS freshet.meta (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  schema_version integer NOT NULL,
  database uuid NOT NULL DEFAULT gen_random_uuid());
-- Since version 2: the fleet that uses freshet.kv. Each fleet has its own lease and guards, so that another one's writes
-- would pass its caches by: there is one fleet for a database. The first that comes claims it; NULL: none yet.
ALTER TABLE freshet.meta ADD COLUMN IF NOT EXISTS fleet text COLLATE "C";

-- Versions of all keys. One row's versions grow because nextval is called while the row is locked.
CREATE SEQUENCE IF NOT EXISTS freshet.version AS bigint CACHE 1;

-- The key-value collection. value NULL: a tombstone, which remembers the version and the operation of a delete.
-- key: the key itself up to 2000 bytes (B-tree entries have a limit); for longer ones freshet.key_id(long_key).
-- position: the key's hash slot << 48 | 48 bits of its hash. expires_at_ms: milliseconds since 1970; NULL: never.
CREATE TABLE IF NOT EXISTS freshet.kv (
  key bytea PRIMARY KEY,
  position bigint NOT NULL,
  value bytea,
  version bigint NOT NULL,
  operation uuid NOT NULL,
  expires_at_ms bigint,
  long_key bytea) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS kv_position ON freshet.kv (position);
-- Since version 6: what the value is. 0: a string, 1: a hash; of tombstones 0.
ALTER TABLE freshet.kv ADD COLUMN IF NOT EXISTS kind smallint NOT NULL DEFAULT 0;

-- Write guards. A row never leaves its cell (64 neighbouring slots); the rows of a cell, once there, cover it without
-- overlapping. timeline: where the token was set; a promotion voids it.
CREATE TABLE IF NOT EXISTS freshet.guard (
  fleet text COLLATE "C" NOT NULL,
  cell integer NOT NULL,
  first_slot integer NOT NULL,
  last_slot integer NOT NULL,
  token uuid NOT NULL,
  timeline text NOT NULL,
  set_at timestamptz NOT NULL,
  PRIMARY KEY (fleet, cell, first_slot),
  CHECK (first_slot / 64 = cell AND last_slot / 64 = cell AND first_slot <= last_slot)) WITH (fillfactor = 50);

-- Since version 2: the class of the advisory locks that the writers under this token take; NULL: they take FOR SHARE locks.
-- What older rows' writers take was not kept: their tokens are voided. ALTER TABLE has waited for those in flight.
DO $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = 'freshet.guard'::regclass AND a.attname = 'writers_class' AND NOT a.attisdropped) THEN
    ALTER TABLE freshet.guard ADD COLUMN writers_class integer;
    UPDATE freshet.guard SET token = '00000000-0000-0000-0000-000000000000';
  END IF;
END $$;

-- Who serves a fleet alone. Holders and challengers change it by compare-and-set only; times of day are never compared.
-- lease_ms: how long the holder counts from sending a renewal. holder '': released.
CREATE TABLE IF NOT EXISTS freshet.lease (
  fleet text COLLATE "C" PRIMARY KEY,
  holder text NOT NULL,
  period bigint NOT NULL,
  counter bigint NOT NULL,
  lease_ms bigint NOT NULL) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION freshet.key_id(full_key bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length(full_key) <= 2000 THEN full_key ELSE substr(full_key, 1, 2000) || sha256(full_key) END
$$;

CREATE OR REPLACE FUNCTION freshet.now_ms() RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint
$$;

-- Eight hex digits, which grow with every promotion; empty in recovery.
CREATE OR REPLACE FUNCTION freshet.timeline() RETURNS text
LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END
$$;

-- Refuses every fleet but the one that uses this database; the first becomes it.
CREATE OR REPLACE FUNCTION freshet.claim(fleet_name text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  claimed_by text;
BEGIN
  SELECT m.fleet INTO claimed_by FROM freshet.meta m;
  IF claimed_by IS NULL THEN
    UPDATE freshet.meta m SET fleet = fleet_name WHERE m.fleet IS NULL;
    SELECT m.fleet INTO claimed_by FROM freshet.meta m;
  END IF;
  IF claimed_by IS DISTINCT FROM fleet_name THEN
    RAISE EXCEPTION 'freshet: this database is used by fleet "%", not by "%"', claimed_by, fleet_name
      USING ERRCODE = 'FR003';
  END IF;
END
$$;
)sql";

const char* const kLease = R"sql(
-- Which server answers. Where pg_control_system() is not permitted, the id drawn when the schema was made stands in for it.
-- The postmaster's start does not tell of a crash after which it began again by itself; since when its shared memory stands
-- does (PostgreSQL 15 or later): these statistics are made with it, and any role may read them.
CREATE OR REPLACE FUNCTION freshet.identity(
  OUT system text, OUT timeline text, OUT started_at text, OUT in_recovery boolean, OUT database_ms bigint)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  in_recovery := pg_is_in_recovery();
  timeline := CASE WHEN in_recovery THEN 'recovery' ELSE freshet.timeline() END;
  started_at := to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
  database_ms := freshet.now_ms();
  BEGIN
    started_at := concat_ws(' ', started_at, (
      SELECT to_char(p.stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        FROM pg_stat_get_recovery_prefetch() p));
  EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
    NULL;
  END;
  BEGIN
    system := (SELECT c.system_identifier::text FROM pg_control_system() c);
  EXCEPTION WHEN insufficient_privilege OR undefined_function THEN
    system := (SELECT m.database::text FROM freshet.meta m);
  END;
END
$$;

-- Puts the new record in the lease's place if that still is what the caller saw; a caller that saw no record passes NULLs.
-- Returns the record as it is now, and which server says so.
CREATE OR REPLACE FUNCTION freshet.swap_lease(
  fleet_name text, seen_holder text, seen_period bigint, seen_counter bigint,
  new_holder text, new_period bigint, new_counter bigint, new_lease_ms bigint,
  OUT swapped boolean, OUT holder text, OUT period bigint, OUT counter bigint, OUT lease_ms bigint,
  OUT system text, OUT timeline text, OUT started_at text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  PERFORM freshet.claim(fleet_name);
  IF seen_holder IS NULL THEN
    INSERT INTO freshet.lease (fleet, holder, period, counter, lease_ms)
      VALUES (fleet_name, new_holder, new_period, new_counter, new_lease_ms) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE freshet.lease AS l
      SET holder = new_holder, period = new_period, counter = new_counter, lease_ms = new_lease_ms
      WHERE l.fleet = fleet_name AND l.holder = seen_holder AND l.period = seen_period AND l.counter = seen_counter;
  END IF;
  swapped := FOUND;
  SELECT l.holder, l.period, l.counter, l.lease_ms INTO holder, period, counter, lease_ms
    FROM freshet.lease l WHERE l.fleet = fleet_name;
  SELECT i.system, i.timeline, i.started_at INTO system, timeline, started_at FROM freshet.identity() i;
END
$$;
)sql";

const char* const kInspection = R"sql(
-- Present keys by slot in a range of positions: all of them while there are at most rows_max rows, else from a sample of
-- about that many.
CREATE OR REPLACE FUNCTION freshet.slot_counts(first_position bigint, end_position bigint, rows_max bigint)
RETURNS TABLE (slot integer, keys bigint)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  rows_seen bigint;
  rows_all double precision;
BEGIN
  SELECT count(*) INTO rows_seen FROM (SELECT 1 FROM freshet.kv r
    WHERE r.position >= first_position AND r.position < end_position LIMIT rows_max + 1) s;
  IF rows_seen <= rows_max THEN
    RETURN QUERY SELECT (r.position >> 48)::integer, count(*) FROM freshet.kv r
      WHERE r.position >= first_position AND r.position < end_position AND r.value IS NOT NULL GROUP BY 1 ORDER BY 1;
    RETURN;
  END IF;
  SELECT c.reltuples INTO rows_all FROM pg_class c
    WHERE c.oid = 'freshet.kv'::regclass AND c.reltuples > rows_max;
  rows_all := coalesce(rows_all, greatest(1, pg_relation_size('freshet.kv') / 64));
  RETURN QUERY EXECUTE
    'SELECT (r.position >> 48)::integer, count(*) FROM freshet.kv r TABLESAMPLE SYSTEM ($3)
      WHERE r.position >= $1 AND r.position < $2 AND r.value IS NOT NULL GROUP BY 1 ORDER BY 1'
    USING first_position, end_position, least(100, 100 * rows_max / rows_all)::real;
END
$$;

-- How many keys are present: exactly while there are at most rows_max rows, else from the table's size.
CREATE OR REPLACE FUNCTION freshet.count_keys(rows_max bigint, OUT keys bigint, OUT exact boolean)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  rows_seen bigint;
  present bigint;
  rows_per_page double precision;
BEGIN
  SELECT count(*), count(*) FILTER (WHERE s.is_present) INTO rows_seen, present
    FROM (SELECT r.value IS NOT NULL AS is_present FROM freshet.kv r LIMIT rows_max + 1) s;
  exact := rows_seen <= rows_max;
  IF exact THEN
    keys := present;
    RETURN;
  END IF;
  SELECT c.reltuples / c.relpages INTO rows_per_page FROM pg_class c
    WHERE c.oid = 'freshet.kv'::regclass AND c.reltuples > 0 AND c.relpages > 0;
  IF rows_per_page IS NULL THEN
    SELECT 8192 / greatest(avg(pg_column_size(s.*)) + 4, 1) INTO rows_per_page
      FROM (SELECT r.* FROM freshet.kv r LIMIT 1000) s;
  END IF;
  keys := greatest(present, pg_relation_size('freshet.kv') / 8192 * rows_per_page * present / rows_seen);
END
$$;
)sql";

}  // namespace freshet::storage::postgres::schema_text
