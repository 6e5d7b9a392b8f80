// The lane for reads: those that wait travel together in one statement, each key once. Key-value pairs in one, the rows of a
// table in another. May use storage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/postgres/lane.h"
#include "storage/postgres/rows/row_plan.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

struct ReadCall final : Call {
  std::vector<std::string> keys;
  // Of a table: the one key is a row's, and these are its parts.
  const RowPlan* plan = nullptr;
  std::vector<std::string> parts;
  bool alone = false;   // In company it was refused.
  // Filled before `done` is called without an error.
  ReadReply reply;
};

// The most keys in one statement. A call brings at most kBatchKeysMax; calls are merged up to this.
inline constexpr std::size_t kReadKeysPerStatementMax = kBatchKeysMax;

class ReadLane final : public Lane {
 public:
  using Lane::Lane;

 private:
  struct Batch;
  struct RowBatch;
  void dispatch(Connection& connection) override;
  void on_batch(Batch& batch, Connection& connection, Reply reply);
  void dispatch_rows(Connection& connection);
  void on_rows(const RowBatch& batch, Connection& connection, Reply reply);
  void refuse_rows(const RowBatch& batch, Connection& connection, const SqlError& error);
};

}  // namespace freshet::storage::postgres
