// SQL of the prepared statements.
#include "storage/postgres/statements.h"

#include <fmt/format.h>

#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace statements {

// The subquery with OFFSET 0 is read once, so that an absent key, too, brings the clock and whether a standby answers.
const Statement kRead{"read",
                      "SELECT c.timeline, c.ms, coalesce(r.long_key, r.key), r.value, r.version, r.operation, "
                      "coalesce(r.expires_at_ms, 0), r.kind::integer "
                      "FROM (SELECT freshet.timeline() AS timeline, freshet.now_ms() AS ms OFFSET 0) c "
                      "LEFT JOIN freshet.kv r ON r.key = ANY($1)",
                      {oid::kByteaArray}};
const Statement kReadLong{"read_long",
                          "SELECT c.timeline, c.ms, coalesce(r.long_key, r.key), r.value, r.version, r.operation, "
                          "coalesce(r.expires_at_ms, 0), r.kind::integer "
                          "FROM (SELECT freshet.timeline() AS timeline, freshet.now_ms() AS ms OFFSET 0) c "
                          "LEFT JOIN freshet.kv r ON r.key = ANY(ARRAY(SELECT freshet.key_id(k) FROM unnest($1) k))",
                          {oid::kByteaArray}};
const Statement kPut{"put",
                     "SELECT freshet.put($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     {oid::kInt4, oid::kText, oid::kInt4, oid::kUuid, oid::kBytea, oid::kInt8, oid::kBytea, oid::kUuid,
                      oid::kInt8}};
const Statement kPutFor{"put_for", "SELECT * FROM freshet.put_for($1, $2, $3, $4, $5, $6, $7, $8, $9)", kPut.types};
const Statement kPutMany{"put_many",
                         "SELECT * FROM freshet.put_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                         {oid::kInt4, oid::kText, oid::kInt4Array, oid::kInt4Array, oid::kUuidArray, oid::kByteaArray,
                          oid::kInt8Array, oid::kByteaArray, oid::kUuidArray, oid::kInt8Array}};
const Statement kWrite{"write",
                       "SELECT * FROM freshet.write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
                       "$17)",
                       {oid::kInt4, oid::kText, oid::kBool, oid::kUuid, oid::kInt4Array, oid::kUuidArray, oid::kInt4Array,
                        oid::kByteaArray, oid::kInt8Array, oid::kByteaArray, oid::kInt4Array, oid::kInt8Array,
                        oid::kInt4Array, oid::kInt8Array, oid::kInt4Array, oid::kInt8Array, oid::kBoolArray}};
const Statement kWriteAll{"write_all",
                          "SELECT w.* FROM freshet.write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
                          "$16, $17) w WHERE freshet.require_done(w.outcome = 0)",
                          kWrite.types};
const Statement kPassRow{"pass_row", "SELECT freshet.pass_row($1, $2, $3, $4, $5)",
                         {oid::kInt4, oid::kText, oid::kInt4, oid::kUuid, oid::kText}};
const Statement kPassMany{"pass_many", "SELECT freshet.pass_many($1, $2, $3, $4, $5, $6, $7)",
                          {oid::kInt4, oid::kText, oid::kInt4Array, oid::kInt4Array, oid::kUuidArray, oid::kText,
                           oid::kInt4}};
// For whoever follows the stream: what the transaction may write. Before it writes.
const Statement kTellPassed{"tell_passed", "SELECT pg_logical_emit_message(true, 'freshet.passed', $1::text)", {oid::kText}};
// Runs what was deferred to the commit, and defers nothing any more.
const Statement kSetConstraints{"constraints", "SET CONSTRAINTS ALL IMMEDIATE", {}};
const Statement kSetGuard{"set_guard",
                          "SELECT freshet.set_guard($1, $2, $3, $4, $5), "
                          "(SELECT array_agg(s.name) FROM unnest($6, $7) s(name, seal) "
                          "WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid "
                          "WHERE t.tgrelid = to_regclass(s.name) AND t.tgname = 'freshet_seal' AND t.tgenabled = 'A' "
                          "AND f.proname = s.seal))",
                          {oid::kInt4, oid::kText, oid::kInt4, oid::kInt4, oid::kUuid, oid::kTextArray, oid::kTextArray}};
// What vacuum writes into these rows it writes in place: their xmin stays.
const Statement kRowsDigest{
    "rows_digest",
    "SELECT freshet.timeline(), n.name, ("
    "WITH tree AS (SELECT to_regclass(n.name)::oid AS oid UNION "
    "SELECT p.relid::oid FROM pg_partition_tree(to_regclass(n.name)) p) "
    "SELECT hash_array_extended(array_agg(r.x ORDER BY r.part, r.oid, r.place), 0)::text FROM ("
    "SELECT 1 AS part, c.oid, 0 AS place, c.xmin AS x FROM pg_class c WHERE c.oid IN (SELECT t.oid FROM tree t) UNION ALL "
    "SELECT 2, a.attrelid, a.attnum, a.xmin FROM pg_attribute a WHERE a.attrelid IN (SELECT t.oid FROM tree t) "
    "AND a.attnum > 0 UNION ALL "
    "SELECT 3, g.oid, 0, g.xmin FROM pg_trigger g WHERE g.tgrelid IN (SELECT t.oid FROM tree t) UNION ALL "
    "SELECT 4, k.oid, 0, k.xmin FROM pg_constraint k WHERE k.conrelid IN (SELECT t.oid FROM tree t) UNION ALL "
    "SELECT 5, k.oid, 0, k.xmin FROM pg_constraint k WHERE k.confrelid IN (SELECT t.oid FROM tree t) UNION ALL "
    "SELECT 6, w.oid, 0, w.xmin FROM pg_rewrite w WHERE w.ev_class IN (SELECT t.oid FROM tree t)) r) "
    "FROM unnest($1::text[]) WITH ORDINALITY n(name, place) ORDER BY n.place",
    {oid::kTextArray}};
// Only sessions of the same role may be ended, and only this fleet's writers are: others are named.
const Statement kHolders{
    "holders",
    "SELECT format('process %s (application \"%s\", user %s, %s for %s s): %s', a.pid, a.application_name, a.usename, "
    "a.state, round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 1), "
    "left(a.query, 120)), "
    "CASE WHEN $3 AND a.usename = current_user AND a.application_name = $2 THEN pg_terminate_backend(a.pid) ELSE false END "
    "FROM unnest(pg_blocking_pids($1)) b(pid) JOIN pg_stat_activity a ON a.pid = b.pid ORDER BY a.xact_start LIMIT 4",
    {oid::kInt4, oid::kText, oid::kBool}};
const Statement kScan{"scan",
                      "SELECT freshet.timeline(), freshet.now_ms(), r.position, coalesce(r.long_key, r.key), "
                      "r.value IS NOT NULL, coalesce(r.expires_at_ms, 0), r.kind::integer FROM freshet.kv r "
                      "WHERE r.position >= $1 ORDER BY r.position FETCH FIRST $2 ROWS WITH TIES",
                      {oid::kInt8, oid::kInt8}};
const Statement kCount{
    "count", "SELECT freshet.timeline(), c.keys, c.exact FROM freshet.count_keys($1) c", {oid::kInt8}};
const Statement kSlotCounts{
    "slot_counts", "SELECT freshet.timeline(), slot, keys FROM freshet.slot_counts($1, $2, $3)",
    {oid::kInt8, oid::kInt8, oid::kInt8}};
// Locked rows are in use: their tombstones may be needed still.
const Statement kForget{"forget",
                        "WITH gone AS (SELECT r.key, r.version FROM unnest($1, $2) t(key, version) JOIN freshet.kv r "
                        "ON r.key = freshet.key_id(t.key) AND r.version = t.version WHERE r.value IS NULL "
                        "ORDER BY r.key FOR UPDATE OF r SKIP LOCKED) "
                        "DELETE FROM freshet.kv r USING gone WHERE r.key = gone.key AND r.version = gone.version",
                        {oid::kByteaArray, oid::kInt8Array}};
const Statement kIdentity{
    "identity",
    "SELECT CASE WHEN in_recovery THEN '' ELSE timeline END, system, timeline, started_at, in_recovery, database_ms "
    "FROM freshet.identity()",
    {}};
const Statement kLastVersion{"last_version", "SELECT freshet.timeline(), last_value FROM freshet.version", {}};
const Statement kPassRequests{"pass_requests",
                              "SELECT timeline, number, server, cells FROM freshet.pass_requests($1, $2, $3)",
                              {oid::kInt8, oid::kText, oid::kBool}};
const Statement kAcknowledgePasses{"acknowledge_passes",
                                   "SELECT freshet.acknowledge_passes($1, $2, $3, $4, $5)",
                                   {oid::kText, oid::kInt4Array, oid::kInt8, oid::kText, oid::kInt8}};
// By pages: an index over tombstones would make every put maintain it. Locked rows are in use.
const Statement kSweep{"sweep",
                       "WITH gone AS (DELETE FROM freshet.kv r WHERE r.ctid = ANY(ARRAY("
                       "SELECT t.ctid FROM freshet.kv t WHERE t.ctid >= format('(%s,0)', $1)::tid "
                       "AND t.ctid < format('(%s,0)', $2)::tid AND t.value IS NULL AND t.version <= $3 "
                       "LIMIT $4 FOR UPDATE SKIP LOCKED)) RETURNING 1) "
                       "SELECT freshet.timeline(), (SELECT count(*) FROM gone), "
                       "pg_relation_size('freshet.kv') / current_setting('block_size')::bigint",
                       {oid::kInt8, oid::kInt8, oid::kInt8, oid::kInt8}};

}  // namespace statements

std::string application_name(const std::string& fleet, const char* kind) {
  return fmt::format("freshet:{}:{}", fleet, kind);
}

// Generic plans: a plan of its own for each array of keys would cost more than the read.
std::string session_sql(const PostgresOptions& options, base::Nanoseconds lock_timeout) {
  const auto ms = [](base::Nanoseconds duration) { return duration / base::kMillisecond; };
  return fmt::format(
      "SELECT pg_backend_pid()::text, i.in_recovery::text, i.timeline, i.system, "
      "set_config('search_path', 'pg_catalog', false), "
      "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' "
      "ELSE 'on' END, false), set_config('default_transaction_isolation', 'read committed', false), "
      "set_config('lock_timeout', '{}', false), set_config('statement_timeout', '{}', false), "
      "set_config('idle_in_transaction_session_timeout', '{}', false), "
      "set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false) "
      "FROM freshet.identity() i",
      ms(lock_timeout), ms(options.statement_timeout), ms(options.idle_in_transaction_timeout));
}

}  // namespace freshet::storage::postgres
