// Hashes in the public C++ API (include/freshet/cache.h): read whole, and changed by Engine::update_locked.
#include "cache/hash_update.h"
#include "cache/public_state.h"

namespace freshet {
namespace {

Result<Hash> hash_of(cache::Reading&& reading) {
  Hash hash;
  hash.present = reading.present;
  hash.version = reading.version;
  hash.expires_at_ms = reading.expires_at_ms;
  hash.from_memory = reading.source == cache::Source::memory;
  hash.age = std::chrono::milliseconds(reading.age / base::kMillisecond);
  if (!reading.present) return hash;
  if (reading.kind != cache::ValueKind::hash) {
    return Error::of(ErrorCode::wrong_type, "the key holds no hash", "read it with get()");
  }
  const auto fields = storage::read_hash(reading.value);
  if (!fields) return fields.error();
  hash.fields.reserve(fields->size());
  for (const auto& [name, value] : *fields) hash.fields.emplace_back(name, value);
  return hash;
}

// How many fields a change has concerned, by its last decision.
using Counted = std::shared_ptr<std::size_t>;

void change(cache::Engine& engine, std::string_view key, cache::ChangeFields change, const Counted& counted,
            const WriteOptions& options, Cache::FieldsDone done) {
  if (engine.guarded_rows(key)) {
    return done(Error::of(ErrorCode::wrong_type, "the key is a row of a table", "write its columns with SQL: guard_sql()"));
  }
  const auto after_ms = options.expires_after.count();
  const auto expiry = after_ms > 0 ? storage::Expiry{storage::Expiry::Mode::after, after_ms}
                                   : storage::Expiry{storage::Expiry::Mode::keep, 0};
  engine.update_locked(std::string(key), cache::deciding_on_fields(std::move(change), expiry), deadline_of(options.deadline),
                       [counted, done = std::move(done)](Result<cache::UpdateOutcome> outcome) {
                         if (!outcome) return done(std::move(outcome).error());
                         done(*counted);
                       });
}

}  // namespace

void Cache::get_hash(std::string_view key, const ReadOptions& options, HashDone done) {
  state_->engine->get(key, read_options(options), [done = std::move(done)](Result<cache::Reading> reading) {
    if (!reading) return done(std::move(reading).error());
    done(hash_of(*std::move(reading)));
  });
}

std::future<Result<Hash>> Cache::get_hash(std::string_view key, const ReadOptions& options) {
  return future_of<Hash>([&](HashDone done) { get_hash(key, options, std::move(done)); });
}

void Cache::set_fields(std::string_view key, Fields fields, const WriteOptions& options, FieldsDone done) {
  if (auto fault = State::fault_of(options)) return done(*std::move(fault));
  const auto added = std::make_shared<std::size_t>(0);
  auto set = [added, fields = std::move(fields)](storage::HashFields& hash) {
    *added = 0;
    for (const auto& [name, value] : fields) *added += hash.set(name, value) ? 1 : 0;
    return !fields.empty();
  };
  change(*state_->engine, key, std::move(set), added, options, std::move(done));
}

std::future<Result<std::size_t>> Cache::set_fields(std::string_view key, Fields fields, const WriteOptions& options) {
  return future_of<std::size_t>([&](FieldsDone done) { set_fields(key, std::move(fields), options, std::move(done)); });
}

void Cache::erase_fields(std::string_view key, std::vector<std::string> names, const WriteOptions& options,
                         FieldsDone done) {
  if (auto fault = State::fault_of(options)) return done(*std::move(fault));
  const auto erased = std::make_shared<std::size_t>(0);
  auto erase = [erased, names = std::move(names)](storage::HashFields& hash) {
    *erased = 0;
    for (const auto& name : names) *erased += hash.erase(name) ? 1 : 0;
    return *erased > 0;
  };
  change(*state_->engine, key, std::move(erase), erased, options, std::move(done));
}

std::future<Result<std::size_t>> Cache::erase_fields(std::string_view key, std::vector<std::string> names,
                                                     const WriteOptions& options) {
  return future_of<std::size_t>([&](FieldsDone done) { erase_fields(key, std::move(names), options, std::move(done)); });
}

}  // namespace freshet
