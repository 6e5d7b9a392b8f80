// Keys in use, and judging those that are worn out.
#include "checker/clients/key_space.h"

#include <fmt/format.h>

#include <utility>

namespace freshet::checker {

BackgroundJudge::BackgroundJudge(CheckLimits limits, std::function<void()> on_violation,
                                 std::function<void(const TrackedKey&)> forget)
    : limits_(limits), on_violation_(std::move(on_violation)), forget_(std::move(forget)), thread_([this] { main(); }) {}

BackgroundJudge::~BackgroundJudge() {
  if (thread_.joinable()) finish();
}

void BackgroundJudge::submit(std::unique_ptr<TrackedKey> key) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.size() < kRetiredKeysMax; });
  waiting_.push_back(std::move(key));
  changed_.notify_all();
}

Judgement BackgroundJudge::finish() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
  return std::move(judgement_);
}

void BackgroundJudge::main() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::unique_ptr<TrackedKey> key = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.notify_all();
    lock.unlock();
    const std::uint64_t violations = judgement_.violations;
    judge_key(key->take_history(), limits_, judgement_);
    if (judgement_.violations > violations) on_violation_();
    forget_(*key);
    lock.lock();
  }
}

KeySpace::KeySpace(std::string prefix, std::span<const Family> families, int keys, std::size_t clients,
                   BackgroundJudge& judge)
    : prefix_(std::move(prefix)), families_(families), clients_(clients), judge_(judge) {
  for (int slot = 0; slot < keys; ++slot) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->key = make(slot, 0);
  }
}

std::shared_ptr<TrackedKey> KeySpace::make(int slot, std::uint64_t generation) {
  auto* key = new TrackedKey(fmt::format("{}-{}-{}", prefix_, slot, generation), family_of(slot), clients_);
  // The last one who lets go of the key hands it over: no operation on it is in flight then.
  return {key, [this](TrackedKey* retired) { judge_.submit(std::unique_ptr<TrackedKey>(retired)); }};
}

std::shared_ptr<TrackedKey> KeySpace::take(int slot) {
  Slot& place = *slots_[static_cast<std::size_t>(slot)];
  std::shared_ptr<TrackedKey> worn_out;  // Let go after the lock: handing it over may wait.
  std::lock_guard lock(place.mutex);
  if (!place.key->admit()) {
    worn_out = std::exchange(place.key, make(slot, ++place.generation));
    place.key->admit();
  }
  return place.key;
}

void KeySpace::close() {
  for (const auto& slot : slots_) {
    std::lock_guard lock(slot->mutex);
    slot->key.reset();
  }
}

}  // namespace freshet::checker
