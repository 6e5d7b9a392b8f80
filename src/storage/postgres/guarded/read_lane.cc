// Merging reads into statements, and handing the rows back.
#include "storage/postgres/guarded/read_lane.h"

#include <unordered_map>

#include <fmt/format.h>

#include "storage/postgres/statements.h"
#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

// Columns of read_rows_sql().
enum RowColumnOf : int { kTimeline, kDatabaseMs, kPlace, kGiven, kCells, kStored };

bool is_about_values(const std::string& state) { return state.starts_with("22") || state == "23514"; }

Error wrong_key(std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::invalid_argument, std::move(what), std::move(remedy));
}

// By the row's own spelling if there is one: equal values may be stored in several.
std::optional<Error> fault_of_spelling(const ReadCall& call, const PGresult* rows, int row) {
  for (const int column : {kGiven, kStored}) {
    if (is_null(rows, row, column)) continue;
    const auto texts = read_text_array(bytes_at(rows, row, column));
    if (!texts) return texts.error();
    const auto spelling = call.plan->key_of(*texts);
    if (spelling == call.keys.front()) continue;
    return wrong_key(fmt::format("{} is not the canonical spelling of this key", call.keys.front()),
                     fmt::format("Use {}.", spelling));
  }
  return std::nullopt;
}

void take_row(ReadCall& call, const PGresult* rows, int row) {
  auto& reply = call.reply;
  reply.states.resize(1);
  reply.database_ms = int8_at(rows, row, kDatabaseMs);
  if (auto fault = fault_of_spelling(call, rows, row)) return void(reply.faults.emplace_back(0, std::move(*fault)));
  if (is_null(rows, row, kCells)) return;
  auto state = call.plan->state_of(bytes_at(rows, row, kCells));
  if (!state) return void(reply.faults.emplace_back(0, state.error()));
  reply.states.front() = std::move(*state);
}

}  // namespace

// All of one table.
struct ReadLane::RowBatch {
  std::vector<std::shared_ptr<ReadCall>> calls;  // By place.
};

// The views point into the keys of the calls, which the batch keeps alive.
struct ReadLane::Batch {
  std::vector<std::shared_ptr<ReadCall>> calls;
  std::unordered_map<std::string_view, std::size_t> index;
  std::vector<KeyState> states;
  std::int64_t database_ms = 0;

  // Reads the rows into the states.
  void take(const PGresult* rows) {
    states.resize(index.size());
    database_ms = int8_at(rows, 0, 1);
    for (int row = 0; row < PQntuples(rows); ++row) {
      if (is_null(rows, row, 2)) continue;
      const auto found = index.find(bytes_at(rows, row, 2));
      if (found == index.end()) continue;
      auto& state = states[found->second];
      state.present = !is_null(rows, row, 3);
      state.value = bytes_at(rows, row, 3);
      state.version = static_cast<Version>(int8_at(rows, row, 4));
      state.operation = uuid_at(rows, row, 5);
      state.expires_at_ms = int8_at(rows, row, 6);
      state.kind = static_cast<ValueKind>(int4_at(rows, row, 7));
    }
  }
};

void ReadLane::dispatch(Connection& connection) {
  if (static_cast<const ReadCall&>(*first()).plan != nullptr) return dispatch_rows(connection);
  auto batch = std::make_shared<Batch>();
  ArrayBuilder keys(oid::kBytea);
  bool has_long = false;
  do {
    auto call = std::static_pointer_cast<ReadCall>(take());
    for (const auto& key : call->keys) {
      if (!batch->index.emplace(key, batch->index.size()).second) continue;
      keys.add(key);
      has_long |= key.size() > kPlainKeyBytesMax;
    }
    batch->calls.push_back(std::move(call));
  } while (has_waiting() && static_cast<const ReadCall&>(*first()).plan == nullptr &&
           batch->index.size() + static_cast<const ReadCall&>(*first()).keys.size() <= kReadKeysPerStatementMax);
  Parameters parameters;
  parameters.add(keys.take());
  connection.send(has_long ? statements::kReadLong : statements::kRead, parameters,
                  [this, batch, &connection](Reply reply) { on_batch(*batch, connection, std::move(reply)); });
}

void ReadLane::on_batch(Batch& batch, Connection& connection, Reply reply) {
  const bool trusted = reply.rows && connection.is_current(bytes_at(reply.rows.get(), 0, 0));
  if (trusted) batch.take(reply.rows.get());
  for (const auto& call : batch.calls) {
    if (reply.error) {
      refuse(call, connection, *reply.error);
    } else if (!reply.rows) {
      lose(call, reply.lost);
    } else if (!trusted) {
      distrust(call, connection);
    } else if (call->state != Call::State::finished) {
      call->reply.database_ms = batch.database_ms;
      call->reply.states.reserve(call->keys.size());
      for (const auto& key : call->keys) call->reply.states.push_back(batch.states[batch.index.at(key)]);
      finish(*call, {});
    }
  }
  pump();
}

void ReadLane::dispatch_rows(Connection& connection) {
  const auto batch = std::make_shared<RowBatch>();
  const auto* plan = static_cast<const ReadCall&>(*first()).plan;
  std::vector<ArrayBuilder> parts(plan->key_parts(), ArrayBuilder(oid::kText));
  const auto joins = [&](const ReadCall& call) {
    const bool together = !call.alone && !batch->calls.front()->alone;
    return call.plan == plan && together && batch->calls.size() < kReadKeysPerStatementMax;
  };
  do {
    auto call = std::static_pointer_cast<ReadCall>(take());
    call->connection = &connection;
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].add(call->parts[i]);
    batch->calls.push_back(std::move(call));
  } while (has_waiting() && joins(static_cast<const ReadCall&>(*first())));
  Parameters parameters;
  for (auto& part : parts) parameters.add(part.take());
  connection.send(plan->read()->get(), parameters,
                  [this, batch, &connection](Reply reply) { on_rows(*batch, connection, std::move(reply)); });
}

void ReadLane::on_rows(const RowBatch& batch, Connection& connection, Reply reply) {
  if (reply.error) {
    refuse_rows(batch, connection, *reply.error);
    return pump();
  }
  const auto* rows = reply.rows.get();
  const bool trusted = rows != nullptr && PQntuples(rows) > 0 && connection.is_current(bytes_at(rows, 0, kTimeline));
  for (int row = 0; trusted && row < PQntuples(rows); ++row) {
    const auto& call = batch.calls[static_cast<std::size_t>(int8_at(rows, row, kPlace)) - 1];
    if (call->state != Call::State::finished) take_row(*call, rows, row);
  }
  for (const auto& call : batch.calls) {
    if (rows == nullptr) {
      lose(call, reply.lost);
    } else if (!trusted) {
      distrust(call, connection);
    } else {
      finish(*call, {});
    }
  }
  pump();
}

// One key that is no value of its type spoils the statement for the others: each is read alone.
void ReadLane::refuse_rows(const RowBatch& batch, Connection& connection, const SqlError& error) {
  const bool alone = batch.calls.size() == 1;
  for (auto call = batch.calls.rbegin(); call != batch.calls.rend(); ++call) {
    if ((*call)->state == Call::State::finished) continue;
    if (!is_about_values(error.state)) {
      refuse(*call, connection, error);
    } else if (alone) {
      (*call)->reply.states.resize(1);
      (*call)->reply.faults.emplace_back(
          0, wrong_key(fmt::format("{} is no key of {}: {}", (*call)->keys.front(), (*call)->plan->name(), error.message)));
      finish(**call, {});
    } else {
      (*call)->alone = true;
      queue_again(*call);
    }
  }
}

}  // namespace freshet::storage::postgres
