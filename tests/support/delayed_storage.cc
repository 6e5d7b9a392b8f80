// Requests held back, replies late or lost.
#include "delayed_storage.h"

#include <atomic>

namespace freshet::testing {

base::Nanoseconds DelayedStorage::draw(double share, base::Nanoseconds max) {
  std::lock_guard lock(mutex_);
  if (!random_.chance(share)) return 0;
  return 1 + static_cast<base::Nanoseconds>(random_.below(static_cast<std::uint64_t>(max)));
}

template <typename T>
storage::Callback<T> DelayedStorage::late(storage::Callback<T> done) {
  const auto delay = draw(delays_.reply_late, delays_.reply_late_max);
  auto tell = counted(std::move(done));
  if (delay == 0) return tell;
  return [this, delay, tell = std::move(tell)](Result<T> reply) {
    auto kept = std::make_shared<Result<T>>(std::move(reply));
    loop_.after(delay, [tell, kept] { tell(std::move(*kept)); });
  };
}

void DelayedStorage::read(std::vector<std::string> keys, base::Nanoseconds deadline,
                          storage::Callback<storage::ReadReply> done) {
  inner_->read(std::move(keys), deadline, late(std::move(done)));
}

void DelayedStorage::write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) {
  const bool lost = draw(delays_.reply_lost, 1) != 0;
  const auto delay = draw(delays_.write_late, delays_.write_late_max);
  if (!lost && delay == 0) return inner_->write(std::move(request), late(std::move(done)));
  const auto deadline = request.deadline;
  request.deadline = base::kForever;
  auto told = std::make_shared<std::atomic<bool>>(false);
  auto tell = [told, done = std::move(done)](Result<storage::WriteReply> reply) {
    if (!told->exchange(true)) done(std::move(reply));
  };
  loop_.after(std::max<base::Nanoseconds>(deadline - base::now(), 0), [tell] {
    tell(Error::of(ErrorCode::unknown_outcome, "no answer within the deadline"));
  });
  loop_.after(delay, [this, lost, tell, request = std::move(request)] {
    inner_->write(request, counted<storage::WriteReply>([lost, tell](Result<storage::WriteReply> reply) {
      tell(lost ? Error::of(ErrorCode::unknown_outcome, "the answer was lost") : std::move(reply));
    }));
  });
}

void DelayedStorage::set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline,
                               storage::Callback<void> done) {
  const auto delay = draw(delays_.guard_late, delays_.guard_late_max);
  if (delay == 0) return inner_->set_guard(range, token, deadline, late(std::move(done)));
  loop_.after(delay, [this, range, token, done = std::move(done)] {
    inner_->set_guard(range, token, base::kForever, late(done));
  });
}

}  // namespace freshet::testing
