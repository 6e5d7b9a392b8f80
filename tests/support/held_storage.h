// A storage whose writes, reads and set_guard calls wait for the test's word: the script decides when a request reaches the
// real storage behind it, and when its reply comes back. So the races of the design are played, not hoped for.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "forwarding_storage.h"

namespace freshet::testing {

// One call in the test's hands. Its request and its reply are let go separately, and once each.
class HeldCall {
 public:
  // Sends the request to the real storage and waits until that has answered; the reply stays here.
  void execute();
  // Hands the reply back (execute() came before).
  void reply();
  // Answers the caller with an error instead; the request may still be executed later, and nobody hears of it.
  void answer(Error error);

 private:
  friend class HeldStorage;
  std::function<void(std::function<void()> answered)> send_;
  std::function<void()> deliver_;
  std::function<void(Error)> fail_;
};

class HeldStorage final : public ForwardingStorage {
 public:
  enum class Kind { read, write, set_guard };

  using ForwardingStorage::ForwardingStorage;
  // Answers what the script left open, as the interface demands.
  ~HeldStorage() override;

  // From now on calls of this kind are held, or pass.
  void hold(Kind kind, bool held);
  // The next held call of this kind that was not taken yet; waits for it, at most 10 s (then the test fails).
  std::shared_ptr<HeldCall> next(Kind kind);

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<storage::ReadReply> done) override;
  void write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) override;
  void set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline,
                 storage::Callback<void> done) override;

 private:
  template <typename T>
  void keep(Kind kind, std::function<void(storage::Callback<T>)> send, storage::Callback<T> done);
  bool is_held(Kind kind);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_[3] = {false, false, false};
  std::deque<std::shared_ptr<HeldCall>> waiting_[3];
  std::vector<std::weak_ptr<HeldCall>> all_;
};

}  // namespace freshet::testing
