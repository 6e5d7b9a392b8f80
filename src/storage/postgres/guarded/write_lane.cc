// Merging puts into statements, and telling each what became of it.
#include "storage/postgres/guarded/write_lane.h"

#include <unordered_map>
#include <unordered_set>

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

bool is_row(const WriteCall& call) { return call.transaction && call.transaction->is_one_row(); }

// What was sent before was refused in company: it travels alone from now on.
bool may_merge(const WriteCall& call) { return (call.may_merge || is_row(call)) && call.attempts == 0; }

const std::string& key_of(const WriteCall& call) { return call.request.mutations.front().key; }

}  // namespace

std::size_t WriteLane::in_flight_max() const {
  return may_merge(static_cast<const WriteCall&>(*first())) ? kPutsInFlightMax : Lane::in_flight_max();
}

void WriteLane::dispatch(Connection& connection) {
  auto batch = may_merge(static_cast<const WriteCall&>(*first()))
                   ? gather()
                   : Batch{std::static_pointer_cast<WriteCall>(Lane::take())};
  if (batch.size() > 1) {
    return is_row(*batch.front()) ? send_rows(std::move(batch), connection) : send_merged(std::move(batch), connection);
  }
  if (batch.front()->transaction) return send_transaction(batch.front(), connection);
  auto& call = *batch.front();
  if (call.may_merge) encode_put(call, storage_options_);
  send(batch.front(), connection);
}

// Two puts of one key never travel together: neither would be the later one. Nor do puts and rows.
WriteLane::Batch WriteLane::gather() {
  const auto& begins = static_cast<const WriteCall&>(*first());
  const bool rows = is_row(begins);
  bool alike = true;  // One statement will do for all.
  std::unordered_set<std::string_view> keys;
  std::size_t bytes = 0;
  std::size_t looked = 0;
  Batch batch;
  for (auto next = queue().begin(); next != queue().end() && looked < kMergeLookMax &&
                                    batch.size() < (rows && !alike ? kMergedRowsMax : kMergedPutsMax); ++looked) {
    const auto call = std::static_pointer_cast<WriteCall>(*next++);
    const bool fits =
        batch.empty() || (may_merge(*call) && is_row(*call) == rows && bytes + call->bytes <= kMergedBytesMax);
    if (!fits || !keys.insert(key_of(*call)).second) continue;
    bytes += call->bytes;
    if (rows && !batch.empty()) alike = alike && call->transaction->is_alike(*batch.front()->transaction);
    take(call);
    batch.push_back(call);
  }
  return batch;
}

struct WriteLane::MergedRows {
  Batch calls;
  WriteRequest request;  // All their mutations.
  std::unique_ptr<WriteTransaction> transaction;
};

void WriteLane::send_rows(Batch batch, Connection& connection) {
  auto merged = std::make_shared<MergedRows>();
  for (const auto& call : batch) {
    call->connection = &connection;
    merged->request.mutations.push_back(call->request.mutations.front());
  }
  merged->calls = std::move(batch);
  merged->transaction = WriteTransaction::make_merged(merged->request, rows_.now());
  connection.send(merged->transaction->steps(storage_options_), [this, merged, &connection](Reply reply) {
    on_rows(*merged, connection, std::move(reply));
    pump();
  });
}

// One whose row was not as expected goes again, alone, and the others are done. What the server refuses it refuses for all.
void WriteLane::on_rows(const MergedRows& merged, Connection& connection, Reply reply) {
  if (reply.error) return refuse_batch(merged.calls, connection, *reply.error);
  if (!reply.rows) {
    for (const auto& call : merged.calls) lose(call, reply.lost);
    return;
  }
  auto outcomes = merged.transaction->take_each(reply);
  for (std::size_t i = merged.calls.size(); i-- > 0;) {
    const auto& call = merged.calls[i];
    if (call->state == Call::State::finished) continue;
    if (!outcomes[i]) {
      queue_again(call);
      continue;
    }
    call->transaction_reply = WriteReply{std::move(*outcomes[i])};
    finish(*call, {});
  }
}

void WriteLane::send_transaction(const WriteCallPointer& call, Connection& connection) {
  call->connection = &connection;
  connection.send(call->transaction->steps(storage_options_), [this, call, &connection](Reply reply) {
    on_transaction(call, connection, std::move(reply));
    pump();
  });
}

void WriteLane::on_transaction(const WriteCallPointer& call, Connection& connection, Reply reply) {
  if (reply.error) judge_session(connection, *reply.error);
  if (!reply.rows && !reply.error) return lose(call, reply.lost);
  if (call->state == Call::State::finished) return;
  std::optional<Result<WriteReply>> told;
  if (reply.rows) {
    told = call->transaction->take(reply);
  } else if (auto refusal = call->transaction->take_error(reply)) {
    told = std::move(refusal->tell);
  } else {
    return refuse(call, connection, *reply.error);
  }
  if (!told) return queue_again(call);
  call->transaction_reply = std::move(told);
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
  if (reply.error) {
    refuse_batch(batch, connection, *reply.error);
  } else if (reply.rows) {
    finish_batch(batch, reply.rows.get());
  } else {
    for (const auto& call : batch) lose(call, reply.lost);
  }
  pump();
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
