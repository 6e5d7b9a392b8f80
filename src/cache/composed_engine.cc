// The engine's life, its statistics, and the calls that pass through. Reads stand in reads.cc, writes in writes.cc.
#include "cache/composed_engine.h"

#include <fmt/format.h>

#include "cache/observed_options.h"

namespace freshet::cache {
namespace {

// On so many locks two threads seldom meet; at the smallest memory a shard still holds some entries. Where that makes shards
// large they are more, so that none is locked for long while it is written anew for another policy.
constexpr unsigned kTableShardsUsual = 256;
constexpr unsigned kTableShardsMax = 4096;
constexpr std::size_t kShardBytesMin = 4 << 20;
constexpr std::size_t kShardBytesUsualMax = 16 << 20;

// What runs at first.
const eviction::TablePolicy* first_policy(std::string_view name) {
  return eviction::table_policy(name == eviction::kAutomaticPolicy ? eviction::kDefaultPolicy : name);
}

memory::TableOptions table_options(const EngineOptions& options, const eviction::TablePolicy& policy) {
  memory::TableOptions table;
  table.capacity_bytes = options.memory_bytes;
  table.value_bytes_max = options.cached_value_bytes_max;
  table.shards = kTableShardsUsual;
  while (table.shards > 1 && options.memory_bytes / table.shards < kShardBytesMin) table.shards /= 2;
  while (table.shards < kTableShardsMax && options.memory_bytes / table.shards > kShardBytesUsualMax) table.shards *= 2;
  table.policy = policy.make;
  return table;
}


}  // namespace

ComposedEngine::ComposedEngine(const EngineOptions& options, EngineParts parts)
    : options_(options),
      memory_bytes_(options.memory_bytes), chosen_policy_(eviction::table_policy(options.policy)),
      policy_(first_policy(options.policy)),
      table_(table_options(options, *policy_)),
      adaptive_(table_, [this] { return hits_and_fills(); }, [this](const auto& policy) { change_policy(policy); },
                parts.adaptive),
      parts_(std::move(parts)),
      loop_(std::make_unique<net::Loop>("freshet-engine")),
      specs_(options_.collections) {
  if (parts_.storage) start_guarding({std::move(parts_.storage), std::move(parts_.ownership)});
  if (const auto observed = observed_specs(specs_); parts_.make_observed && !observed.empty()) start_following(observed);
  if (const auto watched = watched_specs(specs_); parts_.make_watched && !watched.empty()) start_watching(watched);
  if (!chosen_policy_) adaptive_.start(*policy_);
  is_open_ = true;
}

// The order matters: no new call to storage, then every open call answered, then nobody left who could run a callback.
ComposedEngine::~ComposedEngine() {
  {
    const std::lock_guard lock(change_mutex_);
    ending_ = true;
  }
  change_wake_.notify_all();
  if (collection_) collection_->stop_clearing();
  policy_change_.stop();
  memory_change_.stop();
  collections_change_.stop();
  for (auto& change : changes_) change.done(stopping());
  adaptive_.stop();
  release();
  if (follower_) {
    follower_->watch(nullptr);
    follower_->stop();
    follower_loop_.reset();
  }
  if (watch_) {
    watch_->stop();
    watch_loop_.reset();
  }
  if (ownership_) ownership_->listen(nullptr);
  if (collection_) collection_->stop();
  loop_->run([] {});  // A task that did not see the stop yet is over.
  storage_.reset();
  loop_.reset();
}

void ComposedEngine::release() {
  if (!released_.exchange(true) && ownership_) ownership_->release();
}

Result<void> ComposedEngine::set_policy(std::string_view name) {
  if (auto known = eviction::check_policy_name(name); !known) return known;
  const auto* const chosen = eviction::table_policy(name);
  if (chosen_policy_.exchange(chosen) == chosen) return {};
  policy_change_.run([this] {
    const auto* const latest = chosen_policy_.load();
    if (!latest) return adaptive_.start(*policy_);
    adaptive_.stop();
    if (policy_.load() != latest) change_policy(*latest);
  });
  return {};
}

void ComposedEngine::set_memory(std::size_t bytes) {
  if (memory_bytes_.exchange(bytes) == bytes) return;
  memory_change_.run([this] { table_.set_capacity(memory_bytes_); });
}

void ComposedEngine::change_policy(const eviction::TablePolicy& policy) {
  policy_ = &policy;
  table_.set_policy(policy.make);
}

// The table's accesses that it tells of.
std::uint64_t ComposedEngine::hits_and_fills() const {
  std::uint64_t sum = hits_.sum();
  if (follower_) {
    const auto observed = follower_->stats();
    sum += observed.hits + observed.fills_cached;
  }
  return sum + (collection_ ? collection_->stats().fills_cached : 0);
}

std::int64_t ComposedEngine::database_now_ms() const {
  return collection_ ? collection_->database_now_ms() : base::wall_ms();
}

ownership::OwnershipStatus ComposedEngine::ownership_status() const {
  if (ownership_) return ownership_->status();
  return {"none", "", 0, "the key-value table is not offered; observed collections have no owner"};
}

base::Nanoseconds ComposedEngine::read_deadline(base::Nanoseconds asked) const {
  return asked == base::kForever ? base::now() + options_.read_deadline : asked;
}

base::Nanoseconds ComposedEngine::write_deadline(base::Nanoseconds asked) const {
  return asked == base::kForever ? base::now() + options_.write_deadline : asked;
}

void ComposedEngine::scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds deadline,
                          Callback<storage::ScanReply> done) {
  if (released_) return done(stopping());
  if (!has_pairs()) return done(storage::ScanReply{});
  deadline = read_deadline(deadline);
  storage_->scan(cursor, limit, deadline, [this, deadline, done = std::move(done)](Result<storage::ScanReply> reply) {
    if (!reply) return done(std::move(reply));
    keep_present(std::move(*reply), deadline, done);
  });
}

// Clients that keep what they read are told, too.
void ComposedEngine::drop_bypassed(const std::string& collection, const std::string& key) {
  if (key.empty()) {
    collection_->drop_bypassed_of(collection);
    return on_collection_changed(collection);
  }
  collection_->drop_bypassed(key);
  on_changed(key);
}

std::string ComposedEngine::describe_watch() const {
  if (!watch_) return "no";
  const auto stats = watch_->stats();
  return fmt::format("{}; {} transactions got past Freshet and changed {} rows", stats.watching ? "yes" : "not at present",
                     stats.transactions, stats.rows);
}

// Keys whose deadline has passed are removed before they are left out, as every other read does it.
void ComposedEngine::keep_present(storage::ScanReply reply, base::Nanoseconds deadline, Callback<storage::ScanReply> done) {
  std::vector<std::string> due;
  for (const auto& key : reply.keys) {
    if (key.expires_at_ms != 0 && key.expires_at_ms <= reply.database_ms) due.push_back(key.key);
  }
  if (due.empty()) return done(std::move(reply));
  get_many(std::move(due), {Level::linearizable, 0, {}, deadline},
           [reply = std::move(reply), done = std::move(done)](Result<std::vector<Reading>> readings) mutable {
             if (!readings) return done(std::move(readings).error());
             std::size_t next = 0;
             std::erase_if(reply.keys, [&](const storage::ScanReply::Key& key) {
               const bool was_due = key.expires_at_ms != 0 && key.expires_at_ms <= reply.database_ms;
               return was_due && !(*readings)[next++].present;
             });
             done(std::move(reply));
           });
}

void ComposedEngine::count(base::Nanoseconds deadline, Callback<storage::KeyCount> done) {
  if (released_) return done(stopping());
  if (!has_pairs()) return done(storage::KeyCount{0, true});
  storage_->count(read_deadline(deadline), std::move(done));
}

std::vector<std::pair<std::string, std::string>> ComposedEngine::explain(std::string_view key) {
  if (observes(key)) return follower_->explain(key);
  if (!guards(key)) return {{"collection", "none"}, {"why not", no_key_value(key).what}};
  const auto now = base::now();
  const auto slot = base::slot_of(key);
  std::vector<std::pair<std::string, std::string>> lines;
  const auto* const rows = guarded_rows(key);
  lines.emplace_back("collection", fmt::format("{} (guarded: every write goes through Freshet)",
                                               rows ? rows->spec.name : "freshet.kv"));
  if (rows) lines.emplace_back("depends on", rows->written_as);
  lines.emplace_back("slot", fmt::format("{}", slot));
  lines.emplace_back("cell", fmt::format("{}", base::cell_of(slot)));
  const auto guard = collection_->guard_of(key);
  if (rows && rows->spec.followed) lines.emplace_back("watched", describe_watch());
  if (guard) {
    lines.emplace_back("guard", guard->token().to_text());
    lines.emplace_back("ownership period", fmt::format("{}", guard->slice()->period()));
  } else {
    lines.emplace_back("guard", "none: reads go to storage uncached, writes wait for it or fail");
  }
  std::string cached = "no";
  const bool found = table_.inspect(key, base::hash_of(key), [&](const memory::Entry& entry) {
    const std::string_view kind = entry.kind() == ValueKind::hash ? "a hash of " : "";
    const std::string what =
        entry.present() ? fmt::format("{}{} bytes", kind, entry.value().size()) : "known to be absent";
    if (!collection_->is_proven(entry, now)) {
      cached = what + ", but not proven current: the slice was lost since";
    } else if (collection_->seems_due(entry.expires_at_ms())) {
      cached = what + ", but its deadline has passed: the next read removes it in storage";
    } else {
      cached = fmt::format("{}, version {}", what, entry.version());
    }
  });
  lines.emplace_back("cached", cached);
  if (rows && this->rows()->is_unsealed(key)) {
    lines.emplace_back("why not", "its table is not sealed: anybody may write it. The log says why it is not sealed again");
  } else if (!found && collection_->is_open_to_others(key)) {
    lines.emplace_back("why not", "a transaction of plain SQL that named rows of its cell (freshet.pass) has not ended");
  } else if (!found) {
    lines.emplace_back("why not", fmt::format("not read or written since it was evicted, or the last read overlapped a "
                                              "write, or larger than {} bytes", options_.cached_value_bytes_max));
  }
  lines.emplace_back("best level", guard ? "linearizable, from memory" : "linearizable, from storage");
  return lines;
}

EngineStats ComposedEngine::stats() const {
  EngineStats stats;
  stats.table = table_.stats();
  stats.policy = policy_.load()->name;
  const auto* const chosen = chosen_policy_.load();
  stats.policy_setting = chosen ? chosen->name : eviction::kAutomaticPolicy;
  stats.hits = hits_.sum();
  if (follower_) {
    stats.observed = follower_->stats();
    stats.hits += stats.observed.hits;
    stats.misses += stats.observed.fills;
  }
  if (watch_) stats.bypass = watch_->stats();
  if (!collection_) return stats;
  const auto collection = collection_->stats();
  stats.misses += collection.misses;
  stats.joined_fills = collection.joined_fills;
  stats.fills_cached = collection.fills_cached;
  stats.fills_not_cached = collection.fills_not_cached;
  stats.writes = collection.writes;
  stats.writes_cached = collection.writes_cached;
  stats.guard_mismatches = collection.guard_mismatches;
  stats.guards_set = collection.guards.set;
  stats.guard_failures = collection.guards.failed;
  stats.unknown_outcomes = collection.unknown_outcomes;
  stats.unknown_resolved = collection.unknown_resolved;
  stats.operations_in_flight = collection.operations_in_flight;
  stats.slots_guarded = collection.guards.slots;
  stats.pass_requests = collection.outside.requests;
  stats.pass_cells = collection.outside.cells;
  stats.pass_cells_open = collection.outside.open;
  return stats;
}

}  // namespace freshet::cache
