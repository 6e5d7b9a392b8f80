// What the follower has proven, for readers on any thread: the staleness clock, the newest proof, the collections' shapes.
// Written on the loop's thread, read anywhere. May use the follower's own words.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/spin_lock.h"
#include "consistency/observed/follower.h"

namespace freshet::consistency {

// A probe whose condition has held: every change that its snapshot shows is in the table.
struct Proof {
  storage::Identity identity;
  storage::Snapshot snapshot;
  storage::Lsn position = 0;
  base::Nanoseconds sent = 0;
  // Every change of a transaction that committed in the log before it is in the table: the position, or where the first held
  // change begins. Positions alone would not do for tokens: a transaction may become visible without a byte being written
  // after its commit (it waited for a standby), and then a probe of before has the same position as a token of after.
  storage::Lsn complete_to = 0;
};
using ProofRef = std::shared_ptr<const Proof>;

// A token of another history can never be satisfied.
bool is_of(const SessionToken& token, const storage::Identity& identity);
// Whether everything that the token names is in the table, by this proof. Of the same history.
bool satisfies(const Proof& proof, const SessionToken& token);

class Published {
 public:
  explicit Published(std::size_t collections) : shapes_(collections) {}

  // A newer proof. Everything that it proves has been done to the table before.
  void prove(ProofRef proof);
  // The history ended: tokens must be proven anew. What the clock says stays true of what is still served.
  void forget_proof();
  void set_shape(storage::CollectionId collection, storage::RowShapeRef shape);

  // See Follower::age_if_fresh.
  std::optional<base::Nanoseconds> age_if_fresh(const memory::Entry& entry, const ReadPromise& promise,
                                                base::Nanoseconds now) const;
  base::Nanoseconds age(base::Nanoseconds now) const;
  base::Nanoseconds clock() const { return clock_.load(std::memory_order_acquire); }
  ProofRef proof() const;
  storage::RowShapeRef shape_of(storage::CollectionId collection) const;
  // When a bounded read last asked; roughly.
  base::Nanoseconds bounded_read_at() const { return bounded_read_at_.load(std::memory_order_relaxed); }

 private:
  void note_bounded_read(base::Nanoseconds now) const;

  std::atomic<base::Nanoseconds> clock_{0};  // 0: nothing is proven.
  mutable std::atomic<base::Nanoseconds> bounded_read_at_{0};
  mutable base::SpinLock proof_lock_;
  ProofRef proof_;
  mutable std::mutex shapes_mutex_;
  std::vector<storage::RowShapeRef> shapes_;
};

}  // namespace freshet::consistency
