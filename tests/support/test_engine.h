// An engine composed from a test's doubles over embedded storage in a directory of its own, and blocking calls on it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cache/composed_engine.h"
#include "forwarding_storage.h"
#include "held_storage.h"
#include "temporary_directory.h"

namespace freshet::testing {

// Longer than any call of a test takes on a busy machine.
inline constexpr auto kCallPatience = std::chrono::seconds(20);

// Waits for an answer; a call that never answers fails its test instead of hanging it.
template <typename T>
T take(std::future<T>& future) {
  if (future.wait_for(kCallPatience) != std::future_status::ready) throw std::runtime_error("a call was never answered");
  return future.get();
}

// Runs start(callback) and gives what the callback will be told.
template <typename T, typename Start>
std::future<Result<T>> future_of(Start start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future;
}

// Passes everything on and counts what it was asked.
class CountingStorage final : public ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;
  ~CountingStorage() override { wait_for_answers(); }

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<storage::ReadReply> done) override;
  void write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) override;

  std::atomic<std::uint64_t> reads{0};       // Calls,
  std::atomic<std::uint64_t> keys_read{0};   // and the keys that they named.
  std::atomic<std::uint64_t> expirations{0};  // Mutations that ask for an expired key's removal.
  std::atomic<base::Nanoseconds> last_read_deadline{0};
};

class TestEngine {
 public:
  using Wrap = std::function<std::unique_ptr<storage::Storage>(std::shared_ptr<storage::Storage>)>;

  // `wrap` puts the test's double between the engine and the counting storage. Without an ownership the engine owns every
  // slot, without an end.
  explicit TestEngine(cache::EngineOptions options = {}, std::unique_ptr<ownership::Ownership> ownership = nullptr,
                      const Wrap& wrap = nullptr, consistency::Protections protections = {});

  cache::ComposedEngine& operator*() { return *engine; }
  cache::ComposedEngine* operator->() { return engine.get(); }

  // Waits for every slot's guard: what is read or written from then on can be cached.
  void wait_until_guarded();

  std::future<Result<cache::Reading>> start_get(const std::string& key, const cache::ReadOptions& options = {});
  std::future<Result<storage::WriteReply>> start_write(storage::Mutation mutation,
                                                       base::Nanoseconds deadline = base::kForever);
  Result<cache::Reading> get(const std::string& key, const cache::ReadOptions& options = {});
  Result<std::vector<cache::Reading>> get_many(std::vector<std::string> keys);
  Result<storage::MutationOutcome> write(storage::Mutation mutation, base::Nanoseconds deadline = base::kForever);
  Result<cache::UpdateOutcome> update(const std::string& key, cache::Decide decide);
  // Puts a value, which must succeed; it expires after so many milliseconds (0: never). Gives the version.
  storage::Version put(const std::string& key, const std::string& value, std::int64_t expires_after_ms = 0);
  // What storage itself holds.
  storage::KeyState stored(const std::string& key);
  // A hit without I/O?
  bool is_hit(const std::string& key);

  TemporaryDirectory directory;
  std::shared_ptr<CountingStorage> storage;  // Outlives the engine.
  std::unique_ptr<cache::ComposedEngine> engine;
};

struct HeldPointer {
  HeldStorage* held = nullptr;
};

// An engine whose calls to storage the test can hold, from the very first one.
struct HeldEngine : HeldPointer, TestEngine {
  explicit HeldEngine(const std::vector<HeldStorage::Kind>& held_from_the_start = {});
};

storage::Mutation put_of(const std::string& key, const std::string& value);

}  // namespace freshet::testing
