// Parameters of freshet.pass_row and freshet.pass_many.
#include "storage/postgres/guarded/pass_step.h"

#include <algorithm>
#include <utility>

#include "storage/passed_keys.h"
#include "storage/postgres/guarded/write_codec.h"
#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

using SlotToken = std::pair<base::Slot, Token>;

// Each once, ascending.
std::vector<SlotToken> slots_of(const std::vector<const WriteRequest*>& requests) {
  std::vector<SlotToken> slots;
  for (const auto* request : requests) {
    for (const auto& mutation : request->mutations) slots.emplace_back(base::slot_of(mutation.key), mutation.token);
    for (const auto& checked : request->also) slots.emplace_back(base::slot_of(checked.key), checked.token);
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

Step pass_row_step(const Mutation& mutation, Parameters parameters) {
  parameters.add(encoded(std::int32_t{base::slot_of(mutation.key)})).add(encoded(mutation.token)).add(mutation.key);
  return {&statements::kPassRow, std::move(parameters)};
}

}  // namespace

Step pass_step(const std::vector<const WriteRequest*>& requests, const std::vector<RowWrite*>& writes,
               std::optional<std::int32_t> wait_ms, const PostgresOptions& options) {
  Parameters parameters;
  add_lock_class(parameters, options);
  parameters.add(options.fleet);
  const auto& first = *requests.front();
  if (requests.size() == 1 && first.mutations.size() == 1 && first.also.empty()) {
    return pass_row_step(first.mutations.front(), std::move(parameters));
  }
  ArrayBuilder cells(oid::kInt4), slots(oid::kInt4), tokens(oid::kUuid);
  std::optional<int> cell;
  for (const auto& [slot, token] : slots_of(requests)) {
    if (cell != base::cell_of(slot)) {
      cell = base::cell_of(slot);
      cells.add(encoded(std::int32_t{*cell}));
    }
    slots.add(encoded(std::int32_t{slot}));
    tokens.add(encoded(token));
  }
  std::string noted;
  for (const auto* write : writes) noted += note_passed(write->key());
  parameters.add(cells.take()).add(slots.take()).add(tokens.take()).add(std::move(noted));
  wait_ms ? parameters.add(encoded(*wait_ms)) : parameters.add_null();
  return {&statements::kPassMany, std::move(parameters)};
}

std::optional<Step> told_step(const std::vector<RowWrite*>& writes) {
  std::string told;
  for (const auto* write : writes) {
    if (write->plan().collection().spec.followed) told += note_passed(write->key());
  }
  if (told.empty()) return std::nullopt;
  Parameters parameters;
  parameters.add(std::move(told));
  return Step{&statements::kTellPassed, std::move(parameters)};
}

}  // namespace freshet::storage::postgres
