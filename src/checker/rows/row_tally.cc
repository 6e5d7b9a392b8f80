// Names and least counts of what happened to rows.
#include "checker/rows/row_tally.h"

#include <fmt/format.h>

namespace freshet::checker {
namespace {

constexpr std::array<std::string_view, kRowEvents> kNames = {
    "command_writes",      "transactions",      "pair_reads",        "guarded_committed",
    "guarded_rolled_back", "guarded_abandoned", "passed_committed",  "passed_rolled_back",
    "passed_abandoned",    "forbidden_refused", "forbidden_accepted", "forbidden_unknown"};

}  // namespace

std::string_view name_of(RowEvent event) { return kNames[static_cast<std::size_t>(event)]; }

std::map<std::string, std::uint64_t> RowTally::all() const {
  std::map<std::string, std::uint64_t> counts;
  for (std::size_t event = 0; event < kRowEvents; ++event) counts[std::string(kNames[event])] = counts_[event].load();
  return counts;
}

std::string RowTally::shortfall(bool by_sql, bool together) const {
  struct Least {
    std::string_view what;
    std::uint64_t count;
    std::uint64_t wanted;
    bool applies;
  };
  const std::uint64_t forbidden = of(RowEvent::forbidden_refused) + of(RowEvent::forbidden_accepted);
  const Least leasts[] = {
      {"transactions by MULTI", of(RowEvent::transactions), kRowTransactionsMin, together},
      {"reads of pairs", of(RowEvent::pair_reads), kPairReadsMin, together},
      {"guarded SQL transactions that committed", of(RowEvent::guarded_committed), kGuardedMin, by_sql},
      {"guarded SQL transactions that were abandoned", of(RowEvent::guarded_abandoned), kAbandonedMin, by_sql},
      {"transactions behind freshet.pass that committed", of(RowEvent::passed_committed), kPassedMin, by_sql},
      {"writes past the guard", forbidden, kForbiddenMin, by_sql},
  };
  for (const Least& least : leasts) {
    if (!least.applies || least.count >= least.wanted) continue;
    return fmt::format("only {} {} (at least {} wanted)", least.count, least.what, least.wanted);
  }
  return {};
}

}  // namespace freshet::checker
