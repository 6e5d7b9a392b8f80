// Sessions for planning.
#include "storage/postgres/guarded/row_planning.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "storage/postgres/connection.h"
#include "storage/postgres/rows/writer_facts.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

class PlanningSession {
 public:
  static Result<std::unique_ptr<PlanningSession>> open(const PostgresOptions& options) {
    auto parameters = connection_parameters(options.url, application_name(options.fleet, "setup"));
    if (!parameters) return parameters.error();
    std::unique_ptr<PlanningSession> opened(new PlanningSession(options, std::move(*parameters)));
    const auto connected = opened->session_.ensure_connected(
        fmt::format("SELECT pg_catalog.set_config('lock_timeout', '{}', false)", options.lock_timeout / base::kMillisecond));
    if (!connected) return connected.error();
    return opened;
  }
  CatalogSession& get() { return session_; }

 private:
  PlanningSession(const PostgresOptions& options, ConnectionParameters parameters)
      : session_(std::move(parameters), interrupt_, options.connect_timeout, options.statement_timeout) {}

  Interrupt interrupt_;
  CatalogSession session_;
};

Result<std::string> digest_now(CatalogSession& session, const std::vector<std::string_view>& tables) {
  const auto found = session.run(statements::kRowsDigest.sql, {array_literal(tables)});
  if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
  return found.value(1);
}

// The names are read as the operator's sessions read them before the tables are planned, and with their schemas after it.
Result<PlannedRows> plan_once(const PostgresOptions& options, const std::vector<CollectionSpec>& specs,
                              const std::vector<std::string_view>& names, const LeaseClaim& claim, bool& stood_still) {
  auto opened = PlanningSession::open(options);
  if (!opened) return opened.error();
  CatalogSession& session = (*opened)->get();
  PlannedRows planned;
  const auto before = digest_now(session, names);
  if (!before) return before.error();
  auto plans = plan_rows(session, specs, claim);
  if (!plans) return plans.error();
  planned.plans = std::move(*plans);
  std::vector<std::string_view> tables;
  for (const auto& plan : planned.plans) tables.push_back(plan->text().table);
  auto after = digest_now(session, tables);
  if (!after) return after.error();
  stood_still = *before == *after;
  planned.digest = std::move(*after);
  return planned;
}

}  // namespace

Result<PlannedRows> plan_guarded(const PostgresOptions& options, const std::vector<CollectionSpec>& specs,
                                 const LeaseClaim& claim) {
  std::vector<std::string_view> names;
  for (const auto& spec : specs) {
    if (spec.guarded) names.push_back(spec.table);
  }
  if (names.empty()) return PlannedRows{};
  for (int round = 0; round < kPlanningRoundsMax; ++round) {
    bool stood_still = false;
    auto planned = plan_once(options, specs, names, claim, stood_still);
    if (!planned || stood_still) return planned;
  }
  return Error::of(ErrorCode::unavailable, "the catalog changes all the time: guarded tables cannot be planned",
                   "Try again.");
}

Result<void> unseal(const PostgresOptions& options, const CollectionSpec& spec, const LeaseClaim& claim) {
  auto opened = PlanningSession::open(options);
  if (!opened) return opened.error();
  CatalogSession& session = (*opened)->get();
  const auto table = look_up_table(session, spec.table);
  if (!table) return table.error();
  RowText text;
  text.collection = spec.name;
  text.table = table->sql;
  const auto sealed = has_seal_of(session, text);
  if (!sealed) return sealed.error();
  if (!*sealed) return {};
  const auto writers = look_up_writers(session, *table);
  if (!writers) return writers.error();
  return ensure_unsealed(session, text, writers->leaves, claim);
}

}  // namespace freshet::storage::postgres
