// Calls in the test's hands.
#include "held_storage.h"

#include <chrono>
#include <optional>
#include <stdexcept>

namespace freshet::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

}  // namespace

void HeldCall::execute() {
  std::mutex mutex;
  std::condition_variable changed;
  bool answered = false;
  send_([&] {
    std::lock_guard lock(mutex);
    answered = true;
    changed.notify_one();
  });
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, kPatience, [&] { return answered; })) throw std::runtime_error("storage did not answer");
}

void HeldCall::reply() { deliver_(); }
void HeldCall::answer(Error error) { fail_(std::move(error)); }

HeldStorage::~HeldStorage() {
  for (auto& weak : all_) {
    if (auto call = weak.lock()) call->answer(Error::of(ErrorCode::unavailable, "the test is over"));
  }
}

void HeldStorage::hold(Kind kind, bool held) {
  std::lock_guard lock(mutex_);
  held_[static_cast<int>(kind)] = held;
}

bool HeldStorage::is_held(Kind kind) {
  std::lock_guard lock(mutex_);
  return held_[static_cast<int>(kind)];
}

std::shared_ptr<HeldCall> HeldStorage::next(Kind kind) {
  std::unique_lock lock(mutex_);
  auto& queue = waiting_[static_cast<int>(kind)];
  if (!changed_.wait_for(lock, kPatience, [&] { return !queue.empty(); })) throw std::runtime_error("no such call was made");
  auto call = queue.front();
  queue.pop_front();
  return call;
}

template <typename T>
void HeldStorage::keep(Kind kind, std::function<void(storage::Callback<T>)> send, storage::Callback<T> done) {
  // The caller hears once: the reply, or the error that the script gave in its stead.
  struct State {
    std::mutex mutex;
    storage::Callback<T> done;
    std::optional<Result<T>> reply;

    storage::Callback<T> take() {
      std::lock_guard lock(mutex);
      return std::exchange(done, nullptr);
    }
  };
  auto state = std::make_shared<State>();
  state->done = std::move(done);
  auto call = std::make_shared<HeldCall>();
  call->send_ = [state, send = std::move(send)](std::function<void()> answered) {
    send([state, answered = std::move(answered)](Result<T> reply) {
      {
        std::lock_guard lock(state->mutex);
        state->reply = std::move(reply);
      }
      answered();
    });
  };
  call->deliver_ = [state] {
    auto tell = state->take();
    if (tell) tell(std::move(*state->reply));
  };
  call->fail_ = [state](Error error) {
    auto tell = state->take();
    if (tell) tell(std::move(error));
  };
  std::lock_guard lock(mutex_);
  waiting_[static_cast<int>(kind)].push_back(call);
  all_.push_back(call);
  changed_.notify_all();
}

void HeldStorage::read(std::vector<std::string> keys, base::Nanoseconds deadline,
                       storage::Callback<storage::ReadReply> done) {
  if (!is_held(Kind::read)) return ForwardingStorage::read(std::move(keys), deadline, std::move(done));
  keep<storage::ReadReply>(
      Kind::read,
      [inner = inner_, keys = std::move(keys)](storage::Callback<storage::ReadReply> tell) {
        inner->read(keys, base::kForever, std::move(tell));
      },
      std::move(done));
}

void HeldStorage::write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) {
  if (!is_held(Kind::write)) return ForwardingStorage::write(std::move(request), std::move(done));
  request.deadline = base::kForever;
  keep<storage::WriteReply>(
      Kind::write,
      [inner = inner_, request = std::move(request)](storage::Callback<storage::WriteReply> tell) {
        inner->write(request, std::move(tell));
      },
      std::move(done));
}

void HeldStorage::set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline,
                            storage::Callback<void> done) {
  if (!is_held(Kind::set_guard)) return ForwardingStorage::set_guard(range, token, deadline, std::move(done));
  keep<void>(
      Kind::set_guard,
      [inner = inner_, range, token](storage::Callback<void> tell) {
        inner->set_guard(range, token, base::kForever, std::move(tell));
      },
      std::move(done));
}

}  // namespace freshet::testing
