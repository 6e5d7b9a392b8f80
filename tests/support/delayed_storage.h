// A storage on a bad network: some requests are held back for long, some replies come late or never, in a way that repeats
// from a seed (as far as threads do). A write held back past its deadline is answered as of unknown outcome, and reaches the
// real storage all the same: a delayed write.
#pragma once

#include <mutex>

#include "base/random.h"
#include "forwarding_storage.h"
#include "net/loop.h"

namespace freshet::testing {

struct Delays {
  std::uint64_t seed = 1;
  double write_late = 0.02;                                      // Share of writes held back,
  base::Nanoseconds write_late_max = 2 * base::kSecond;          // for up to this.
  double reply_lost = 0.01;                                      // Share of writes applied whose answer is lost.
  double guard_late = 0.1;                                       // Share of set_guard calls held back,
  base::Nanoseconds guard_late_max = 300 * base::kMillisecond;
  double reply_late = 0.05;                                      // Share of all replies that come late,
  base::Nanoseconds reply_late_max = 5 * base::kMillisecond;
};

class DelayedStorage final : public ForwardingStorage {
 public:
  DelayedStorage(std::shared_ptr<storage::Storage> inner, const Delays& delays)
      : ForwardingStorage(std::move(inner)), delays_(delays), random_(delays.seed) {}
  ~DelayedStorage() override { wait_for_answers(); }

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<storage::ReadReply> done) override;
  void write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) override;
  void set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline,
                 storage::Callback<void> done) override;

 private:
  // A delay of up to `max` in this share of the calls, else 0.
  base::Nanoseconds draw(double share, base::Nanoseconds max);
  // A callback for the inner storage that may pass the reply on late.
  template <typename T>
  storage::Callback<T> late(storage::Callback<T> done);

  const Delays delays_;
  std::mutex mutex_;
  base::Random random_;
  net::Loop loop_{"delays"};
};

}  // namespace freshet::testing
