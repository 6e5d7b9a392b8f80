// Merging reads into statements, and handing the rows back.
#include "storage/postgres/read_lane.h"

#include <unordered_map>

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {

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
    }
  }
};

void ReadLane::dispatch(Connection& connection) {
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
  } while (has_waiting() &&
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

}  // namespace freshet::storage::postgres
