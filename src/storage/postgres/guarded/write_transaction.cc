// Statements of writes to rows, and their answers. docs/CONSISTENCY-ROWS.md.
#include "storage/postgres/guarded/write_transaction.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/postgres/guarded/pass_step.h"
#include "storage/postgres/guarded/reply_rows.h"
#include "storage/postgres/guarded/write_codec.h"
#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

// Those of what a row's values, its constraints or the table's triggers say.
bool is_of_rows(const std::string& state) {
  constexpr const char* kClasses[] = {"22", "23", "42", "P0", "44", "2F", "38", "0A"};
  return std::ranges::any_of(kClasses, [&](const char* prefix) { return state.starts_with(prefix); });
}

}  // namespace

Result<std::unique_ptr<WriteTransaction>> WriteTransaction::make(const WriteRequest& request, const RowPlans& plans) {
  std::unique_ptr<WriteTransaction> transaction(new WriteTransaction(request));
  for (std::size_t i = 0; i < request.mutations.size(); ++i) {
    const auto& mutation = request.mutations[i];
    if (const auto* plan = plans.find(mutation.key)) {
      auto write = RowWrite::make(request, i, *plan);
      if (!write) return std::move(write).error();
      transaction->look_after_ |= plan->look_after();
      transaction->rows_.push_back(*std::move(write));
    } else if (mutation.kind == MutationKind::change || !mutation.cells.empty()) {
      return Error::of(ErrorCode::wrong_type, fmt::format("{} is no row: it has no columns", mutation.key));
    } else {
      transaction->pair_places_.push_back(i);
    }
  }
  transaction->sort_keys();
  transaction->may_travel_ = transaction->find_whether_it_may_travel();
  return transaction;
}

void WriteTransaction::sort_keys() {
  const auto key_at = [&](std::size_t place) -> const std::string& { return request_.mutations[place].key; };
  std::sort(pair_places_.begin(), pair_places_.end(), [&](auto left, auto right) { return key_at(left) < key_at(right); });
  for (const auto place : pair_places_) pairs_.mutations.push_back(request_.mutations[place]);
  pairs_.operation = request_.operation;
  pairs_.all_or_nothing = request_.all_or_nothing;
  are_plain_puts_ = are_plain_puts(pairs_.mutations);
  std::stable_sort(rows_.begin(), rows_.end(),
                   [](const RowWrite& left, const RowWrite& right) { return left.key() < right.key(); });
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].set_place_among(i == 0 || rows_[i - 1].key() != rows_[i].key(),
                             i + 1 == rows_.size() || rows_[i + 1].key() != rows_[i].key());
  }
}

// A row that is not as expected, or a condition that does not hold, takes a transaction of several writes back: it does not
// take others with it if the node knows its rows, be it by what the transaction itself has made of them.
bool WriteTransaction::find_whether_it_may_travel() const {
  if (!pairs_.mutations.empty() || look_after_) return false;
  bool was_written = false;  // The write before is of this row, which is there since then.
  for (const auto& write : rows_) {
    was_written = was_written && !write.is_first_of_key();
    if (write.statement().must && !(write.guesses() && (write.is_sure() || was_written))) return false;
    was_written = write.guesses();
  }
  return true;
}

std::vector<RowWrite*> WriteTransaction::rows() {
  std::vector<RowWrite*> writes;
  writes.reserve(rows_.size());
  for (auto& write : rows_) writes.push_back(&write);
  return writes;
}

std::vector<Step> WriteTransaction::steps(const PostgresOptions& options) {
  ++attempts_;
  const auto writes = rows();
  std::vector<Step> steps;
  steps.push_back(pass_step({&request_}, writes, std::nullopt, options));
  if (auto told = told_step(writes)) steps.push_back(*std::move(told));
  add_pairs(steps, options);
  const bool looks = attempts_ >= kLookFromAttempt;
  row_steps_.add(steps, writes, may_group_ && !looks);
  if (look_after_) steps.push_back({&statements::kSetConstraints, {}});
  row_steps_.add_looks(steps, looks || look_after_);
  return steps;
}

void WriteTransaction::add_pairs(std::vector<Step>& steps, const PostgresOptions& options) {
  if (pairs_.mutations.empty()) return;
  pairs_step_ = steps.size();
  if (!are_plain_puts_) {
    steps.push_back({pairs_.all_or_nothing ? &statements::kWriteAll : &statements::kWrite, encode_batch(pairs_, options)});
    return;
  }
  std::vector<Put> puts;
  for (const auto& put : pairs_.mutations) puts.push_back({&put, pairs_.operation});
  steps.push_back({&statements::kPutMany, encode_puts(puts, options)});
}

std::vector<Step> MergedTransactions::steps(const PostgresOptions& options) {
  std::vector<const WriteRequest*> requests;
  std::vector<RowWrite*> writes;
  for (auto* transaction : transactions_) {
    requests.push_back(&transaction->request());
    for (auto* write : transaction->rows()) writes.push_back(write);
  }
  std::stable_sort(writes.begin(), writes.end(),
                   [](const RowWrite* left, const RowWrite* right) { return left->key() < right->key(); });
  std::vector<Step> steps;
  steps.push_back(pass_step(requests, writes, kMergedWaitMs, options));
  if (auto told = told_step(writes)) steps.push_back(*std::move(told));
  row_steps_.add(steps, std::move(writes), true);
  row_steps_.add_looks(steps, false);
  return steps;
}

std::optional<Result<WriteReply>> WriteTransaction::take(const Reply& reply) {
  WriteReply outcomes(request_.mutations.size(), Error::of(ErrorCode::internal, "storage gave no outcome for this key"));
  if (!pairs_.mutations.empty()) {
    auto pairs = decode_pairs(rows_of(reply, pairs_step_));
    for (std::size_t i = 0; i < pairs.size(); ++i) outcomes[pair_places_[i]] = std::move(pairs[i]);
  }
  for (auto& write : rows_) {
    auto outcome = write.outcome_of(reply, look_after_);
    if (!outcome) {
      if (attempts_ < kRowAttemptsMax) return std::nullopt;
      return Result<WriteReply>(swallowed(write));
    }
    outcomes[write.place()] = std::move(*outcome);
  }
  return Result<WriteReply>(std::move(outcomes));
}

WriteReply WriteTransaction::decode_pairs(const PGresult* rows) const {
  if (!are_plain_puts_) return decode_batch(pairs_.mutations, rows);
  WriteReply reply;
  for (const auto& put : pairs_.mutations) {
    MutationOutcome outcome;
    outcome.applied = true;
    outcome.after = {true, put.value, 0, pairs_.operation, 0};
    if (put.expiry.mode == Expiry::Mode::at) outcome.after.expires_at_ms = expiry_ms_of(put.expiry);
    for (int row = 0; row < PQntuples(rows); ++row) {
      if (bytes_at(rows, row, 0) == put.key) outcome.after.version = static_cast<Version>(int8_at(rows, row, 1));
    }
    reply.emplace_back(std::move(outcome));
  }
  return reply;
}

WriteReply WriteTransaction::nothing_applied() const {
  MutationOutcome outcome;
  outcome.after_known = false;
  return WriteReply(request_.mutations.size(), outcome);
}

Error WriteTransaction::swallowed(const RowWrite& write) const {
  return Error::of(ErrorCode::busy,
                   fmt::format("the table did nothing with {}, {} times: other writers came between, or a trigger swallows "
                               "it; nothing was written", write.key(), attempts_),
                   "retry, or write this row alone");
}

std::optional<WriteTransaction::Refusal> WriteTransaction::take_error(const Reply& reply) {
  const auto& error = *reply.error;
  // It does not say which of them.
  if (row_steps_.is_of_group(reply.refused)) {
    may_group_ = false;
    return Refusal{};
  }
  auto* write = row_steps_.write_of(reply.refused);
  if (error.state == sqlstate::kNothingDone) {
    if (write == nullptr || !write->guesses()) return Refusal{Result<WriteReply>(nothing_applied())};
    write->turn_guess();
    if (attempts_ < kRowAttemptsMax) return Refusal{};
    return Refusal{Result<WriteReply>(swallowed(*write))};
  }
  const bool explained = (reply.refused > 0 && is_of_rows(error.state)) || error.state == sqlstate::kSealed ||
                         error.state == sqlstate::kNotCanonical;
  if (!explained) return std::nullopt;
  return Refusal{Result<WriteReply>(explain(write, error))};
}

Error WriteTransaction::explain(const RowWrite* write, const SqlError& error) const {
  if (error.state == sqlstate::kSealed) return Error::of(ErrorCode::unsupported, error.message, error.hint);
  if (write != nullptr) return write->explain(error);
  return Error::of(ErrorCode::invalid_argument,
                   error.state == sqlstate::kNotCanonical
                       ? error.message
                       : fmt::format("the table refused it ({}): {}", error.state, error.message),
                   error.hint);
}

}  // namespace freshet::storage::postgres
