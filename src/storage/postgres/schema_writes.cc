// The function of schema freshet that applies a batch of guarded mutations, and the one that applies a single one. SQL text
// only. The numbers of kinds, conditions and expiry modes are those of storage.h's enumerations.
#include "storage/postgres/schema.h"

namespace freshet::storage::postgres::schema_text {

// outcome: 0 applied, 1 not applied, 2 no integer, 3 out of range, 4 a value of another kind. The kinds of mutations and of
// values (0 a string, 1 a hash) are apart.
const char* const kMutation = R"sql(
-- The value and the deadline that a mutation gives a key whose live value is old_value (NULL: absent or expired).
CREATE OR REPLACE FUNCTION freshet.next_state(
  kind integer, old_value bytea, old_expires bigint, new_value bytea, delta bigint, expiry_mode integer,
  expiry_ms bigint, now_ms bigint, OUT outcome integer, OUT value bytea, OUT expires bigint)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  sum numeric;
BEGIN
  outcome := 0;
  expires := CASE expiry_mode WHEN 0 THEN old_expires WHEN 2 THEN expiry_ms WHEN 3 THEN now_ms + expiry_ms END;
  IF kind = 0 THEN
    value := new_value;
  ELSIF kind = 1 OR kind = 5 THEN
    expires := NULL;
  ELSIF kind = 2 THEN
    IF old_value IS NOT NULL THEN
      IF octet_length(old_value) > 20 OR encode(old_value, 'escape') !~ '^(0|-?[1-9][0-9]*)$' THEN
        outcome := 2;
        RETURN;
      END IF;
      sum := encode(old_value, 'escape')::numeric;
      IF sum < -9223372036854775808 OR sum > 9223372036854775807 THEN
        outcome := 2;
        RETURN;
      END IF;
    END IF;
    sum := coalesce(sum, 0) + delta;
    IF sum < -9223372036854775808 OR sum > 9223372036854775807 THEN
      outcome := 3;
      RETURN;
    END IF;
    value := convert_to(sum::text, 'SQL_ASCII');
  ELSIF kind = 3 THEN
    IF coalesce(octet_length(old_value), 0)::bigint + octet_length(new_value) > 536870912 THEN
      outcome := 3;
      RETURN;
    END IF;
    value := coalesce(old_value, ''::bytea) || new_value;
  ELSE
    value := old_value;
  END IF;
END
$$;

-- Of versions before 6, which knew strings alone: a server that still runs would leave a hash's kind beside a string.
DROP FUNCTION IF EXISTS freshet.mutate(
  boolean, integer, bytea, bigint, bytea, bigint, integer, bigint, integer, bigint, uuid);

-- One mutation of one key, once its guard has been checked. dry: judges and locks, and writes nothing.
-- The state before is what the row held, as absent if its deadline had passed at the moment of judging (was_live). Whoever
-- wants it wants a string.
CREATE OR REPLACE FUNCTION freshet.mutate(
  dry boolean, kind integer, full_key bytea, key_position bigint, new_value bytea, value_kind integer, delta bigint,
  condition integer, wanted_version bigint, expiry_mode integer, expiry_ms bigint, want_before boolean, new_operation uuid,
  OUT outcome integer, OUT was_live boolean,
  OUT before_value bytea, OUT before_version bigint, OUT before_operation uuid, OUT before_expires bigint,
  OUT after_value bytea, OUT after_version bigint, OUT after_operation uuid, OUT after_expires bigint,
  OUT after_kind integer)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  id bytea := freshet.key_id(full_key);
  existed boolean;
  now_ms bigint;
  fresh record;
  fresh_kind integer;
BEGIN
  FOR attempt IN 1..10 LOOP
    SELECT r.value, r.version, r.operation, r.expires_at_ms, r.kind
      INTO before_value, before_version, before_operation, before_expires, after_kind
      FROM freshet.kv r WHERE r.key = id FOR UPDATE;
    existed := FOUND;
    now_ms := freshet.now_ms();
    was_live := existed AND before_value IS NOT NULL AND (before_expires IS NULL OR before_expires > now_ms);
    after_value := before_value;
    after_version := before_version;
    after_operation := before_operation;
    after_expires := before_expires;
    IF was_live AND after_kind <> 0 AND (kind IN (2, 3) OR want_before) THEN
      outcome := 4;
      RETURN;
    END IF;
    outcome := 1;
    IF condition = 1 AND was_live OR condition = 2 AND NOT was_live
      OR condition = 3 AND wanted_version <> (CASE WHEN was_live THEN before_version ELSE 0 END)
      OR kind = 4 AND NOT was_live
      OR kind = 5 AND (was_live OR before_value IS NULL) THEN
      RETURN;
    END IF;
    fresh := freshet.next_state(kind, CASE WHEN was_live THEN before_value END,
      CASE WHEN was_live THEN before_expires END, new_value, delta, expiry_mode, expiry_ms, now_ms);
    outcome := fresh.outcome;
    IF dry OR outcome <> 0 THEN
      RETURN;
    END IF;
    fresh_kind := CASE kind WHEN 0 THEN value_kind WHEN 4 THEN after_kind ELSE 0 END;
    IF existed THEN
      UPDATE freshet.kv r SET value = fresh.value, version = nextval('freshet.version'), operation = new_operation,
        expires_at_ms = fresh.expires, kind = fresh_kind WHERE r.key = id RETURNING r.version INTO after_version;
    ELSE
      INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms, long_key, kind)
        VALUES (id, key_position, fresh.value, nextval('freshet.version'), new_operation, fresh.expires,
          CASE WHEN octet_length(full_key) > 2000 THEN full_key END, fresh_kind)
        ON CONFLICT (key) DO NOTHING RETURNING r.version INTO after_version;
    END IF;
    IF FOUND THEN
      after_value := fresh.value;
      after_operation := new_operation;
      after_expires := fresh.expires;
      after_kind := fresh_kind;
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION 'freshet: a key came and went too often' USING ERRCODE = '40001';
END
$$;
)sql";

const char* const kWrite = R"sql(
-- Of versions before 6.
DROP FUNCTION IF EXISTS freshet.write(
  integer, text, boolean, uuid, integer[], uuid[], integer[], bytea[], bigint[], bytea[], bigint[], integer[], bigint[],
  integer[], bigint[], boolean[]);

-- A guarded batch: one transaction, one round trip. Rows come back by ordinal (from 1). after_value is left out where the
-- caller sent it (an applied put); before_* come only where want_before is set.
CREATE OR REPLACE FUNCTION freshet.write(
  lock_class integer, fleet_name text, all_or_nothing boolean, new_operation uuid,
  slots integer[], tokens uuid[], kinds integer[], keys bytea[], positions bigint[], new_values bytea[],
  value_kinds integer[], deltas bigint[], conditions integer[], wanted_versions bigint[], expiry_modes integer[],
  expiry_mss bigint[], want_befores boolean[])
RETURNS TABLE (ordinal integer, outcome integer,
  after_present boolean, after_value bytea, after_version bigint, after_operation uuid, after_expires bigint,
  before_present boolean, before_value bytea, before_version bigint, before_operation uuid, before_expires bigint,
  after_kind integer)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  m record;
  r record;
  refused boolean := false;
BEGIN
  PERFORM freshet.check_guards(lock_class, fleet_name, slots, tokens);
  -- Rows are locked in ascending key order, whatever the order asked.
  IF all_or_nothing THEN
    FOR m IN SELECT u.* FROM unnest(kinds, keys, positions, new_values, value_kinds, deltas, conditions, wanted_versions,
        expiry_modes, expiry_mss, want_befores) u(kind, key, pos, val, value_kind, delta, cond, wanted, mode, ms, want)
        ORDER BY u.key LOOP
      r := freshet.mutate(true, m.kind, m.key, m.pos, m.val, m.value_kind, m.delta, m.cond, m.wanted, m.mode, m.ms, m.want,
        new_operation);
      refused := refused OR r.outcome <> 0;
    END LOOP;
  END IF;
  FOR m IN SELECT u.* FROM unnest(kinds, keys, positions, new_values, value_kinds, deltas, conditions, wanted_versions,
      expiry_modes, expiry_mss, want_befores) WITH ORDINALITY
      u(kind, key, pos, val, value_kind, delta, cond, wanted, mode, ms, want, n) ORDER BY u.key LOOP
    r := freshet.mutate(refused, m.kind, m.key, m.pos, m.val, m.value_kind, m.delta, m.cond, m.wanted, m.mode, m.ms, m.want,
      new_operation);
    ordinal := m.n;
    outcome := CASE WHEN refused AND r.outcome = 0 THEN 1 ELSE r.outcome END;
    -- What was judged to hold no longer does: another writer came, or a deadline passed. Again, from the start.
    IF all_or_nothing AND NOT refused AND outcome <> 0 THEN
      RAISE EXCEPTION 'freshet: a condition changed while the batch was applied' USING ERRCODE = '40001';
    END IF;
    after_present := r.after_value IS NOT NULL;
    after_value := CASE WHEN outcome <> 0 OR m.kind <> 0 THEN r.after_value END;
    after_version := r.after_version;
    after_operation := r.after_operation;
    after_expires := r.after_expires;
    before_present := m.want AND r.was_live;
    before_value := CASE WHEN before_present THEN r.before_value END;
    before_version := r.before_version;
    before_operation := r.before_operation;
    before_expires := CASE WHEN before_present THEN r.before_expires END;
    after_kind := coalesce(r.after_kind, 0);
    RETURN NEXT;
  END LOOP;
END
$$;
)sql";

}  // namespace freshet::storage::postgres::schema_text
