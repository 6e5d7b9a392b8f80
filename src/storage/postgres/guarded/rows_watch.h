// Looks whether what guarded tables were planned from still stands in the catalog: a column that was added, a trigger. On
// the loop's thread. May use storage.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "storage/postgres/lane.h"
#include "storage/postgres/rows/row_plan.h"

namespace freshet::storage::postgres {

// How often. Some index lookups each time.
inline constexpr base::Nanoseconds kRowsLookPeriod = base::kSecond;

class RowsWatch {
 public:
  // `outdated` is called when the digests are not the plans', at each look until it says that it has been heard; and again
  // after kRowsLookAgain while they stay so.
  RowsWatch(net::Loop& loop, Lane& administration, const PlansInForce& rows, std::function<bool()> outdated)
      : lane_(administration), rows_(rows), outdated_(std::move(outdated)), timer_(loop) {
    wait();
  }

 private:
  void wait();
  void look();
  void on_digest(const RowPlans& of, const Answer& answer);

  Lane& lane_;
  const PlansInForce& rows_;
  const std::function<bool()> outdated_;
  net::Timer timer_;
  std::string told_;                  // The digests that were told last,
  base::Nanoseconds told_at_ = 0;     // and when.
};

// Planning may fail, for want of a privilege or of a column, or be another node's to do: it is tried again so often.
inline constexpr base::Nanoseconds kRowsLookAgain = 10 * base::kSecond;

}  // namespace freshet::storage::postgres
