// Composing the engine, and waiting for its answers.
#include "test_engine.h"

#include <algorithm>
#include <thread>

#include "ownership/solo.h"
#include "storage/embedded/embedded_storage.h"

namespace freshet::testing {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(1);

std::shared_ptr<storage::Storage> open_storage(const std::string& directory) {
  storage::embedded::EmbeddedOptions options;
  options.directory = directory;
  options.durability = storage::embedded::Durability::relaxed;
  auto opened = storage::embedded::EmbeddedStorage::open(options);
  if (!opened) throw std::runtime_error(opened.error().what);
  return std::move(*opened);
}

}  // namespace

void CountingStorage::read(std::vector<std::string> keys, base::Nanoseconds deadline,
                           storage::Callback<storage::ReadReply> done) {
  ++reads;
  keys_read += keys.size();
  last_read_deadline = deadline;
  ForwardingStorage::read(std::move(keys), deadline, std::move(done));
}

void CountingStorage::write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) {
  for (const auto& mutation : request.mutations) expirations += mutation.kind == storage::MutationKind::expire;
  ForwardingStorage::write(std::move(request), std::move(done));
}

TestEngine::TestEngine(cache::EngineOptions options, std::unique_ptr<ownership::Ownership> ownership, const Wrap& wrap,
                       consistency::Protections protections)
    : storage(std::make_shared<CountingStorage>(open_storage(directory.path()))) {
  options.memory_bytes = std::min<std::size_t>(options.memory_bytes, 16 << 20);
  cache::EngineParts parts;
  parts.protections = protections;
  parts.storage = wrap ? wrap(storage) : std::make_unique<ForwardingStorage>(storage);
  parts.ownership = ownership ? std::move(ownership) : std::make_unique<ownership::SoloOwnership>();
  engine = std::make_unique<cache::ComposedEngine>(options, std::move(parts));
}

void TestEngine::wait_until_guarded() {
  const auto end = std::chrono::steady_clock::now() + kCallPatience;
  while (engine->stats().slots_guarded != base::kSlots) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the slots were never guarded");
    std::this_thread::sleep_for(kPoll);
  }
}

std::future<Result<cache::Reading>> TestEngine::start_get(const std::string& key, const cache::ReadOptions& options) {
  return future_of<cache::Reading>([&](auto done) { engine->get(key, options, std::move(done)); });
}

std::future<Result<storage::WriteReply>> TestEngine::start_write(storage::Mutation mutation, base::Nanoseconds deadline) {
  return future_of<storage::WriteReply>(
      [&](auto done) { engine->write({std::move(mutation)}, false, deadline, std::move(done)); });
}

Result<cache::Reading> TestEngine::get(const std::string& key, const cache::ReadOptions& options) {
  auto future = start_get(key, options);
  return take(future);
}

Result<std::vector<cache::Reading>> TestEngine::get_many(std::vector<std::string> keys) {
  auto future = future_of<std::vector<cache::Reading>>(
      [&](auto done) { engine->get_many(std::move(keys), {}, std::move(done)); });
  return take(future);
}

Result<storage::MutationOutcome> TestEngine::write(storage::Mutation mutation, base::Nanoseconds deadline) {
  auto future = start_write(std::move(mutation), deadline);
  auto reply = take(future);
  if (!reply) return std::move(reply).error();
  return std::move(reply->front());
}

Result<cache::UpdateOutcome> TestEngine::update(const std::string& key, cache::Decide decide) {
  auto future = future_of<cache::UpdateOutcome>(
      [&](auto done) { engine->update(key, std::move(decide), base::kForever, std::move(done)); });
  return take(future);
}

storage::Version TestEngine::put(const std::string& key, const std::string& value, std::int64_t expires_after_ms) {
  auto mutation = put_of(key, value);
  if (expires_after_ms != 0) mutation.expiry = {storage::Expiry::Mode::after, expires_after_ms};
  const auto outcome = write(std::move(mutation));
  if (!outcome) throw std::runtime_error("put failed: " + outcome.error().what);
  return outcome->after.version;
}

storage::KeyState TestEngine::stored(const std::string& key) {
  auto future =
      future_of<storage::ReadReply>([&](auto done) { storage->read({key}, base::kForever, std::move(done)); });
  auto reply = take(future);
  if (!reply) throw std::runtime_error("read failed: " + reply.error().what);
  return reply->states.front();
}

bool TestEngine::is_hit(const std::string& key) {
  return engine->try_get(key, base::now(), [](const cache::HitView&) {}) == cache::Engine::Lookup::hit;
}

HeldEngine::HeldEngine(const std::vector<HeldStorage::Kind>& held_from_the_start)
    : TestEngine({}, nullptr, [&](std::shared_ptr<storage::Storage> inner) {
        auto holding = std::make_unique<HeldStorage>(std::move(inner));
        for (const auto kind : held_from_the_start) holding->hold(kind, true);
        held = holding.get();
        return holding;
      }) {}

storage::Mutation put_of(const std::string& key, const std::string& value) {
  storage::Mutation mutation;
  mutation.kind = storage::MutationKind::put;
  mutation.key = key;
  mutation.value = value;
  return mutation;
}

}  // namespace freshet::testing
