// The public C++ API (include/freshet/cache.h) over the engine.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "cache/engine.h"
#include "freshet/cache.h"

namespace freshet {
namespace {

// The longest durations stay the longest.
base::Nanoseconds nanoseconds(std::chrono::milliseconds duration) {
  if (duration.count() >= base::kForever / base::kMillisecond) return base::kForever;
  return std::max(duration.count(), -base::kForever / base::kMillisecond) * base::kMillisecond;
}

base::Nanoseconds deadline_of(std::chrono::milliseconds duration) {
  return duration.count() == 0 ? base::kForever : base::deadline_after(base::now(), nanoseconds(duration));
}

cache::ReadOptions read_options(const ReadOptions& options) {
  cache::ReadOptions read;
  read.level = options.freshness == Freshness::linearizable ? cache::Level::linearizable
               : options.freshness == Freshness::bounded    ? cache::Level::bounded
                                                            : cache::Level::any;
  read.bound = nanoseconds(options.bound);
  read.deadline = deadline_of(options.deadline);
  return read;
}

Value value_of(cache::Reading&& reading) {
  return {reading.present,
          std::move(reading.value),
          reading.version,
          reading.expires_at_ms,
          reading.source == cache::Source::memory,
          std::chrono::milliseconds(reading.age / base::kMillisecond)};
}

storage::Mutation mutation_of(storage::MutationKind kind, std::string_view key, std::string_view bytes,
                              const WriteOptions& options) {
  storage::Mutation mutation;
  mutation.kind = kind;
  mutation.key = std::string(key);
  mutation.value = std::string(bytes);
  if (options.expires_after.count() > 0) mutation.expiry = {storage::Expiry::Mode::after, options.expires_after.count()};
  return mutation;
}

// Runs an asynchronous call for its future.
template <typename T, typename Start>
std::future<Result<T>> future_of(Start start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future;
}

}  // namespace

struct Cache::State {
  std::unique_ptr<cache::Engine> engine;

  void write(storage::Mutation mutation, const WriteOptions& options,
             std::function<void(Result<storage::MutationOutcome>)> done) {
    if (options.expires_after.count() < 0) {
      return done(Error::of(ErrorCode::invalid_argument,
                            fmt::format("expires_after is {} ms", options.expires_after.count()),
                            "a key expires after at least 1 ms, or never (0); erase it if it is to go now"));
    }
    std::vector<storage::Mutation> mutations;
    mutations.push_back(std::move(mutation));
    engine->write(std::move(mutations), false, deadline_of(options.deadline),
                  [done = std::move(done)](Result<storage::WriteReply> reply) {
                    if (!reply) return done(std::move(reply).error());
                    done(std::move(reply->front()));
                  });
  }
};

Cache::Cache(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cache::~Cache() = default;

Result<std::unique_ptr<Cache>> Cache::open(const Options& options) {
  cache::EngineOptions engine_options;
  engine_options.storage_url = options.storage;
  engine_options.data_directory = options.data_directory;
  engine_options.relaxed_durability = options.relaxed_durability;
  engine_options.memory_bytes = options.memory_bytes;
  engine_options.cached_value_bytes_max = options.cached_value_bytes_max;
  engine_options.fleet = options.fleet;
  engine_options.lease = nanoseconds(options.lease);
  engine_options.read_deadline = nanoseconds(options.read_deadline);
  engine_options.write_deadline = nanoseconds(options.write_deadline);
  auto engine = cache::Engine::open(engine_options);
  if (!engine) return std::move(engine).error();
  return std::unique_ptr<Cache>(new Cache(std::make_unique<State>(State{std::move(*engine)})));
}

CopiedHit Cache::try_get(std::string_view key, std::span<char> buffer) const {
  CopiedHit copied;
  state_->engine->try_get(key, cache::Engine::kReadClock, [&](const cache::HitView& hit) {
    copied.version = hit.version;
    copied.size = hit.value.size();
    if (!hit.present) {
      copied.hit = Hit::absent;
    } else if (hit.value.size() > buffer.size()) {
      copied.hit = Hit::too_small;
    } else {
      copied.hit = Hit::present;
      hit.value.copy(buffer.data(), buffer.size());
    }
  });
  return copied;
}

std::optional<PinnedValue> Cache::try_pin(std::string_view key) const {
  auto entry = state_->engine->try_pin(key, cache::Engine::kReadClock);
  if (!entry) return std::nullopt;
  PinnedValue pinned;
  pinned.bytes_ = entry->value();
  pinned.version_ = entry->version();
  pinned.present_ = entry->present();
  pinned.keep_ = std::shared_ptr<const void>(entry.get(), [entry](const void*) {});
  return pinned;
}

void Cache::get(std::string_view key, const ReadOptions& options, ReadDone done) {
  state_->engine->get(key, read_options(options), [done = std::move(done)](Result<cache::Reading> reading) {
    if (!reading) return done(std::move(reading).error());
    done(value_of(std::move(*reading)));
  });
}

std::future<Result<Value>> Cache::get(std::string_view key, const ReadOptions& options) {
  return future_of<Value>([&](ReadDone done) { get(key, options, std::move(done)); });
}

void Cache::get_many(std::vector<std::string> keys, const ReadOptions& options, ReadManyDone done) {
  state_->engine->get_many(std::move(keys), read_options(options),
                           [done = std::move(done)](Result<std::vector<cache::Reading>> readings) {
                             if (!readings) return done(std::move(readings).error());
                             std::vector<Value> values;
                             for (auto& reading : *readings) values.push_back(value_of(std::move(reading)));
                             done(std::move(values));
                           });
}

std::future<Result<std::vector<Value>>> Cache::get_many(std::vector<std::string> keys, const ReadOptions& options) {
  return future_of<std::vector<Value>>([&](ReadManyDone done) { get_many(std::move(keys), options, std::move(done)); });
}

void Cache::put(std::string_view key, std::string_view bytes, const WriteOptions& options, WriteDone done) {
  state_->write(mutation_of(storage::MutationKind::put, key, bytes, options), options,
                [done = std::move(done)](Result<storage::MutationOutcome> outcome) {
                  if (!outcome) return done(std::move(outcome).error());
                  done(outcome->after.version);
                });
}

std::future<Result<std::uint64_t>> Cache::put(std::string_view key, std::string_view bytes, const WriteOptions& options) {
  return future_of<std::uint64_t>([&](WriteDone done) { put(key, bytes, options, std::move(done)); });
}

void Cache::erase(std::string_view key, const WriteOptions& options, EraseDone done) {
  auto mutation = mutation_of(storage::MutationKind::erase, key, {}, {});
  mutation.condition = storage::Condition::if_present;
  state_->write(std::move(mutation), options,
                [done = std::move(done)](Result<storage::MutationOutcome> outcome) {
                  if (!outcome) return done(std::move(outcome).error());
                  done(outcome->applied);
                });
}

std::future<Result<bool>> Cache::erase(std::string_view key, const WriteOptions& options) {
  return future_of<bool>([&](EraseDone done) { erase(key, options, std::move(done)); });
}

void Cache::compare_and_set(std::string_view key, std::uint64_t version, std::string_view bytes, const WriteOptions& options,
                            WriteDone done) {
  auto mutation = mutation_of(storage::MutationKind::put, key, bytes, options);
  mutation.condition = storage::Condition::if_version;
  mutation.version = version;
  state_->write(std::move(mutation), options, [version, done = std::move(done)](Result<storage::MutationOutcome> outcome) {
    if (!outcome) return done(std::move(outcome).error());
    if (outcome->applied) return done(outcome->after.version);
    const auto found = outcome->after.present ? outcome->after.version : 0;
    done(Error::of(ErrorCode::version_mismatch, fmt::format("the key is at version {}, not {}", found, version),
                   "read the key and decide again"));
  });
}

std::future<Result<std::uint64_t>> Cache::compare_and_set(std::string_view key, std::uint64_t version,
                                                          std::string_view bytes, const WriteOptions& options) {
  return future_of<std::uint64_t>([&](WriteDone done) { compare_and_set(key, version, bytes, options, std::move(done)); });
}

void Cache::increment(std::string_view key, std::int64_t delta, const WriteOptions& options, IncrementDone done) {
  auto mutation = mutation_of(storage::MutationKind::increment, key, {}, options);
  mutation.delta = delta;
  if (options.expires_after.count() == 0) mutation.expiry = {storage::Expiry::Mode::keep, 0};
  state_->write(std::move(mutation), options, [done = std::move(done)](Result<storage::MutationOutcome> outcome) {
    if (!outcome) return done(std::move(outcome).error());
    const auto& text = outcome->after.value;
    std::int64_t sum = 0;
    std::from_chars(text.data(), text.data() + text.size(), sum);
    done(sum);
  });
}

std::future<Result<std::int64_t>> Cache::increment(std::string_view key, std::int64_t delta, const WriteOptions& options) {
  return future_of<std::int64_t>([&](IncrementDone done) { increment(key, delta, options, std::move(done)); });
}

}  // namespace freshet
