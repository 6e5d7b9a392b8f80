// Sessions for planning.
#include "storage/postgres/guarded/row_planning.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
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

using Digests = std::vector<std::string>;

Result<Digests> digests_now(CatalogSession& session, const std::vector<std::string_view>& tables) {
  const auto found = session.run(statements::kRowsDigest.sql, {array_literal(tables)});
  if (!found.ok()) return Error::of(ErrorCode::unavailable, found.error.message);
  Digests digests;
  for (int row = 0; row < PQntuples(found.rows.get()); ++row) digests.emplace_back(bytes_at(found.rows.get(), row, 2));
  return digests;
}

// Nothing, if the catalog has changed meanwhile: sealing is such a change. The names are read as the operator's sessions
// read them before the tables are planned, and with their schemas after it.
Result<std::optional<std::vector<RowPlanRef>>> plan_once(const PostgresOptions& options,
                                                         const std::vector<CollectionSpec>& specs,
                                                         const std::vector<std::string_view>& names,
                                                         const LeaseClaim& claim) {
  auto opened = PlanningSession::open(options);
  if (!opened) return opened.error();
  CatalogSession& session = (*opened)->get();
  const auto before = digests_now(session, names);
  if (!before) return before.error();
  auto plans = plan_rows(session, specs, claim);
  if (!plans) return plans.error();
  std::vector<std::string_view> tables;
  for (const auto& plan : *plans) tables.push_back(plan->text().table);
  auto after = digests_now(session, tables);
  if (!after) return after.error();
  if (*before != *after) return std::optional<std::vector<RowPlanRef>>();
  std::vector<RowPlanRef> planned;
  for (std::size_t i = 0; i < plans->size(); ++i) {
    (*plans)[i]->set_digest(std::move((*after)[i]));
    planned.push_back((*plans)[i]);
  }
  return std::optional(std::move(planned));
}

}  // namespace

Result<std::vector<RowPlanRef>> plan_guarded(const PostgresOptions& options, const std::vector<CollectionSpec>& specs,
                                             const LeaseClaim& claim) {
  std::vector<std::string_view> names;
  for (const auto& spec : specs) {
    if (spec.guarded) names.push_back(spec.table);
  }
  if (names.empty()) return std::vector<RowPlanRef>();
  for (int round = 0; round < kPlanningRoundsMax; ++round) {
    auto planned = plan_once(options, specs, names, claim);
    if (!planned) return planned.error();
    if (*planned) return std::move(**planned);
  }
  return Error::of(ErrorCode::unavailable, "the catalog changes all the time: guarded tables cannot be planned",
                   "Try again.");
}

namespace {

Result<void> unseal(CatalogSession& session, const CollectionSpec& spec, const LeaseClaim& claim) {
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

}  // namespace

std::vector<std::pair<std::string, Error>> unseal_each(const PostgresOptions& options,
                                                       const std::vector<CollectionSpec>& specs,
                                                       const LeaseClaim& claim) {
  if (specs.empty()) return {};
  auto opened = PlanningSession::open(options);
  if (!opened) return {{specs.front().table, opened.error()}};
  std::vector<std::pair<std::string, Error>> failed;
  for (const auto& spec : specs) {
    if (const auto unsealed = unseal((*opened)->get(), spec, claim); !unsealed) {
      failed.emplace_back(spec.table, unsealed.error());
    }
  }
  return failed;
}

}  // namespace freshet::storage::postgres
