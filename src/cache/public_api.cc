// The public C++ API (include/freshet/cache.h) over the engine.
// Hashes are in public_hashes.cc.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "cache/public_state.h"
#include "cache/transaction.h"

namespace freshet {
namespace {

cache::Level level_of(Freshness freshness) {
  switch (freshness) {
    case Freshness::session: return cache::Level::session;
    case Freshness::bounded: return cache::Level::bounded;
    case Freshness::snapshot: return cache::Level::snapshot;
    case Freshness::any: return cache::Level::any;
    case Freshness::linearizable: break;
  }
  return cache::Level::linearizable;
}

storage::CollectionSpec spec_of(const Collection& collection) {
  storage::CollectionSpec spec;
  spec.name = collection.name;
  spec.table = collection.table;
  spec.columns = collection.columns;
  spec.query = collection.query;
  spec.declared = collection.depends_on.has_value();
  if (collection.depends_on) spec.depends_on = *collection.depends_on;
  spec.level = level_of(collection.freshness);
  spec.bound = nanoseconds(collection.bound);
  spec.guarded = collection.writes == Writes::guarded;
  spec.exclusive_writer = collection.exclusive_writer;
  spec.followed = collection.follow;
  spec.version_column = collection.version_column;
  spec.expires_column = collection.expires_column;
  return spec;
}

Result<Value> value_of(cache::Reading&& reading) {
  if (reading.kind != cache::ValueKind::string) {
    return Error::of(ErrorCode::wrong_type, "the key holds a hash, not a string", "read it with get_hash()");
  }
  if (reading.shape && reading.present) {
    auto json = storage::to_json(*reading.shape, reading.value);
    if (!json) return std::move(json).error();
    reading.value = *std::move(json);
  }
  return Value{reading.present,
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

// Of a batch that are handed on together, without allocating.
constexpr std::size_t kGetsTogether = 64;

CopiedHit copied_hit(const memory::EntryCopy& found, std::size_t buffer_bytes) {
  const Hit hit = !found.present                     ? Hit::absent
                  : found.value_bytes > buffer_bytes ? Hit::too_small
                                                     : Hit::present;
  return {hit, found.value_bytes, found.version};
}

}  // namespace

cache::ReadOptions read_options(const ReadOptions& options) {
  cache::ReadOptions read;
  if (options.freshness) read.level = level_of(*options.freshness);
  read.bound = nanoseconds(options.bound);
  read.token = options.token;
  read.deadline = deadline_of(options.deadline);
  return read;
}

Cache::Cache(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cache::~Cache() = default;

Result<std::unique_ptr<Cache>> Cache::open(const Options& options) {
  cache::EngineOptions engine_options;
  engine_options.storage_url = options.storage;
  engine_options.data_directory = options.data_directory;
  engine_options.relaxed_durability = options.relaxed_durability;
  engine_options.memory_bytes = options.memory_bytes;
  engine_options.policy = options.policy;
  engine_options.cached_value_bytes_max = options.cached_value_bytes_max;
  engine_options.fleet = options.fleet;
  engine_options.lease = nanoseconds(options.lease);
  engine_options.key_value = options.key_value;
  for (const auto& collection : options.collections) engine_options.collections.push_back(spec_of(collection));
  engine_options.read_deadline = nanoseconds(options.read_deadline);
  engine_options.write_deadline = nanoseconds(options.write_deadline);
  auto engine = cache::Engine::open(engine_options);
  if (!engine) return std::move(engine).error();
  return std::unique_ptr<Cache>(new Cache(std::make_unique<State>(State{std::move(*engine)})));
}

std::future<Result<SqlGuard>> Cache::guard_sql(std::vector<std::string> keys, const WriteOptions& options,
                                               std::chrono::milliseconds limit) {
  return future_of<SqlGuard>([&](std::function<void(Result<SqlGuard>)> done) {
    state_->engine->guard_sql(std::move(keys), deadline_of(options.deadline), nanoseconds(limit),
                              [done = std::move(done)](Result<std::shared_ptr<cache::SqlGuard>> lent) {
                                if (!lent) return done(std::move(lent).error());
                                SqlGuard guard;
                                guard.guard_ = std::move(*lent);
                                done(std::move(guard));
                              });
  });
}

std::future<Result<std::vector<std::string>>> Cache::change_collections(const std::vector<Collection>& collections) {
  std::vector<storage::CollectionSpec> specs;
  for (const auto& collection : collections) specs.push_back(spec_of(collection));
  return future_of<std::vector<std::string>>([&](std::function<void(Result<std::vector<std::string>>)> done) {
    state_->engine->change_collections(std::move(specs), std::move(done));
  });
}

const std::string& SqlGuard::statement() const { return static_cast<const cache::SqlGuard*>(guard_.get())->statement(); }

bool SqlGuard::end(Outcome outcome) {
  using Ended = cache::SqlGuard::Outcome;
  const auto ended = outcome == Outcome::committed     ? Ended::committed
                     : outcome == Outcome::rolled_back ? Ended::rolled_back
                                                       : Ended::unknown;
  return static_cast<cache::SqlGuard*>(guard_.get())->end(ended);
}

CopiedHit Cache::try_get(std::string_view key, std::span<char> buffer) const {
  memory::EntryCopy found;
  if (state_->engine->try_copy(key, buffer, found) == cache::Engine::Lookup::miss) return {};
  return copied_hit(found, buffer.size());
}

std::size_t Cache::try_get_many(std::span<BatchedGet> gets) const {
  std::size_t hits = 0;
  std::array<cache::Engine::CopyRequest, kGetsTogether> requests;
  for (; !gets.empty(); gets = gets.subspan(std::min(gets.size(), kGetsTogether))) {
    const auto some = gets.first(std::min(gets.size(), kGetsTogether));
    for (std::size_t i = 0; i < some.size(); ++i) requests[i] = {some[i].key, some[i].buffer};
    hits += state_->engine->try_copy_many(std::span(requests).first(some.size()));
    for (std::size_t i = 0; i < some.size(); ++i) {
      some[i].result = requests[i].hit ? copied_hit(requests[i].copied, some[i].buffer.size()) : CopiedHit();
    }
  }
  return hits;
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
                             for (auto& reading : *readings) {
                               auto value = value_of(std::move(reading));
                               if (!value) return done(std::move(value).error());
                               values.push_back(*std::move(value));
                             }
                             done(std::move(values));
                           });
}

std::future<Result<std::vector<Value>>> Cache::get_many(std::vector<std::string> keys, const ReadOptions& options) {
  return future_of<std::vector<Value>>([&](ReadManyDone done) { get_many(std::move(keys), options, std::move(done)); });
}

std::future<Result<std::string>> Cache::token(std::chrono::milliseconds deadline) {
  return future_of<std::string>([&](auto done) { state_->engine->token(deadline_of(deadline), std::move(done)); });
}

std::future<Result<void>> Cache::wait(std::string token, std::chrono::milliseconds deadline) {
  return future_of<void>([&](auto done) { state_->engine->wait(std::move(token), deadline_of(deadline), std::move(done)); });
}

bool Cache::evict(std::string_view key) { return state_->engine->evict(key) != 0; }

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
