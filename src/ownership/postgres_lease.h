// Ownership of all slots by a lease kept in a row of the database: so that a node on PostgreSQL *knows* that it is alone.
//
// The rule. A holder renews by compare-and-set of (holder, period, counter) and counts from the moment of sending. A
// challenger never compares times of day: it takes over, by compare-and-set, only after it has seen the record unchanged, on
// its own clock, for a whole lease plus margin, and starts over if its connection breaks or the server's identity changes. A
// holder whose lease ran out is a challenger. Any change of the server's identity (system, timeline, start time) revokes the
// handle and starts a new period: what was cached and guarded before may be ahead of a promoted standby.
//
// May use storage/postgres, net and base. A hypervisor that stops the guest's clocks breaks any lease.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "freshet/result.h"
#include "ownership/ownership.h"

namespace freshet::ownership {

struct PostgresLeaseOptions {
  std::string url;                                // As the storage's. Schema freshet must be there.
  std::string fleet = "default";
  base::Nanoseconds lease = 2 * base::kSecond;    // kLeaseMin to kLeaseMax.
  base::Nanoseconds renewal_interval = 0;         // 0: a quarter of the lease.
  std::string holder;                             // Unique to this object; empty: made from host, process and a random id.
};

inline constexpr base::Nanoseconds kLeaseMin = 200 * base::kMillisecond;
inline constexpr base::Nanoseconds kLeaseMax = 300 * base::kSecond;
// What clocks of two machines may drift apart in a lease, taken off the holder's and added to the challenger's: 5 %.
inline constexpr base::Nanoseconds drift_margin(base::Nanoseconds lease) { return lease / 20; }

class PostgresLease final : public Ownership {
 public:
  // Does not wait for the database: it is tried for ever, in the background.
  static Result<std::unique_ptr<PostgresLease>> open(const PostgresLeaseOptions& options);
  // Revokes the handle, but releases nothing in the database: release() does. Not from the listener.
  ~PostgresLease() override;

  void listen(AssignmentListener listener) override;
  // Waits up to about half a lease for the database's answer; without one the lease runs out by itself. Not from the
  // listener.
  void release() override;
  OwnershipStatus status() const override;

 private:
  class Keeper;
  explicit PostgresLease(std::unique_ptr<Keeper> keeper);

  std::unique_ptr<Keeper> keeper_;
};

}  // namespace freshet::ownership
