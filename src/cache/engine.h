// The cache: memory, eviction, storage, ownership and consistency composed. The server and the public C++ API are thin
// layers over it. Thread-safe; callbacks run on threads of the engine's and must not block.
//
// May use every room above it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/function_ref.h"
#include "consistency/observed/bypass_watch.h"
#include "consistency/observed/follower.h"
#include "eviction/adaptive/advisor.h"
#include "eviction/policies.h"
#include "freshet/result.h"
#include "memory/table.h"
#include "ownership/ownership.h"
#include "storage/observed.h"
#include "storage/storage.h"

namespace freshet::cache {

using storage::Callback;
using storage::KeyState;
using storage::Mutation;
using storage::MutationOutcome;
using storage::ValueKind;

using storage::Level;

// How fresh a read must be, and how long it may take.
struct ReadOptions {
  std::optional<Level> level = {};               // Nullopt: the collection's own; the key-value table's is linearizable.
  base::Nanoseconds bound = 0;                   // For Level::bounded.
  std::string token = {};                        // For Level::session: consistency/session_token.h
  base::Nanoseconds deadline = base::kForever;   // On base::now()'s clock.
};

enum class Source : std::uint8_t { memory, storage };

struct Reading {
  bool present = false;
  std::string value;
  storage::Version version = 0;    // Of observed collections: the position, below. Of guarded rows: the declared column's.
  std::int64_t expires_at_ms = 0;  // The database's clock; 0: never.
  Source source = Source::storage;
  base::Nanoseconds age = 0;       // How long ago the value was last proven current; 0: as of the read.
  // How `value` is to be read (storage/row.h), null for the key-value table.
  storage::RowShapeRef shape;
  storage::Lsn position = 0;       // Of observed collections: of the database's log, at least as new as the value.
  ValueKind kind = ValueKind::string;  // Of the key-value table's values.
};

// What a hit shows, valid during the visit only.
struct HitView {
  bool present;
  std::string_view value;
  storage::Version version;
  std::int64_t expires_at_ms;
  const storage::RowShape* shape = nullptr;  // As Reading::shape,
  base::Nanoseconds age = 0;
  storage::Lsn position = 0;                 // its position,
  ValueKind kind = ValueKind::string;        // and its kind.
};

// What stands behind a key.
enum class CollectionKind : std::uint8_t {
  key_value,    // freshet.kv: guarded, writes go through Freshet.
  guarded_row,  // A table's row by its primary key: the same.
  row,          // The same of an observed table: read-only.
  query,        // A parametrised SELECT: read-only.
};

inline bool is_guarded(CollectionKind kind) {
  return kind == CollectionKind::key_value || kind == CollectionKind::guarded_row;
}
inline bool is_any_row(CollectionKind kind) { return kind == CollectionKind::guarded_row || kind == CollectionKind::row; }

// The error for a write to a read-only collection, with the words to use.
Error read_only(std::string_view key, CollectionKind kind);

struct UpdateOutcome {
  bool written = false;
  KeyState before;
  KeyState after;
};

// Called with the key's state (a record past its deadline shows as absent) and the database's clock; returns the mutation to
// make (its condition, version and token are filled in), nothing to leave the key as it is, or an error. It may be called
// again if another writer came first.
using Decide = std::function<Result<std::optional<Mutation>>(const KeyState& current, std::int64_t database_ms)>;

struct EngineOptions {
  std::string storage_url = "embedded";     // "embedded", or a libpq URL: postgres://…
  std::string data_directory = "data";      // Embedded storage.
  bool relaxed_durability = false;          // Embedded: acknowledge before the WAL is synced; a crash loses the last writes.
  std::size_t memory_bytes = 1ull << 30;
  std::string policy{eviction::kDefaultPolicy};  // Or another of eviction::table_policies(), or "auto".
  std::size_t cached_value_bytes_max = 1ull << 20;
  std::string fleet = "default";            // PostgreSQL: who may use freshet.kv of this database.
  bool for_share_dialect = false;           // PostgreSQL: guards without advisory locks.
  std::int32_t advisory_lock_class = 0x46524553;  // PostgreSQL: the first integer of the two-integer advisory locks.
  int storage_connections = 8;              // PostgreSQL: the pool's size.
  base::Nanoseconds lease = 2 * base::kSecond;     // PostgreSQL: the solo lease.
  base::Nanoseconds read_deadline = base::kSecond;      // When a call brings none.
  base::Nanoseconds write_deadline = 5 * base::kSecond; // When a call brings none.
  bool key_value = true;                    // Offer freshet.kv; without it Freshet creates nothing in the database but what
                                            // following it needs.
  std::vector<storage::CollectionSpec> collections;  // Observed and guarded ones; PostgreSQL only.
  // The change stream; see the settings of the same names.
  std::string node;                         // What a managed slot is named after, beside the fleet; empty: the host.
  std::string slot;                         // Empty: a managed one.
  std::string publication;                  // Empty: a managed one, "freshet_FLEET".
  std::int64_t retained_wal_bytes_max = 4ll << 30;
  int fill_statements_max = 4;
  base::Nanoseconds probe_interval = 200 * base::kMicrosecond;
};

struct EngineStats {
  consistency::BypassStats bypass;      // Of guarded collections that are followed.
  memory::TableStats table;
  std::string_view policy;              // That runs.
  std::string_view policy_setting;      // The same, or "auto".
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;             // Reads that went to storage, joined fills included.
  std::uint64_t joined_fills = 0;
  std::uint64_t fills_cached = 0;
  std::uint64_t fills_not_cached = 0;   // Overlapped by a write, or ownership changed.
  std::uint64_t writes = 0;
  std::uint64_t writes_cached = 0;
  std::uint64_t guard_mismatches = 0;
  std::uint64_t guards_set = 0;
  std::uint64_t guard_failures = 0;
  std::uint64_t unknown_outcomes = 0;   // Writes whose answer was lost,
  std::uint64_t unknown_resolved = 0;   // and those of them whose fate was found out.
  std::uint64_t operations_in_flight = 0;
  std::uint64_t slots_guarded = 0;      // Of 16384.
  std::uint64_t pass_requests = 0;      // Transactions of plain SQL that asked (freshet.pass);
  std::uint64_t pass_cells = 0;         // cells that were not cached for them,
  std::uint64_t pass_cells_open = 0;    // and those that are not now, of 256.
  consistency::FollowerStats observed;  // All zero without observed collections.
};

class Transaction;  // cache/transaction.h
class SqlGuard;

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  virtual ~Engine() = default;

  enum class Lookup : std::uint8_t { hit, miss };

  // A linearizable hit from memory, without I/O and without allocation: on a hit calls `visit` (under a small lock: copy
  // and return). `now` is base::now() read by the caller during this operation; one reading may serve a batch. kReadClock:
  // the engine reads a clock (base/late_clock.h), while the index is on its way from memory.
  static constexpr base::Nanoseconds kReadClock = 0;
  virtual Lookup try_get(std::string_view key, base::Nanoseconds now, base::FunctionRef<void(const HitView&)> visit) = 0;
  // The same for a read of any level: hits that keep `options`' promise without I/O.
  virtual Lookup try_get_at(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                            base::FunctionRef<void(const HitView&)> visit) = 0;
  // The same, copied into `buffer` if it fits there, and then mostly without a lock. Hit: `copied` says what was found; else
  // nothing, and the buffer's content is undefined. Reads the clock itself. Strings only: a hash is a miss.
  virtual Lookup try_copy(std::string_view key, std::span<char> buffer, memory::EntryCopy& copied) = 0;
  // The same for many keys: their waits for memory overlap. How many were hits.
  struct CopyRequest {
    std::string_view key;
    std::span<char> buffer;
    bool hit = false;
    memory::EntryCopy copied = {};
  };
  virtual std::size_t try_copy_many(std::span<CopyRequest> requests) = 0;
  // The same, keeping the bytes alive for as long as the caller holds the entry. Null on a miss, and for a hash.
  virtual memory::EntryRef try_pin(std::string_view key, base::Nanoseconds now) = 0;

  virtual void get(std::string_view key, const ReadOptions& options, Callback<Reading> done) = 0;
  virtual void get_many(std::vector<std::string> keys, const ReadOptions& options,
                        Callback<std::vector<Reading>> done) = 0;
  // Brings what hits on these keys will read towards the processor, so that a batch of try_get waits for memory once.
  virtual void prefetch_hits(std::span<const std::string_view> /*keys*/) {}
  // Starts filling the keys that are not in memory, if there is room for it, and returns. A hint.
  virtual void prefetch(std::vector<std::string> keys) = 0;

  // One transaction in storage. Tokens and the operation id are filled in; keys must be distinct.
  virtual void write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds deadline,
                     Callback<storage::WriteReply> done) = 0;
  // Reads, decides, and writes on the condition that nothing came between; again if something did.
  virtual void update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) = 0;
  // The same, with the key's lock held from before the reading until the write's outcome is known: for keys that many
  // update at once. Each waits for its turn instead of trying again, and reads what the one before it has cached.
  virtual void update_locked(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) {
    update(std::move(key), std::move(decide), deadline, std::move(done));
  }

  // Begins a transaction over keys of guarded collections. Waits for a write guard of each key, and for whoever writes one
  // of them. Null, if there are no keys and nothing is guarded here. Errors: invalid_argument, unsupported (an observed
  // key), not_owner, deadline_exceeded, unavailable.
  virtual void begin(std::vector<std::string> keys, base::Nanoseconds deadline,
                     Callback<std::shared_ptr<Transaction>> done) = 0;

  // Lends the guards of rows to a transaction of the caller's own, which may take as long as `limit`. Errors: as of begin().
  virtual void guard_sql(std::vector<std::string> /*keys*/, base::Nanoseconds /*deadline*/, base::Nanoseconds /*limit*/,
                         Callback<std::shared_ptr<SqlGuard>> done) {
    done(Error::of(ErrorCode::unsupported, "no tables are guarded here"));
  }

  virtual void scan(std::uint64_t cursor, std::size_t limit, base::Nanoseconds deadline,
                    Callback<storage::ScanReply> done) = 0;
  virtual void count(base::Nanoseconds deadline, Callback<storage::KeyCount> done) = 0;

  // The collections that the engine was opened with as they are to be from now on, while it serves them: what their blocks
  // say may change, tables may move from observed to guarded and back, and their definitions are read anew from the catalog.
  // All or nothing. Answers with a sentence for each collection that is another now. `done` runs on a thread of the
  // engine's. Errors: invalid_argument (another set of names), busy (too many changes wait), deadline_exceeded (writes of a
  // collection that is to be observed did not end in time, or its change stream was not there in time), and those of
  // opening.
  virtual void change_collections(std::vector<storage::CollectionSpec> /*specs*/, Callback<std::vector<std::string>> done) {
    done(Error::of(ErrorCode::unsupported, "this engine has no collections"));
  }

  // Drops cached data only. Returns how many entries left.
  virtual std::size_t evict(std::string_view key) = 0;
  virtual std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves) = 0;
  // Nullopt: there is no collection of that name ("kv": the key-value table).
  virtual std::optional<std::size_t> evict_collection(std::string_view name) = 0;

  // Collections. A key's kind is told by its prefix alone.
  virtual CollectionKind kind_of(std::string_view key) const = 0;
  // The guarded collection that the key is a row of: how its states (KeyState::value) are to be read. Null: none.
  // One that was guarded when something began that goes on still is meant, too.
  virtual const storage::RowCollection* guarded_rows(std::string_view /*key*/) const { return nullptr; }
  // The same, as it was when the value was read, or shaped; null: the value is no row's.
  virtual const storage::RowCollection* rows_of_value(std::string_view /*key*/, std::string_view /*value*/) const {
    return nullptr;
  }
  virtual const storage::RowCollection* rows_of_shape(std::string_view /*key*/, const storage::RowShape* /*shape*/) const {
    return nullptr;
  }
  // The columns of a row collection's values; null while unknown, and for other keys.
  virtual storage::RowShapeRef shape_of(std::string_view key) const = 0;
  virtual std::vector<std::string> collections() const = 0;

  // Session tokens: one that includes every write acknowledged before the call; and waiting until reads of level `any`
  // include what a token names. Errors: invalid_argument, unsupported (embedded storage), deadline_exceeded, unavailable.
  virtual void token(base::Nanoseconds deadline, Callback<std::string> done) = 0;
  virtual void wait(std::string token, base::Nanoseconds deadline, Callback<void> done) = 0;

  // Tells of every key that changes or leaves, in observed collections and in the key-value table (through this node), for
  // client-side caching: consistency/observed/follower.h. At most one watcher; nullptr ends it.
  virtual void watch(consistency::ChangeWatcher* watcher) = 0;
  virtual storage::StreamStatus stream_status() = 0;

  // The database's clock as known here (ms since 1970): an estimate, good enough to ask storage to expire a key.
  virtual std::int64_t database_now_ms() const = 0;

  // Where the key comes from, whether it is cached, under which guard, and why or why not: name and text, in order.
  virtual std::vector<std::pair<std::string, std::string>> explain(std::string_view key) = 0;
  virtual EngineStats stats() const = 0;
  virtual ownership::OwnershipStatus ownership_status() const = 0;
  // What no longer fits is evicted on a thread of its own, shard by shard; of calls meanwhile the latest counts.
  virtual void set_memory(std::size_t bytes) = 0;
  // One of eviction::table_policies(), by name, or "auto". What is cached moves to it on a thread of its own, shard by
  // shard; of calls meanwhile the latest counts. Errors: invalid_argument.
  virtual Result<void> set_policy(std::string_view name) = 0;
  // What "auto" estimates; null without it.
  virtual std::shared_ptr<const eviction::adaptive::Report> eviction_report() const = 0;
  // What a policy that learns tells of itself, over all shards; empty with the others.
  virtual std::vector<memory::PolicyFact> describe_policy() const = 0;
  // Gives ownership up in order and stops taking operations, for a clean stop: from then on every call is answered with
  // unavailable.
  virtual void release() = 0;
};

}  // namespace freshet::cache
