// Merging puts into statements, and telling each what became of it.
#include "storage/postgres/guarded/write_lane.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

bool travels_with_rows(const WriteCall& call) { return call.transaction && call.transaction->may_travel(); }

// What was sent before was refused in company: it travels alone from now on.
bool may_merge(const WriteCall& call) { return (call.may_merge || travels_with_rows(call)) && call.attempts == 0; }

const std::string& key_of(const WriteCall& call) { return call.request.mutations.front().key; }

// What transactions that travel together come to.
class Company {
 public:
  // False: this one would be too much, or has to do with one that is there. Its place among the others would show then.
  bool takes(const WriteCall& call) {
    const auto rows = call.transaction->rows();
    auto statements = statements_;
    statements.add(rows);
    const bool fits = rows_ == 0 || (rows_ + rows.size() <= kMergedRowsMax && bytes_ + call.bytes <= kMergedBytesMax &&
                                     statements.count() <= kMergedStatementsMax);
    if (!fits || has_keys_of(call.request)) return false;
    for (const auto& mutation : call.request.mutations) written_.insert(mutation.key);
    for (const auto& checked : call.request.also) read_.insert(checked.key);
    rows_ += rows.size();
    bytes_ += call.bytes;
    statements_ = std::move(statements);
    return true;
  }
  bool is_full() const { return rows_ >= kMergedRowsMax; }

 private:
  bool has_keys_of(const WriteRequest& request) const {
    return std::any_of(request.mutations.begin(), request.mutations.end(),
                       [&](const Mutation& each) { return written_.contains(each.key) || read_.contains(each.key); }) ||
           std::any_of(request.also.begin(), request.also.end(),
                       [&](const CheckedKey& each) { return written_.contains(each.key); });
  }

  std::unordered_set<std::string_view> written_;
  std::unordered_set<std::string_view> read_;
  StatementCount statements_;
  std::size_t rows_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace

std::size_t WriteLane::in_flight_max() const {
  const auto& call = static_cast<const WriteCall&>(*first());
  if (!may_merge(call)) return Lane::in_flight_max();
  return call.transaction ? kRowsInFlightMax : kPutsInFlightMax;
}

// Each transaction has its cost, whatever it carries. Where commits are slow, as many soon wait as are under way; where they
// are quick, those are soon back.
// What travels alone has nothing to wait for.
bool WriteLane::holds_back() const {
  const auto may_travel = [](const CallPointer& call) { return may_merge(static_cast<const WriteCall&>(*call)); };
  return is_fetching_ || (queue().size() < under_way_ && std::ranges::all_of(queue(), may_travel));
}

// Nobody wakes the loop for it: it is asked after it is on its way, and what comes back is counted before it is fetched.
bool WriteLane::would_hold_back(const Call& call) const {
  return may_merge(static_cast<const WriteCall&>(call)) && waiting() < under_way_;
}

void WriteLane::set_out(const Batch& batch) {
  for (const auto& call : batch) call->is_under_way = true;
  under_way_ += batch.size();
  limit_waiting();
}

void WriteLane::limit_waiting() {
  if (under_way_ == 0 || std::exchange(is_timed_, true)) return;
  company_timer_.start(kCompanyWaitMax, [this] {
    is_timed_ = false;
    fetch();
    pump_all();
    limit_waiting();
  });
}

void WriteLane::came_back(std::span<const WriteCallPointer> calls) {
  for (const auto& call : calls) under_way_ -= std::exchange(call->is_under_way, false) ? 1 : 0;
}

// What is fetched is sent together, or it would not travel together; and not before the reply has been dealt with: it may
// have shown that its session works no longer.
void WriteLane::go_on() {
  fetch();
  pump();
}

void WriteLane::fetch() {
  is_fetching_ = true;
  fetch_();
  is_fetching_ = false;
}

// Of a put that went alone.
void WriteLane::on_reply(const CallPointer& call, Connection& connection, Reply reply) {
  const auto write = std::static_pointer_cast<WriteCall>(call);
  came_back({&write, 1});
  Lane::on_reply(call, connection, std::move(reply));
}

void WriteLane::dispatch(Connection& connection) {
  const auto& begins = static_cast<const WriteCall&>(*first());
  if (!may_merge(begins)) return send_alone(std::static_pointer_cast<WriteCall>(Lane::take()), connection);
  auto batch = begins.transaction ? gather_transactions() : gather_puts();
  set_out(batch);
  if (batch.size() == 1) return send_alone(batch.front(), connection);
  batch.front()->transaction ? send_transactions(std::move(batch), connection) : send_merged(std::move(batch), connection);
}

void WriteLane::send_alone(const WriteCallPointer& call, Connection& connection) {
  if (call->transaction) return send_transaction(call, connection);
  if (call->may_merge) encode_put(*call, storage_options_);
  send(call, connection);
}

// Two puts of one key never travel together: neither would be the later one.
WriteLane::Batch WriteLane::gather_puts() {
  std::unordered_set<std::string_view> keys;
  std::size_t bytes = 0;
  std::size_t looked = 0;
  Batch batch;
  for (auto next = queue().begin(); next != queue().end() && looked < kMergeLookMax && batch.size() < kMergedPutsMax;
       ++looked) {
    const auto call = std::static_pointer_cast<WriteCall>(*next++);
    const bool fits = batch.empty() || (may_merge(*call) && !call->transaction && bytes + call->bytes <= kMergedBytesMax);
    if (!fits || !keys.insert(key_of(*call)).second) continue;
    bytes += call->bytes;
    take(call);
    batch.push_back(call);
  }
  return batch;
}

WriteLane::Batch WriteLane::gather_transactions() {
  Company company;
  std::size_t looked = 0;
  Batch batch;
  for (auto next = queue().begin(); next != queue().end() && looked < kMergeLookMax && !company.is_full(); ++looked) {
    const auto call = std::static_pointer_cast<WriteCall>(*next++);
    if (!may_merge(*call) || !call->transaction || !company.takes(*call)) continue;
    take(call);
    batch.push_back(call);
  }
  return batch;
}

void WriteLane::send_transactions(Batch batch, Connection& connection) {
  std::vector<WriteTransaction*> transactions;
  for (const auto& call : batch) {
    call->connection = &connection;
    transactions.push_back(call->transaction.get());
  }
  const auto merged = std::make_shared<MergedTransactions>(std::move(transactions));
  connection.send(merged->steps(storage_options_), [this, merged, batch = std::move(batch), &connection](Reply reply) {
    on_transactions(batch, connection, std::move(reply));
    go_on();
  });
}

// One whose row was not as expected goes again, alone, and the others are done. What the server refuses it refuses for all.
void WriteLane::on_transactions(const Batch& batch, Connection& connection, Reply reply) {
  came_back(batch);
  if (reply.error) return refuse_batch(batch, connection, *reply.error);
  if (!reply.rows) {
    for (const auto& call : batch) lose(call, reply.lost);
    return;
  }
  for (auto call = batch.rbegin(); call != batch.rend(); ++call) {
    if ((*call)->state != Call::State::finished) take_reply(*call, reply);
  }
}

void WriteLane::take_reply(const WriteCallPointer& call, const Reply& reply) {
  auto told = call->transaction->take(reply);
  if (!told) return queue_again(call);
  call->transaction_reply = std::move(told);
  finish(*call, {});
}

void WriteLane::send_transaction(const WriteCallPointer& call, Connection& connection) {
  call->connection = &connection;
  connection.send(call->transaction->steps(storage_options_), [this, call, &connection](Reply reply) {
    on_transaction(call, connection, std::move(reply));
    go_on();
  });
}

void WriteLane::on_transaction(const WriteCallPointer& call, Connection& connection, Reply reply) {
  came_back({&call, 1});
  if (reply.error) judge_session(connection, *reply.error);
  if (!reply.rows && !reply.error) return lose(call, reply.lost);
  if (call->state == Call::State::finished) return;
  if (reply.rows) return take_reply(call, reply);
  auto refusal = call->transaction->take_error(reply);
  if (!refusal) return refuse(call, connection, *reply.error);
  if (!refusal->tell) return queue_again(call);
  call->transaction_reply = std::move(refusal->tell);
  finish(*call, {});
}

void WriteLane::send_merged(Batch batch, Connection& connection) {
  const auto parameters = encode_puts(batch, storage_options_);
  for (const auto& call : batch) call->connection = &connection;
  connection.send(statements::kPutMany, parameters, [this, batch = std::move(batch), &connection](Reply reply) {
    on_batch(batch, connection, std::move(reply));
  });
}

void WriteLane::on_batch(const Batch& batch, Connection& connection, Reply reply) {
  came_back(batch);
  if (reply.error) {
    refuse_batch(batch, connection, *reply.error);
  } else if (reply.rows) {
    finish_batch(batch, reply.rows.get());
  } else {
    for (const auto& call : batch) lose(call, reply.lost);
  }
  go_on();
}

void WriteLane::refuse_batch(const Batch& batch, Connection& connection, const SqlError& error) {
  judge_session(connection, error);
  // From behind: the first is put to the front last.
  for (auto call = batch.rbegin(); call != batch.rend(); ++call) {
    if ((*call)->state != Call::State::finished) queue_again(*call);
  }
}

void WriteLane::finish_batch(const Batch& batch, const PGresult* rows) {
  std::unordered_map<std::string_view, Version> versions;
  for (int row = 0; row < PQntuples(rows); ++row) {
    versions.emplace(bytes_at(rows, row, 0), static_cast<Version>(int8_at(rows, row, 1)));
  }
  for (const auto& call : batch) {
    if (call->state == Call::State::finished) continue;
    const auto found = versions.find(key_of(*call));
    if (found == versions.end()) {
      lose(call, "the server left it out of its answer");
      continue;
    }
    call->merged_version = found->second;
    finish(*call, {});
  }
}

}  // namespace freshet::storage::postgres
