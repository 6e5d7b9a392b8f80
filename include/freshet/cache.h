// Freshet, linked into your process: a cache in front of a database whose reads are linearizable.
//
//   auto cache = freshet::Cache::open({.storage = "postgres://app@db/shop"});
//   if (!cache) return report(cache.error());
//   (*cache)->put("user:42", "Ada").get();
//   auto value = (*cache)->get("user:42").get();
//
// Thread-safety: every call may be made from any thread. Callbacks run on the cache's own threads (or inside the call, when
// the answer is at hand); they must not block and must not destroy the cache. Errors are values (freshet/error.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "freshet/error.h"
#include "freshet/options.h"
#include "freshet/result.h"

namespace freshet {

// A key's value, or the knowledge that the key is absent.
struct Value {
  bool present = false;
  std::string bytes;              // Of collections: JSON, an object for a row, an array of objects for a query.
  // Grows with every write of the key and never repeats, across deletes too. 0: the key was never written, as far as storage
  // remembers.
  std::uint64_t version = 0;
  // When it expires, in milliseconds since 1970 by the database's clock; 0: never.
  std::int64_t expires_at_ms = 0;
  bool from_memory = false;
  // How long ago the value was last proven current; 0 for linearizable reads.
  std::chrono::milliseconds age{0};
};

// Of a hash: names and values.
using Fields = std::vector<std::pair<std::string, std::string>>;

// A key of the key-value table that holds fields instead of a string: what HSET writes. It is stored and cached whole, so
// that every write of a field costs as much as the hash is large: at most 65,536 fields in 4 MiB.
struct Hash {
  bool present = false;
  Fields fields = {};             // In the order in which they came.
  std::uint64_t version = 0;      // As of a Value, and so is what follows.
  std::int64_t expires_at_ms = 0;
  bool from_memory = false;
  std::chrono::milliseconds age{0};
};

// A value that stays. A small one is a copy; a large one is the cache's own memory, which is kept alive beyond the cache's
// limit: hold it shortly. It does not follow later writes.
class PinnedValue {
 public:
  PinnedValue() = default;
  bool present() const { return present_; }
  std::string_view bytes() const { return bytes_; }
  std::uint64_t version() const { return version_; }

 private:
  friend class Cache;
  std::shared_ptr<const void> keep_;
  std::string_view bytes_;
  std::uint64_t version_ = 0;
  bool present_ = false;
};

enum class Hit : std::uint8_t {
  miss,       // Not in memory, or not proven current: call get().
  present,
  absent,     // In memory, as a key that does not exist.
  too_small,  // Present, but the buffer is too small; `size` says what it needs.
};

struct CopiedHit {
  Hit hit = Hit::miss;
  std::size_t size = 0;       // Of the value.
  std::uint64_t version = 0;
};

// One of a batch.
struct BatchedGet {
  std::string_view key;
  std::span<char> buffer;  // Each its own.
  CopiedHit result = {};
};

// How a transaction of your own ended.
enum class Outcome : std::uint8_t { committed, rolled_back, unknown };

// Lets a transaction that you run in the database yourself, with SQL, write rows of guarded tables: Cache::guard_sql().
//
//   auto guard = cache.guard_sql({"accounts:7", "accounts:8"}).get();
//   PQexec(connection, "BEGIN");
//   PQexec(connection, guard->statement().c_str());   // First. Then your own statements, and COMMIT.
//   guard->end(freshet::Outcome::committed);
//
// Until it ends the rows are not cached, and others' writes of them wait. Destroyed without a word its outcome is unknown:
// the database then replaces the guards, so that the transaction has committed, or never will, and the rows are back.
// Thread-safe; the cache must outlive it.
class SqlGuard {
 public:
  const std::string& statement() const;
  // After COMMIT or ROLLBACK was answered. The first call counts. False: it had been given up before, at its limit; a commit
  // that was answered is in the database all the same.
  bool end(Outcome outcome);

 private:
  friend class Cache;
  std::shared_ptr<void> guard_;
};

class Cache {
 public:
  using ReadDone = std::function<void(Result<Value>)>;
  using ReadManyDone = std::function<void(Result<std::vector<Value>>)>;
  // The version that the write gave the key.
  using WriteDone = std::function<void(Result<std::uint64_t>)>;
  // Whether the key was there.
  using EraseDone = std::function<void(Result<bool>)>;

  // Connects to storage and starts to acquire ownership of the keys (milliseconds; about a lease if another process died
  // with it). Until it has it, reads go to storage, nothing is cached, and writes fail at once with not_owner: a retry is
  // safe. From then on writes wait, within their deadlines, for the write guards that make them safe.
  // Errors: invalid_argument, unavailable (out of reach, or the directory is in use).
  static Result<std::unique_ptr<Cache>> open(const Options& options);
  // Gives ownership up, and answers every open call before it returns: with an error, unless storage was done with it.
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Linearizable hits, from memory only: no I/O, no allocation (but for try_pin), well under a microsecond. A miss is no
  // statement about the key. The buffer's content is undefined unless the answer is Hit::present.
  CopiedHit try_get(std::string_view key, std::span<char> buffer) const;
  // try_get of many keys, in any order and number: their waits for memory overlap. How many are hits (`result` of each says
  // what it found).
  std::size_t try_get_many(std::span<BatchedGet> gets) const;
  // Nullopt: a miss.
  std::optional<PinnedValue> try_pin(std::string_view key) const;

  // Reads, from memory where that keeps the promise, else from storage.
  // Errors: deadline_exceeded, unavailable, stale, busy, wrong_type (it is a hash; those above find nothing then).
  void get(std::string_view key, const ReadOptions& options, ReadDone done);
  std::future<Result<Value>> get(std::string_view key, const ReadOptions& options = {});

  // Reads many keys; misses travel together. Each value keeps its promise by itself; with Freshness::snapshot all are of one
  // moment, of whatever collections. Duplicates are allowed.
  void get_many(std::vector<std::string> keys, const ReadOptions& options, ReadManyDone done);
  std::future<Result<std::vector<Value>>> get_many(std::vector<std::string> keys, const ReadOptions& options = {});

  // A hash, whole. Errors: as of get(), but wrong_type if it is a string or a row.
  using HashDone = std::function<void(Result<Hash>)>;
  void get_hash(std::string_view key, const ReadOptions& options, HashDone done);
  std::future<Result<Hash>> get_hash(std::string_view key, const ReadOptions& options = {});

  // Session tokens, for reads that must include writes which others made: one that includes every write acknowledged before
  // the call; and waiting until every read includes what a token names. Errors: unsupported (no observed collections),
  // invalid_argument, deadline_exceeded, unavailable.
  std::future<Result<std::string>> token(std::chrono::milliseconds deadline = {});
  std::future<Result<void>> wait(std::string token, std::chrono::milliseconds deadline = {});

  // Guards rows of guarded tables for a transaction of your own, which may take as long as `limit`. Waits, within the
  // options' deadline, for whoever writes one of them. The transaction must be READ COMMITTED, and may not be a read-only
  // one. Errors: unsupported (a key that is no row of a guarded table), not_owner, deadline_exceeded, unavailable,
  // invalid_argument.
  std::future<Result<SqlGuard>> guard_sql(std::vector<std::string> keys, const WriteOptions& options = {},
                                          std::chrono::milliseconds limit = std::chrono::seconds(30));

  // The collections of Options::collections as they are to be from now on, while the cache serves them: what is said of
  // each may change, `writes` too, and what the catalog says of their tables is read anew. All or nothing. A sentence for
  // each that is another now. Errors: invalid_argument (other names than before), unsupported, busy (too many changes
  // wait), deadline_exceeded (writes under way did not end in time), unavailable.
  std::future<Result<std::vector<std::string>>> change_collections(const std::vector<Collection>& collections);

  // Drops cached data only. True if there was any. The next read asks storage.
  bool evict(std::string_view key);

  // Writes. Acknowledged means durable in storage and visible to every later read.
  // Errors: not_owner, guard_mismatch, deadline_exceeded, unavailable, busy (not applied: a retry is safe), out_of_range,
  // invalid_argument, unknown_outcome (it may have been applied: read before you retry).
  void put(std::string_view key, std::string_view bytes, const WriteOptions& options, WriteDone done);
  std::future<Result<std::uint64_t>> put(std::string_view key, std::string_view bytes, const WriteOptions& options = {});

  void erase(std::string_view key, const WriteOptions& options, EraseDone done);
  std::future<Result<bool>> erase(std::string_view key, const WriteOptions& options = {});

  // Writes only if the key is still at `version` (0: absent). Also fails with version_mismatch, naming the version found.
  void compare_and_set(std::string_view key, std::uint64_t version, std::string_view bytes, const WriteOptions& options,
                       WriteDone done);
  std::future<Result<std::uint64_t>> compare_and_set(std::string_view key, std::uint64_t version, std::string_view bytes,
                                                     const WriteOptions& options = {});

  // Adds to a decimal integer (an absent key counts as 0), in storage. The sum. Also fails with wrong_type, out_of_range.
  using IncrementDone = std::function<void(Result<std::int64_t>)>;
  // Without an expiry of its own it keeps the key's; every other write replaces it.
  void increment(std::string_view key, std::int64_t delta, const WriteOptions& options, IncrementDone done);
  std::future<Result<std::int64_t>> increment(std::string_view key, std::int64_t delta = 1,
                                              const WriteOptions& options = {});

  // Sets fields of a hash, or removes them; an absent key has none, and goes with its last. Reads and writes the hash with
  // other writers of the key kept out. How many fields are new, or were there. Without an expiry of its own it keeps the
  // key's. Errors: those of writes, wrong_type (it is a string or a row), and out_of_range (the hash would be too large).
  using FieldsDone = std::function<void(Result<std::size_t>)>;
  void set_fields(std::string_view key, Fields fields, const WriteOptions& options, FieldsDone done);
  std::future<Result<std::size_t>> set_fields(std::string_view key, Fields fields, const WriteOptions& options = {});
  void erase_fields(std::string_view key, std::vector<std::string> names, const WriteOptions& options, FieldsDone done);
  std::future<Result<std::size_t>> erase_fields(std::string_view key, std::vector<std::string> names,
                                                const WriteOptions& options = {});

 private:
  struct State;
  explicit Cache(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace freshet
