// Catalog queries about rules, triggers, foreign keys and privileges.
#include "storage/postgres/rows/writer_facts.h"

#include <fmt/format.h>

namespace freshet::storage::postgres {
namespace {

// $1: the table. `tree`: it and its partitions. Functions' bodies are texts: that one names the table is all that the
// catalog can say about a trigger's doings.
constexpr const char* kWritersSql = R"(
WITH tree AS (SELECT $1::oid AS oid UNION SELECT p.relid FROM pg_partition_tree($1::oid::regclass) p),
own AS (SELECT t.oid, t.tgname, t.tgrelid, t.tgfoid, f.prosrc FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
  WHERE NOT t.tgisinternal AND NOT (t.tgname IN ('freshet_seal', 'freshet_seal_truncate', 'zz_freshet_version')
    AND f.pronamespace = to_regnamespace('freshet')))
SELECT concat_ws(', ', CASE WHEN NOT has_table_privilege($1::oid, 'INSERT') THEN 'INSERT' END,
    CASE WHEN NOT has_table_privilege($1::oid, 'UPDATE') THEN 'UPDATE' END,
    CASE WHEN NOT has_table_privilege($1::oid, 'DELETE') THEN 'DELETE' END),
  coalesce((SELECT r.rulename FROM pg_rewrite r WHERE r.ev_class IN (SELECT oid FROM tree) ORDER BY r.oid LIMIT 1), ''),
  EXISTS (SELECT FROM own WHERE tgrelid IN (SELECT oid FROM tree))
    OR EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM tree)
      AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')))
    OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid IN (SELECT oid FROM tree) AND k.condeferrable),
  coalesce((SELECT format('%I (ON %s of %s)', k.conname,
      CASE WHEN k.confdeltype IN ('c', 'n', 'd') THEN 'DELETE' ELSE 'UPDATE' END, k.confrelid::regclass)
    FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid IN (SELECT oid FROM tree)
      AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) ORDER BY k.oid LIMIT 1), ''),
  coalesce((SELECT format('%I of %s', r.rulename, r.ev_class::regclass) FROM pg_rewrite r JOIN pg_depend d
    ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    WHERE d.refobjid IN (SELECT oid FROM tree) AND r.ev_type IN ('2', '3', '4')
      AND r.ev_class NOT IN (SELECT oid FROM tree) ORDER BY r.oid LIMIT 1), ''),
  coalesce((SELECT format('%I of %s', o.tgname, o.tgrelid::regclass) FROM own o, pg_class c
    WHERE c.oid = $1::oid AND o.prosrc ~* ('\m' || regexp_replace(c.relname, '\W', '.', 'g') || '\M')
    ORDER BY o.oid LIMIT 1), ''),
  (SELECT string_agg(format('%I.%I', n.nspname, c.relname), E'\n' ORDER BY c.oid) FROM tree t
    JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace))";

Error refused(std::string what, std::string remedy) {
  return Error::of(ErrorCode::unsupported, std::move(what), std::move(remedy));
}

}  // namespace

Result<WriterFacts> look_up_writers(CatalogSession& session, const TableFacts& table) {
  const auto found = session.run(kWritersSql, {std::to_string(table.oid)});
  if (!found.ok()) return lookup_error(found.error, fmt::format("writers of {}", table.sql));
  WriterFacts facts;
  facts.missing_privileges = found.value(0);
  facts.rule = found.value(1);
  facts.runs_after = found.value(2) == "t";
  facts.cascade = found.value(3);
  facts.foreign_rule = found.value(4);
  facts.suspect_trigger = found.value(5);
  const auto leaves = found.value(6);
  for (std::size_t at = 0; at < leaves.size();) {
    const auto end = std::min(leaves.find('\n', at), leaves.size());
    facts.leaves.push_back(leaves.substr(at, end - at));
    at = end + 1;
  }
  return facts;
}

std::optional<Error> fault_of_writing(const TableFacts& table, const WriterFacts& facts, const std::string& role) {
  if (!facts.missing_privileges.empty()) {
    return refused(fmt::format("this role may not {} {}", facts.missing_privileges, table.sql),
                   fmt::format("Run as its owner: GRANT {} ON {} TO {};", facts.missing_privileges, table.sql, role));
  }
  if (!facts.rule.empty()) {
    return refused(fmt::format("{} has a rewrite rule, {}: what a write does there, its answer does not show", table.sql,
                               facts.rule),
                   "Make a trigger of the rule, or observe the table.");
  }
  if (table.key_deferrable) {
    return refused(fmt::format("the primary key of {} is deferrable: two rows of one key may stand there until a commit",
                               table.sql),
                   "Make it NOT DEFERRABLE, or observe the table.");
  }
  for (const auto* column : table.key()) {
    if (!column->generated) continue;
    return refused(fmt::format("{} of the primary key of {} is computed from other columns: a missing row cannot be named",
                               column->name, table.sql),
                   "Observe the table.");
  }
  return std::nullopt;
}

std::optional<Error> fault_of_exclusive_writer(const TableFacts& table, const WriterFacts& facts) {
  const auto no = [&](std::string how) {
    return refused(fmt::format("{} is declared to be written by Freshet alone, and {}", table.sql, std::move(how)),
                   "Leave exclusive_writer out: a sealed table refuses such changes, unless they are named to the guard.");
  };
  if (!facts.cascade.empty()) return no(fmt::format("the foreign key {} changes its rows", facts.cascade));
  if (!facts.foreign_rule.empty()) return no(fmt::format("the rule {} writes to it", facts.foreign_rule));
  if (!facts.suspect_trigger.empty()) return no(fmt::format("the trigger {} names it", facts.suspect_trigger));
  return std::nullopt;
}

}  // namespace freshet::storage::postgres
