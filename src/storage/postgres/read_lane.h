// The lane for reads: those that wait travel together in one statement, each key once. May use storage.
#pragma once

#include "storage/postgres/lane.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

struct ReadCall final : Call {
  std::vector<std::string> keys;
  ReadReply reply;  // Filled before `done` is called without an error.
};

// The most keys in one statement. A call brings at most kBatchKeysMax; calls are merged up to this.
inline constexpr std::size_t kReadKeysPerStatementMax = kBatchKeysMax;

class ReadLane final : public Lane {
 public:
  using Lane::Lane;

 private:
  struct Batch;
  void dispatch(Connection& connection) override;
  void on_batch(Batch& batch, Connection& connection, Reply reply);
};

}  // namespace freshet::storage::postgres
