// The seal's SQL.
#include "storage/postgres/rows/seal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/log.h"
#include "base/slot.h"
#include "storage/postgres/catalog/table_facts.h"
#include "storage/postgres/output_settings.h"

namespace freshet::storage::postgres {
namespace {

constexpr const char* kSeal = "freshet_seal";
constexpr const char* kTruncate = "freshet_seal_truncate";
constexpr const char* kVersion = "zz_freshet_version";  // The last of the BEFORE triggers, by its name.
constexpr const char* kSearchPath = "pg_catalog, pg_temp";

// pg_trigger.tgtype.
constexpr int kAfterEachChange = 1 | 4 | 8 | 16;
constexpr int kBeforeTruncate = 2 | 32;
constexpr int kBeforeEachNew = 1 | 2 | 4 | 16;

std::string quoted_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

std::string version_name(const RowText& text) { return fmt::format("version_{:016x}", base::hash_of(text.collection)); }
std::string seal_function(const RowText& text) { return "freshet." + seal_name(text); }
std::string version_function(const RowText& text) { return "freshet." + version_name(text); }

// Whether the texts of the key's columns depend on the session's settings.
bool depends_on_settings(const RowText& text) {
  return std::any_of(text.parts.begin(), text.parts.end(), [](const auto& part) { return !has_one_text(part.plain_type); });
}

// Whether the key is among those that passed in this transaction; not true if the setting is another one's, or none. It is
// written out: calling a function for it would cost more than the rest of the trigger.
std::string has_passed(const std::string& key) {
  return fmt::format(
      "(pg_catalog.strpos(pg_catalog.current_setting('freshet.passed', true), E'\\x1f' {0} {1} {0} E'\\x1f') "
      "OPERATOR(pg_catalog.>) 0 AND pg_catalog.starts_with(pg_catalog.current_setting('freshet.passed', true), "
      "pg_catalog.pg_current_xact_id()::pg_catalog.text {0} E'\\x1f')) IS TRUE", "OPERATOR(pg_catalog.||)", key);
}

// An update that leaves the key what it was. Types whose text is always the same one are PostgreSQL's own, and so is their
// equality; of others the texts are compared.
std::string same_key(const RowText& text) {
  if (depends_on_settings(text)) {
    return fmt::format("({}) OPERATOR(pg_catalog.=) ({})", row_key_sql(text, "OLD"), row_key_sql(text, "NEW"));
  }
  std::string same;
  for (const auto& part : text.parts) {
    same += fmt::format("{0}OLD.{1} OPERATOR(pg_catalog.=) NEW.{1}", same.empty() ? "" : " AND ", part.column_sql);
  }
  return same;
}

// The commonest case comes first, as one expression: each costs about as much as the rest of the trigger.
std::string seal_body(const RowText& text) {
  const auto refuse = [&](const char* row) {
    return fmt::format("    RAISE EXCEPTION 'freshet: % is sealed, and this transaction has not passed the guard of %', {}, "
                       "{}\n      USING ERRCODE = 'FR005', HINT = 'Write the row through Freshet, or name its key where the "
                       "guarded transaction begins.';\n  END IF;\n", quoted_text(text.table), row_key_sql(text, row));
  };
  const auto old_passed = has_passed(passed_key_sql(text, "OLD"));
  return fmt::format("BEGIN\n"
                     "  IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND {0} AND {1} THEN\n    RETURN NULL;\n  END IF;\n"
                     "  IF TG_OP OPERATOR(pg_catalog.<>) 'INSERT' AND NOT {1} THEN\n{2}"
                     "  IF TG_OP OPERATOR(pg_catalog.<>) 'DELETE' AND NOT {3} THEN\n{4}"
                     "  RETURN NULL;\nEND",
                     same_key(text), old_passed, refuse("OLD"), has_passed(passed_key_sql(text, "NEW")), refuse("NEW"));
}

std::string version_body(const RowText& text) {
  return fmt::format("BEGIN\n  NEW.{} := nextval('freshet.version');\n  RETURN NEW;\nEND", text.version);
}

// The writer's search path must not decide what the body's words mean: each of them is qualified. So it needs neither a path
// nor rights of its own, which would cost as much as the rest of it; but where the keys' texts depend on settings they must
// be those of Freshet's own sessions. STABLE: it sees no more of the database than its row, and takes no snapshots.
std::string seal_function_sql(const RowText& text) {
  std::string settings;
  for (const auto& [setting, value] : kOutputSettings) {
    if (!depends_on_settings(text)) break;
    settings += setting == "search_path" ? fmt::format(" SET search_path = {}", kSearchPath)
                                         : fmt::format(" SET {} = '{}'", setting, value);
  }
  return fmt::format("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql STABLE{} AS {}",
                     seal_function(text), settings, quoted_text(seal_body(text)));
}

// With the rights of Freshet's role: any writer's rows get their versions.
std::string version_function_sql(const RowText& text) {
  return fmt::format("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
                     "SET search_path = {} AS {}", version_function(text), kSearchPath, quoted_text(version_body(text)));
}

std::string trigger_sql(const char* name, const char* when, const std::string& table, const char* each,
                        const std::string& function) {
  return fmt::format("CREATE OR REPLACE TRIGGER {} {} ON {} FOR EACH {} EXECUTE FUNCTION {}()", name, when, table, each,
                     function);
}
std::string always_sql(const std::string& table, const char* name) {
  return fmt::format("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", table, name);
}

// Triggers on a table that are as they must be; $1: the table, $2: trigger, $3: its type, $4: the function's name,
// $5: its body, empty for those of the schema's own text, $6: whether it runs with its owner's rights, $7: whether with
// settings.
constexpr const char* kTriggerSql = R"(
SELECT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace n ON n.oid = f.pronamespace
  WHERE t.tgrelid = to_regclass($1) AND t.tgname = $2 AND t.tgtype = $3::int2 AND t.tgenabled = 'A'
    AND n.nspname = 'freshet' AND f.proname = $4
    AND ($5 = '' OR (f.prosrc = $5 AND f.prosecdef = $6::boolean AND CASE WHEN $7::boolean
      THEN f.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'] ELSE f.proconfig IS NULL END))))";
// The function of the table's seal, whosever it is; $1: the table.
constexpr const char* kSealedBySql = R"(
SELECT f.proname FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
WHERE t.tgrelid = to_regclass($1) AND t.tgname = 'freshet_seal')";
// How long the lease counts, if it is held, as far as one look can tell (0: it is not); its record; and who holds it, in
// which period. What comes behind it must be put in the middle: FOR UPDATE keeps it as it is until the transaction ends.
constexpr const char* kLeaseSql = R"(
SELECT coalesce(max(l.lease_ms) FILTER (WHERE l.holder <> ''), 0),
  coalesce(string_agg(concat_ws(' ', l.fleet, l.holder, l.period, l.counter), ',' ORDER BY l.fleet), ''),
  coalesce(string_agg(concat_ws(' ', l.fleet, l.period), ',' ORDER BY l.fleet) FILTER (WHERE l.holder <> ''), '')
FROM (SELECT * FROM freshet.lease {}) l)";

struct Wanted {
  std::string table;
  const char* trigger;
  int type;
  std::string function;
  std::string body;
  bool with_owners_rights = false;
  bool with_settings = false;
};

std::vector<Wanted> wanted_triggers(const RowText& text, const std::vector<std::string>& leaves) {
  std::vector<Wanted> wanted;
  for (const auto& leaf : leaves) {
    wanted.push_back({leaf, kSeal, kAfterEachChange, seal_name(text), seal_body(text), false, depends_on_settings(text)});
    wanted.push_back({leaf, kTruncate, kBeforeTruncate, "refuse_truncate", "", false, false});
    if (!text.version.empty()) {
      wanted.push_back({leaf, kVersion, kBeforeEachNew, version_name(text), version_body(text), true, true});
    }
  }
  return wanted;
}

// What the lease must say for a seal to leave its table.
struct LeaseExpected {
  std::string record;   // Unchanged since nobody served; or (empty)
  std::string holding;  // held by this process, and by nobody else: its fleet and period.
};

Error somebody_serves(const RowText& text) {
  return Error::of(ErrorCode::unavailable,
                   fmt::format("the seal of {} cannot be changed while another process serves this database", text.table),
                   "Stop that process first, or have it do so.");
}

// The table's lock first: who holds the lease renews it all the time, and must not wait for the table's writers.
Result<void> check_lease(CatalogSession& session, const RowText& text, const LeaseExpected& expected) {
  const auto locked = session.run(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", text.table));
  if (!locked.ok()) return Error::of(ErrorCode::unavailable, locked.error.message);
  const auto lease = session.run(fmt::format(kLeaseSql, "FOR UPDATE"));
  if (!lease.ok()) return Error::of(ErrorCode::unavailable, lease.error.message);
  const bool holds = expected.record.empty() ? lease.value(2) == expected.holding : lease.value(1) == expected.record;
  return holds ? Result<void>() : somebody_serves(text);
}

// One transaction. Nothing is left of it if one statement fails.
Result<void> run_all(CatalogSession& session, const RowText& text, const std::vector<std::string>& statements,
                     const char* doing, const LeaseExpected* expected = nullptr) {
  auto begun = session.run("BEGIN");
  auto failed = begun.error;
  bool ok = begun.ok();
  if (ok && expected) {
    if (auto checked = check_lease(session, text, *expected); !checked) {
      if (session.is_connected()) session.run("ROLLBACK");
      return checked;
    }
  }
  for (const auto& sql : statements) {
    if (!ok) break;
    const auto outcome = session.run(sql);
    ok = outcome.ok();
    failed = outcome.error;
  }
  if (ok) {
    const auto committed = session.run("COMMIT");
    ok = committed.ok();
    failed = committed.error;
  }
  if (ok) return {};
  if (session.is_connected()) session.run("ROLLBACK");
  const bool denied = failed.state == sqlstate::kNoPrivilege;
  return Error::of(denied ? ErrorCode::unsupported : ErrorCode::unavailable,
                   fmt::format("{} could not be {}: {}", text.table, doing, failed.message),
                   fmt::format("Run as its owner: {};", fmt::join(statements, "; ")));
}

}  // namespace

namespace {

// Versions that are drawn from now on are above all that the column holds. The first statement keeps others from drawing.
std::vector<std::string> raise_versions_sql(const RowText& text) {
  if (text.version.empty()) return {};
  return {"ALTER SEQUENCE freshet.version NO CYCLE",
          fmt::format("SELECT setval('freshet.version', m.top) FROM (SELECT max({}) AS top FROM {}) m, freshet.version s "
                      "WHERE m.top > s.last_value", text.version, text.table)};
}

}  // namespace

// By a hash: a collection's name may be as long as a function's, and be any.
std::string seal_name(const RowText& text) { return fmt::format("seal_{:016x}", base::hash_of(text.collection)); }

std::vector<std::string> seal_sql(const RowText& text, const std::vector<std::string>& leaves) {
  std::vector<std::string> sql;
  sql.push_back(seal_function_sql(text));
  if (!text.version.empty()) sql.push_back(version_function_sql(text));
  // Triggers for each row go on to the partitions by themselves, those for statements do not.
  sql.push_back(trigger_sql(kSeal, "AFTER INSERT OR UPDATE OR DELETE", text.table, "ROW", seal_function(text)));
  if (!text.version.empty()) {
    sql.push_back(trigger_sql(kVersion, "BEFORE INSERT OR UPDATE", text.table, "ROW", version_function(text)));
  }
  for (const auto& leaf : leaves) {
    sql.push_back(trigger_sql(kTruncate, "BEFORE TRUNCATE", leaf, "STATEMENT", "freshet.refuse_truncate"));
    sql.push_back(always_sql(leaf, kSeal));
    sql.push_back(always_sql(leaf, kTruncate));
    if (!text.version.empty()) sql.push_back(always_sql(leaf, kVersion));
  }
  for (auto& raise : raise_versions_sql(text)) sql.push_back(std::move(raise));
  return sql;
}

std::vector<std::string> unseal_sql(const RowText& text, const std::vector<std::string>& leaves) {
  std::vector<std::string> sql;
  for (const char* trigger : {kSeal, kVersion}) {
    sql.push_back(fmt::format("DROP TRIGGER IF EXISTS {} ON {}", trigger, text.table));
  }
  for (const auto& leaf : leaves) sql.push_back(fmt::format("DROP TRIGGER IF EXISTS {} ON {}", kTruncate, leaf));
  sql.push_back(fmt::format("DROP FUNCTION IF EXISTS {}()", seal_function(text)));
  sql.push_back(fmt::format("DROP FUNCTION IF EXISTS {}()", version_function(text)));
  return sql;
}

Result<bool> is_sealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves) {
  for (const auto& wanted : wanted_triggers(text, leaves)) {
    const auto found = session.run(kTriggerSql, {wanted.table, wanted.trigger, std::to_string(wanted.type), wanted.function,
                                                 wanted.body, wanted.with_owners_rights ? "t" : "f",
                                                 wanted.with_settings ? "t" : "f"});
    if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
    if (found.value() != "t") return false;
  }
  return true;
}

namespace {

// A seal may be taken from the table, or be made another's, only if nobody serves its rows meanwhile: this process holds the
// lease and does not, or by the rule of the lease: its record has not changed for a whole lease and a margin, on this
// process's clock. The transaction that changes the seal looks again, and whoever takes the lease over comes after it.
Result<LeaseExpected> ensure_nobody_serves(CatalogSession& session, const RowText& text, const LeaseClaim& claim) {
  if (claim.period != 0) return LeaseExpected{{}, fmt::format("{} {}", claim.fleet, claim.period)};
  const auto look = fmt::format(kLeaseSql, "");
  const auto first = session.run(look);
  if (!first.ok()) return Error::of(ErrorCode::unavailable, first.error.message);
  const auto lease_ms = std::atoll(first.value(0).c_str());
  if (lease_ms == 0) return LeaseExpected{first.value(1), {}};
  std::this_thread::sleep_for(std::chrono::milliseconds(lease_ms + lease_ms / 4));
  const auto second = session.run(look);
  if (!second.ok()) return Error::of(ErrorCode::unavailable, second.error.message);
  if (second.value(1) == first.value(1)) return LeaseExpected{first.value(1), {}};
  return somebody_serves(text);
}

// What is there to stay: an unsealing of this process whose answer was lost may be under way still, and holds the table's
// lock until it has ended.
Result<bool> is_settled_sealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves) {
  for (const auto& sql : {std::string("BEGIN"), fmt::format("LOCK TABLE {} IN ACCESS SHARE MODE", text.table)}) {
    if (const auto run = session.run(sql); !run.ok()) {
      if (session.is_connected()) session.run("ROLLBACK");
      return Error::of(ErrorCode::unavailable, run.error.message);
    }
  }
  auto sealed = is_sealed(session, text, leaves);
  if (session.is_connected()) session.run("COMMIT");
  return sealed;
}

Result<std::string> sealed_by(CatalogSession& session, const RowText& text) {
  const auto found = session.run(kSealedBySql, {text.table});
  if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
  return found.value();
}

}  // namespace

Result<bool> has_seal_of(CatalogSession& session, const RowText& text) {
  const auto by = sealed_by(session, text);
  if (!by) return by.error();
  return *by == seal_name(text);
}

Result<void> ensure_sealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves,
                           const LeaseClaim& claim) {
  const auto sealed = is_settled_sealed(session, text, leaves);
  if (!sealed) return sealed.error();
  if (*sealed) return {};
  const auto by = sealed_by(session, text);
  if (!by) return by.error();
  LeaseExpected expected;
  const bool is_anothers = !by->empty() && *by != seal_name(text);
  if (is_anothers && claim.runs) {
    return Error::of(ErrorCode::unavailable, fmt::format("{} is sealed for another collection", text.table),
                     "Move that to observed first, by itself.");
  }
  if (is_anothers) {
    auto free = ensure_nobody_serves(session, text, claim);
    if (!free) return free.error();
    expected = *std::move(free);
  }
  const auto made = run_all(session, text, seal_sql(text, leaves), "sealed", is_anothers ? &expected : nullptr);
  if (!made) return made;
  base::log_info("storage", "{} is sealed: it refuses writes that have not passed the guard of their row", text.table);
  return {};
}

Result<void> ensure_unsealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves,
                             const LeaseClaim& claim) {
  const auto by = sealed_by(session, text);
  if (!by) return by.error();
  if (!by->empty()) {
    const auto expected = ensure_nobody_serves(session, text, claim);
    if (!expected) return expected.error();
    if (auto done = run_all(session, text, unseal_sql(text, leaves), "unsealed", &*expected); !done) return done;
    base::log_info("storage", "{} is no longer sealed", text.table);
  }
  // By itself: it reads the whole table, perhaps, and the lease must not wait for that.
  const auto raise = raise_versions_sql(text);
  return raise.empty() ? Result<void>() : run_all(session, text, raise, "given its versions");
}

}  // namespace freshet::storage::postgres
