// The key-value collection and guarded tables in PostgreSQL behind storage::Storage: guarded writes in one round trip, reads
// that travel together, reconnection without end. docs: DESIGN section 3, "In PostgreSQL".
//
// May use storage, net, base and libpq. Resolving the host's name blocks the storage's own thread for a moment.
#pragma once

#include <memory>

#include "freshet/result.h"
#include "storage/postgres/options.h"
#include "storage/postgres/rows/row_plan.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

class PostgresStorage final : public Storage {
 public:
  // Connects once to see that the database answers, that it is writable and that schema freshet is there (or makes it).
  // Seals the tables of guarded collections, or refuses: with what stands in the way and what to do.
  // Blocks up to about the connect timeout.
  static Result<std::unique_ptr<PostgresStorage>> open(const PostgresOptions& options);
  ~PostgresStorage() override;

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<ReadReply> done) override;
  void write(WriteRequest request, Callback<WriteReply> done) override;
  void set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) override;
  void scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline, Callback<ScanReply> done) override;
  void count(base::Nanoseconds deadline, Callback<KeyCount> done) override;
  void split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                    Callback<std::vector<base::Slot>> done) override;
  void forget(std::vector<Tombstone> tombstones) override;
  void health(base::Nanoseconds deadline, Callback<Health> done) override;
  Result<std::string> guard_statement(const std::vector<CheckedKey>& keys) const override;
  void pass_requests(const PassRequests& known, bool standing, base::Nanoseconds deadline,
                     Callback<PassRequests> done) override;
  void acknowledge_passes(const PassesHeard& heard, base::Nanoseconds deadline, Callback<void> done) override;
  const RowCollections* rows() const override;
  Result<std::function<void()>> guard_rows(const RowChange& change) override;
  Result<void> unseal_rows(const CollectionSpec& spec, std::uint64_t period) override;
  void on_rows_outdated(std::function<bool()> listener) override;

 private:
  class Lanes;
  struct Gathering;
  PostgresStorage(const PostgresOptions& options, RowPlans rows);
  Result<std::vector<RowPlanRef>> plan_each(const std::vector<CollectionSpec>& specs, const LeaseClaim& claim) const;
  void read_with_rows(const RowPlans& plans, std::vector<std::string> keys, base::Nanoseconds deadline,
                      Callback<ReadReply> done);
  void submit_read(std::shared_ptr<struct ReadCall> call, std::vector<std::string> keys, base::Nanoseconds deadline,
                   Callback<ReadReply> done);

  PlansInForce rows_;
  std::unique_ptr<Lanes> lanes_;
};

// Where to cut `range` into `parts` parts of about the same number of keys, given how many keys each slot holds.
std::vector<base::Slot> split_evenly(base::SlotRange range, int parts,
                                     const std::vector<std::pair<base::Slot, std::uint64_t>>& counts);

}  // namespace freshet::storage::postgres
