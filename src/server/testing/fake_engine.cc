// The tests' engine: storage's rules in a map.
#include "server/testing/fake_engine.h"

#include <utility>

#include "cache/transaction.h"

#include "protocol/number.h"

namespace freshet::server {

using storage::Condition;
using storage::Expiry;
using storage::KeyState;
using storage::Mutation;
using storage::MutationKind;
using storage::MutationOutcome;

namespace {

// Where the fake's log stands after so many changes.
storage::Lsn lsn_of(storage::Version version) { return 0x1000 * version; }

std::pair<std::uint64_t, std::string> position(const std::string& key) { return {storage::position_of(key), key}; }

}  // namespace

FakeEngine::~FakeEngine() { release_answers(); }

void FakeEngine::hold_answers() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void FakeEngine::release_answers() {
  std::deque<std::function<void()>> held;
  {
    const std::lock_guard lock(mutex_);
    holding_ = false;
    held.swap(held_);
  }
  for (auto& task : held) loop_.post(std::move(task));
}

std::size_t FakeEngine::held_answers() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

void FakeEngine::answer_at_once() { at_once_ = true; }

void FakeEngine::fail_next(Error error) {
  const std::lock_guard lock(mutex_);
  errors_.push_back(std::move(error));
}

void FakeEngine::drop_cache() {
  const std::lock_guard lock(mutex_);
  cached_.clear();
}

void FakeEngine::put_in_storage(std::string key, std::string value, std::int64_t expires_at_ms) {
  const std::lock_guard lock(mutex_);
  KeyState& state = keys_[position(key)];
  state.kind = storage::ValueKind::string;
  state.present = true;
  state.value = std::move(value);
  state.version = ++version_;
  state.expires_at_ms = expires_at_ms;
  cached_.erase(key);
  tell(key);
}

void FakeEngine::observe(std::string collection, std::vector<storage::Column> columns, bool is_query) {
  const std::lock_guard lock(mutex_);
  observed_[std::move(collection)] =
      std::make_shared<const storage::RowShape>(storage::RowShape{std::move(columns), is_query});
}

void FakeEngine::tell(std::string_view key) {
  if (watcher_) watcher_->on_changed(key);
}

void FakeEngine::change_collection(std::string_view collection) {
  const std::lock_guard lock(mutex_);
  if (watcher_) watcher_->on_collection_changed(collection);
}

void FakeEngine::change_everything() {
  const std::lock_guard lock(mutex_);
  if (watcher_) watcher_->on_everything_changed();
}

std::string FakeEngine::last_read() const {
  const std::lock_guard lock(mutex_);
  return last_read_;
}

void FakeEngine::note_level(const cache::ReadOptions& options) {
  static constexpr const char* kNames[] = {"linearizable", "session", "bounded", "snapshot", "any"};
  last_read_ = options.level ? kNames[static_cast<std::size_t>(*options.level)] : "default";
  if (options.level == storage::Level::session) last_read_ += " " + options.token;
  if (options.level == storage::Level::bounded) last_read_ += " " + std::to_string(options.bound / base::kMillisecond);
}

std::vector<std::string> FakeEngine::prefetched() const {
  const std::lock_guard lock(mutex_);
  return prefetched_;
}

void FakeEngine::answer(std::function<void()> task) {
  if (at_once_) {
    task();
  } else if (holding_) {
    held_.push_back(std::move(task));
  } else {
    loop_.post(std::move(task));
  }
}

std::optional<Error> FakeEngine::take_error() {
  if (errors_.empty()) return std::nullopt;
  Error error = std::move(errors_.front());
  errors_.pop_front();
  return error;
}

KeyState* FakeEngine::live(const std::string& key) {
  const auto found = keys_.find(position(key));
  if (found == keys_.end() || !found->second.present) return nullptr;
  KeyState& state = found->second;
  return state.expires_at_ms == 0 || state.expires_at_ms > database_now_ms() ? &state : nullptr;
}

cache::Reading FakeEngine::read(const std::string& key) {
  cache::Reading reading;
  if (const KeyState* state = live(key)) {
    reading.present = true;
    reading.value = state->value;
    reading.version = state->version;
    reading.expires_at_ms = state->expires_at_ms;
    reading.kind = state->kind;
  }
  reading.shape = shape_of(key);
  if (reading.shape) {
    reading.position = lsn_of(version_);
    reading.version = reading.position;
  }
  reading.source = cached_.contains(key) ? cache::Source::memory : cache::Source::storage;
  if (cached_.insert(key).second) ++storage_reads_;
  return reading;
}

cache::Engine::Lookup FakeEngine::try_get(std::string_view key, base::Nanoseconds,
                                          base::FunctionRef<void(const cache::HitView&)> visit) {
  const std::lock_guard lock(mutex_);
  if (!cached_.contains(key)) return Lookup::miss;
  ++hits_;
  const KeyState* state = live(std::string(key));
  cache::HitView view{false, {}, 0, 0};
  if (state) view = {true, state->value, state->version, state->expires_at_ms, nullptr, 0, 0, state->kind};
  visit(view);
  return Lookup::hit;
}

// Observed keys are in memory for the levels that need no probe.
cache::Engine::Lookup FakeEngine::try_get_at(std::string_view key, const cache::ReadOptions& options, base::Nanoseconds now,
                                             base::FunctionRef<void(const cache::HitView&)> visit) {
  const std::lock_guard lock(mutex_);
  note_level(options);
  const auto shape = shape_of(key);
  if (!shape) return try_get(key, now, visit);
  if (options.level != storage::Level::any && options.level != storage::Level::bounded) return Lookup::miss;
  const auto with_shape = [&](const cache::HitView& hit) {
    visit({hit.present, hit.value, lsn_of(version_), 0, shape.get(), 7 * base::kMillisecond, lsn_of(version_)});
  };
  return try_get(key, now, with_shape);
}

// The server copies nothing out this way.
cache::Engine::Lookup FakeEngine::try_copy(std::string_view, std::span<char>, memory::EntryCopy&) { return Lookup::miss; }
std::size_t FakeEngine::try_copy_many(std::span<CopyRequest>) { return 0; }
memory::EntryRef FakeEngine::try_pin(std::string_view, base::Nanoseconds) { return {}; }

void FakeEngine::get(std::string_view key, const cache::ReadOptions& options, storage::Callback<cache::Reading> done) {
  const std::lock_guard lock(mutex_);
  note_level(options);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  answer([done, reading = read(std::string(key))] { done(reading); });
}

void FakeEngine::get_many(std::vector<std::string> keys, const cache::ReadOptions& options,
                          storage::Callback<std::vector<cache::Reading>> done) {
  const std::lock_guard lock(mutex_);
  note_level(options);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  std::vector<cache::Reading> readings;
  for (const auto& key : keys) readings.push_back(read(key));
  answer([done, readings = std::move(readings)] { done(readings); });
}

void FakeEngine::prefetch(std::vector<std::string> keys) {
  const std::lock_guard lock(mutex_);
  for (auto& key : keys) {
    read(key);
    prefetched_.push_back(std::move(key));
  }
}

bool FakeEngine::holds(const Mutation& mutation) {
  const KeyState* state = live(mutation.key);
  switch (mutation.condition) {
    case Condition::none: return true;
    case Condition::if_absent: return !state;
    case Condition::if_present: return state;
    case Condition::if_version: return (state ? state->version : 0) == mutation.version;
  }
  return false;
}

void FakeEngine::store(const Mutation& mutation, std::string value, storage::ValueKind kind) {
  const KeyState* before = live(mutation.key);
  const std::int64_t kept = before ? before->expires_at_ms : 0;
  KeyState& state = keys_[position(mutation.key)];
  state.present = true;
  state.value = std::move(value);
  state.kind = kind;
  state.version = ++version_;
  switch (mutation.expiry.mode) {
    case Expiry::Mode::keep: state.expires_at_ms = kept; break;
    case Expiry::Mode::clear: state.expires_at_ms = 0; break;
    case Expiry::Mode::at: state.expires_at_ms = mutation.expiry.ms; break;
    case Expiry::Mode::after: state.expires_at_ms = database_now_ms() + mutation.expiry.ms; break;
  }
}

Result<MutationOutcome> FakeEngine::apply(const Mutation& mutation) {
  MutationOutcome outcome;
  const KeyState* before = live(mutation.key);
  const KeyState old = before ? *before : KeyState{};
  const bool for_strings = mutation.kind == MutationKind::increment || mutation.kind == MutationKind::append;
  if (old.kind != storage::ValueKind::string && (for_strings || mutation.want_before)) return storage::wrong_kind();
  if (mutation.want_before) outcome.before = old;
  if (!holds(mutation)) {
    outcome.after = old;
    return outcome;
  }
  if (mutation.kind == MutationKind::increment) {
    const auto number = before ? protocol::parse_integer(old.value) : std::optional<std::int64_t>(0);
    if (!number) return Error::of(ErrorCode::wrong_type, "no integer");
    std::int64_t sum = 0;
    if (__builtin_add_overflow(*number, mutation.delta, &sum)) return Error::of(ErrorCode::out_of_range, "overflow");
    store(mutation, std::to_string(sum));
  } else if (mutation.kind == MutationKind::append) {
    store(mutation, old.value + mutation.value);
  } else if (mutation.kind == MutationKind::put) {
    store(mutation, mutation.value, mutation.value_kind);
  } else if (mutation.kind == MutationKind::touch) {
    store(mutation, old.value, old.kind);
  } else {
    keys_.erase(position(mutation.key));
  }
  cached_.insert(mutation.key);
  tell(mutation.key);
  outcome.applied = true;
  if (const KeyState* after = live(mutation.key)) outcome.after = *after;
  return outcome;
}

void FakeEngine::write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds,
                       storage::Callback<storage::WriteReply> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  bool all = true;
  for (const auto& mutation : mutations) all &= holds(mutation);
  storage::WriteReply reply;
  for (const auto& mutation : mutations) {
    if (all || !all_or_nothing) {
      reply.push_back(apply(mutation));
      continue;
    }
    const KeyState* state = live(mutation.key);
    reply.push_back(MutationOutcome{.applied = false, .after = state ? *state : KeyState{}, .before = {}});
  }
  answer([done, reply = std::move(reply)] { done(reply); });
}

void FakeEngine::update(std::string key, cache::Decide decide, base::Nanoseconds,
                        storage::Callback<cache::UpdateOutcome> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  cache::UpdateOutcome outcome;
  if (const KeyState* state = live(key)) outcome.before = *state;
  auto decided = decide(outcome.before, database_now_ms());
  if (!decided) return answer([done, error = decided.error()] { done(error); });
  if (decided->has_value()) {
    (*decided)->key = key;
    auto applied = apply(**decided);
    if (!applied) return answer([done, error = applied.error()] { done(error); });
    outcome.written = applied->applied;
    outcome.after = applied->after;
  }
  cached_.insert(key);
  answer([done, outcome] { done(outcome); });
}

// Nobody else is kept out: tests of commands have one writer.
class FakeTransaction final : public cache::Transaction {
 public:
  FakeTransaction(FakeEngine& engine, std::map<std::string, cache::Reading, std::less<>> readings)
      : engine_(engine), readings_(std::move(readings)) {}
  const std::map<std::string, cache::Reading, std::less<>>& readings() const override { return readings_; }
  std::map<std::string, cache::Reading, std::less<>> take_readings() override { return std::exchange(readings_, {}); }
  void commit(std::vector<storage::Mutation> mutations, base::Nanoseconds deadline,
              storage::Callback<storage::WriteReply> done) override {
    engine_.write(std::move(mutations), false, deadline, std::move(done));
  }

 private:
  FakeEngine& engine_;
  std::map<std::string, cache::Reading, std::less<>> readings_;
};

void FakeEngine::begin(std::vector<std::string> keys, base::Nanoseconds deadline,
                       storage::Callback<std::shared_ptr<cache::Transaction>> done) {
  get_many(keys, {storage::Level::linearizable, 0, {}, deadline},
           [this, keys, done = std::move(done)](Result<std::vector<cache::Reading>> read) {
             if (!read) return done(std::move(read).error());
             std::map<std::string, cache::Reading, std::less<>> readings;
             for (std::size_t i = 0; i < keys.size(); ++i) readings.emplace(keys[i], std::move((*read)[i]));
             done(std::shared_ptr<cache::Transaction>(std::make_shared<FakeTransaction>(*this, std::move(readings))));
           });
}

void FakeEngine::scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds,
                      storage::Callback<storage::ScanReply> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  storage::ScanReply reply;
  reply.database_ms = database_now_ms();
  for (auto at = keys_.lower_bound({cursor, ""}); at != keys_.end(); ++at) {
    if (reply.keys.size() >= limit) {
      reply.next = at->first.first;
      break;
    }
    reply.keys.push_back({at->first.second, at->second.expires_at_ms, at->second.kind});
  }
  answer([done, reply = std::move(reply)] { done(reply); });
}

void FakeEngine::count(base::Nanoseconds, storage::Callback<storage::KeyCount> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  answer([done, count = keys_.size()] { done(storage::KeyCount{count, true}); });
}

std::size_t FakeEngine::evict(std::string_view key) {
  const std::lock_guard lock(mutex_);
  const auto found = cached_.find(key);
  if (found == cached_.end()) return 0;
  cached_.erase(found);
  return 1;
}

std::size_t FakeEngine::evict_if(base::FunctionRef<bool(std::string_view key)> leaves) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(cached_, [&](const std::string& key) { return leaves(key); });
}

std::optional<std::size_t> FakeEngine::evict_collection(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const bool key_value = name == "kv";
  if (!key_value && !observed_.contains(name)) return std::nullopt;
  return evict_if([&](std::string_view key) { return key_value ? !shape_of(key) : storage::prefix_of(key) == name; });
}

cache::CollectionKind FakeEngine::kind_of(std::string_view key) const {
  const auto shape = shape_of(key);
  if (!shape) return cache::CollectionKind::key_value;
  return shape->is_query ? cache::CollectionKind::query : cache::CollectionKind::row;
}

storage::RowShapeRef FakeEngine::shape_of(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto found = observed_.find(storage::prefix_of(key));
  return found == observed_.end() ? nullptr : found->second;
}

std::vector<std::string> FakeEngine::collections() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names{"kv"};
  for (const auto& [name, shape] : observed_) names.push_back(name);
  return names;
}

void FakeEngine::token(base::Nanoseconds, storage::Callback<std::string> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  answer([done, position = lsn_of(version_)] { done("7-00000001-L" + storage::text_of_lsn(position)); });
}

void FakeEngine::wait(std::string token, base::Nanoseconds, storage::Callback<void> done) {
  const std::lock_guard lock(mutex_);
  if (auto error = take_error()) return answer([done, error = *error] { done(error); });
  auto parsed = consistency::SessionToken::parse(token);
  answer([done, parsed] { parsed ? done({}) : done(parsed.error()); });
}

void FakeEngine::watch(consistency::ChangeWatcher* watcher) {
  const std::lock_guard lock(mutex_);
  watcher_ = watcher;
}

storage::StreamStatus FakeEngine::stream_status() {
  storage::StreamStatus status;
  status.streaming = true;
  status.slot = "fake_slot";
  status.publication = "fake_publication";
  status.reconnects = 3;
  return status;
}

std::vector<std::pair<std::string, std::string>> FakeEngine::explain(std::string_view key) {
  const std::lock_guard lock(mutex_);
  return {{"key", std::string(key)}, {"cached", cached_.contains(key) ? "yes" : "no"}};
}

cache::EngineStats FakeEngine::stats() const {
  const std::lock_guard lock(mutex_);
  cache::EngineStats stats;
  stats.hits = hits_;
  stats.misses = storage_reads_;
  stats.table.entries = cached_.size();
  stats.table.bytes = 1000;
  stats.table.entry_bytes = 600;
  stats.table.index_bytes = 200;
  stats.table.policy_bytes = 150;
  stats.policy = "sieve";
  stats.policy_setting = "auto";
  stats.observed.streaming = true;
  stats.observed.lag = 12 * base::kMillisecond;
  stats.observed.held_transactions = 2;
  stats.observed.position = lsn_of(version_);
  return stats;
}

std::shared_ptr<const eviction::adaptive::Report> FakeEngine::eviction_report() const {
  eviction::adaptive::Report report;
  report.in_office = "sieve";
  report.policies = {{"sieve", 0.25, {{1'000, {0.25, 0.5}}, {2'000, {0.125, 0.25}}}},
                     {"lru", 0.5, {{1'000, {0.5, 0.5}}, {2'000, {0.375, 0.5}}}}};
  report.rate = 0.01;
  report.changes = 3;
  return std::make_shared<const eviction::adaptive::Report>(std::move(report));
}

std::vector<memory::PolicyFact> FakeEngine::describe_policy() const {
  using Together = memory::PolicyFact::Together;
  return {{"trainings", 12}, {"trained_requests_ago", 34, Together::greatest}, {"gain_age", 0.25, Together::mean}};
}

}  // namespace freshet::server
