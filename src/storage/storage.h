// The databases behind the cache, as the rooms above see them: one small asynchronous interface.
//
// Every call returns at once. Its callback runs exactly once, on a thread of the storage (or on the caller's before the call
// returns, if the answer is known at once), no later than shortly after the deadline, and must not block. Calls are safe
// from any thread. A storage that is destroyed first answers every open call with an error.
//
// May use base only. Implementations: storage/embedded (RocksDB), storage/postgres.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "base/value_kind.h"
#include "freshet/error.h"
#include "freshet/result.h"
#include "storage/row_collections.h"

namespace freshet::storage {

// Versions grow and never repeat for a key, across deletes too. 0: no version (the key was never written, or its tombstone
// has been forgotten).
using Version = std::uint64_t;
using Token = base::UniqueId;
using OperationId = base::UniqueId;
using ValueKind = base::ValueKind;

// The longest key, and the longest value (Redis's own limit).
inline constexpr std::size_t kKeyBytesMax = 8 * 1024;
inline constexpr std::size_t kValueBytesMax = 512ull * 1024 * 1024;
// The most keys in one read or one write call; callers with more split them.
inline constexpr std::size_t kBatchKeysMax = 1024;

// Where a key stands in storage's order: its slot, then 48 bits of its hash, so that a scan and a slice are index ranges.
// Below 2^62.
std::uint64_t position_of(std::string_view key);
inline std::uint64_t first_position_of(base::Slot slot) { return static_cast<std::uint64_t>(slot) << 48; }
inline constexpr std::uint64_t kPositionEnd = static_cast<std::uint64_t>(base::kSlots) << 48;

// What storage holds for a key. A tombstone (present = false, version > 0) remembers the version and the operation of a
// delete. A record whose expires_at_ms has passed is still present until it is removed (MutationKind::expire).
struct KeyState {
  bool present = false;
  std::string value;
  Version version = 0;
  OperationId operation;             // The write that made this state; nil if unknown.
  std::int64_t expires_at_ms = 0;    // Milliseconds since 1970 by the database's clock; 0: never.
  ValueKind kind = ValueKind::string;  // Of `value`; a key that is absent has none, which is said as string.
};

// wrong_type: the key holds a value of another kind than the operation is for. Its text is Redis's, by which
// is_wrong_kind() tells it from wrong_type for a string that is no number.
Error wrong_kind();
bool is_wrong_kind(const Error& error);

struct ReadReply {
  std::vector<KeyState> states;   // In the order of the keys asked.
  std::int64_t database_ms = 0;   // The database's clock while it read (ms since 1970); 0 if every key has a fault.
  // What is wrong with single keys, by place (rows: a part is no value of its column's type, or not spelt canonically).
  // Their states say nothing.
  std::vector<std::pair<std::size_t, Error>> faults = {};
};

// Where a live value is a hash, increment and append are wrong_type, and so is whatever wants the state before.
// A row's keys know three kinds of their own forms: put replaces the shown columns by `cells` (those that are not named get
// their defaults), erase deletes the row, and change; touch and expire need a declared column.
enum class MutationKind : std::uint8_t {
  put,        // value := `value`.
  erase,      // Removes the key, leaving a tombstone.
  increment,  // value := decimal(value or 0, plus `delta`); wrong_type if it is no 64-bit decimal, out_of_range on overflow.
  append,     // value := value + `value`; out_of_range past kValueBytesMax.
  touch,      // Changes the expiry only; the key must be present.
  expire,     // Removes the key if its deadline has passed by the database's clock; else nothing, and not applied.
  change,     // Rows only: changes the columns that `cells` names. A missing row is inserted, its other columns by default.
};

// What becomes of one column of a row.
struct Cell {
  enum class Kind : std::uint8_t {
    set,          // := `text`, as PostgreSQL's input functions take it.
    set_if_null,  // The same if it is NULL; else the whole mutation is not applied.
    clear,        // := NULL.
    add,          // := itself, or 0, plus the number `text`.
  };
  std::string column;  // As clients see it.
  Kind kind = Kind::set;
  std::string text = {};
};

enum class Condition : std::uint8_t { none, if_absent, if_present, if_version };

// A present record whose deadline has passed by the database's clock counts as absent in every condition (if_version 0 too),
// and as an empty start without a deadline for increment and append.
struct Expiry {
  enum class Mode : std::uint8_t { keep, clear, at, after };
  Mode mode = Mode::clear;
  std::int64_t ms = 0;  // at: since 1970 by the database's clock; after: from the moment of the write, by that clock.
};

struct Mutation {
  MutationKind kind = MutationKind::put;
  std::string key;
  std::string value;
  ValueKind value_kind = ValueKind::string;  // Of a put's `value`; increment and append make strings, touch leaves the kind.
  std::vector<Cell> cells;      // Of a row, instead of `value`: at least one, distinct columns.
  std::int64_t delta = 0;
  Condition condition = Condition::none;
  Version version = 0;          // For if_version; 0 means "absent".
  Expiry expiry;                // put, increment, append, touch. increment and append usually keep.
  // Return the state before (SET … GET, GETDEL): a string. A live value of another kind is wrong_type, whatever the
  // condition.
  bool want_before = false;
  // Of a row: whether it is there, as far as the caller knows. A guess, which saves a round trip if it is right.
  std::optional<bool> was_present = {};
  Token token;                  // The guard that the write was issued under.
};

struct MutationOutcome {
  // False: the condition failed, or `expire` found nothing due. An unconditional erase of an absent key is applied: it
  // leaves a tombstone.
  bool applied = false;
  KeyState after;                    // What storage holds now (applied or not), value included: see after_known.
  // If asked for; of a row that was inserted, always. A record past its deadline shows as absent here, with its version: the
  // caller cannot judge by the write's own clock.
  std::optional<KeyState> before;
  bool after_known = true;           // False: nobody looked what it holds.
};

// A key that a transaction has read, and under which guard it still is what it was.
struct CheckedKey {
  std::string key;
  Token token;
};

// A write of one or more keys (at most kBatchKeysMax; distinct, but for rows, whose mutations are made in their order): one
// transaction. Every token is checked; if one does not match nothing is applied and the call fails with guard_mismatch.
struct WriteRequest {
  std::vector<Mutation> mutations;
  // Checked like the mutations' own tokens. Their rows have not passed, where a table is sealed: a trigger that changed one
  // would change what stays cached.
  std::vector<CheckedKey> also;
  OperationId operation;             // Fresh for each logical write; the same when a write is sent again.
  bool all_or_nothing = false;       // If one condition fails, no mutation is applied (MSETNX).
  base::Nanoseconds deadline = base::kForever;  // On base::now()'s clock.
};

// One result a mutation: wrong_type and out_of_range concern one key and leave the others applied; with all_or_nothing
// nothing is applied then, and the other keys say so.
using WriteReply = std::vector<Result<MutationOutcome>>;

struct ScanReply {
  struct Key {
    std::string key;
    std::int64_t expires_at_ms = 0;
    ValueKind kind = ValueKind::string;
  };
  std::vector<Key> keys;               // Present keys in the order of their positions.
  std::uint64_t next = kPositionEnd;   // Where the next call goes on; kPositionEnd: the end was reached.
  std::int64_t database_ms = 0;
};

// Which database answers. Any change of it may bring back an older state: caches and guards made before are void.
struct Identity {
  std::string system;      // PostgreSQL: the system identifier. Embedded: the id of the directory.
  std::string timeline;    // PostgreSQL: eight hex digits.
  std::string started_at;  // PostgreSQL: pg_postmaster_start_time(); freshet.identity() adds its shared memory's.
  friend bool operator==(const Identity&, const Identity&) = default;
};

struct Health {
  Identity identity;
  bool writable = false;
  std::int64_t database_ms = 0;
};

struct KeyCount {
  std::uint64_t keys = 0;
  bool exact = false;
};

struct Tombstone {
  std::string key;
  Version version = 0;
};

// Transactions of plain SQL that ask, in the database, to write rows (freshet.pass), and wait until the owner has heard
// them: docs/CONSISTENCY-ROWS.md. Their numbers grow as they come, and say something of one server's life only.
struct PassRequests {
  std::uint64_t number = 0;  // Every request up to this one whose transaction still lives is on one of `cells`.
  std::string server;        // Which life of which server.
  std::optional<std::vector<int>> cells = {};  // Nullopt: nothing was asked since, and nobody looked.
};

// An owner's word on the requests up to a number: what they may write, of these cells, is not cached until they end.
struct PassesHeard {
  std::vector<int> cells;
  std::uint64_t number = 0;
  std::string server;
  std::uint64_t period = 0;  // Of the ownership in which it is given: it is void in any other.
};

template <typename T>
using Callback = std::function<void(Result<T>)>;

class Storage {
 public:
  virtual ~Storage() = default;

  // The states of up to kBatchKeysMax keys (duplicates allowed), each as of some moment between call and callback.
  // Errors: unavailable, busy, deadline_exceeded, corrupted, out_of_range (the values together are too large for one call).
  virtual void read(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<ReadReply> done) = 0;

  // Errors: guard_mismatch, busy, unavailable, deadline_exceeded (none of them applied anything), invalid_argument, and
  // unknown_outcome: sent, and no answer; it may have been applied or may still be, until set_guard replaces its token.
  virtual void write(WriteRequest request, Callback<WriteReply> done) = 0;

  // Replaces the token of a range of slots, and waits for the writes in flight there: after success no write issued under an
  // older token can be applied. On any error nothing may be concluded: parts of the range may carry the token.
  // `token` must be fresh for every call, retries included.
  virtual void set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) = 0;

  // Up to `limit` present keys from `position` on; does bounded work by index. Keys of one position are never split between
  // two calls, so a reply may hold a few more than `limit`. It may hold fewer (tombstones) without being the end.
  virtual void scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline, Callback<ScanReply> done) = 0;

  // How many keys are present: exact while there are few, an estimate beyond.
  virtual void count(base::Nanoseconds deadline, Callback<KeyCount> done) = 0;

  // Up to `parts` - 1 slots that divide the keys of `range` into parts of about the same number: each begins a part. Fewer,
  // or none, where the keys do not allow it.
  virtual void split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                            Callback<std::vector<base::Slot>> done) = 0;

  // Drops tombstones that no operation in flight can need any more, each if still at that version. Best effort.
  virtual void forget(std::vector<Tombstone> tombstones) = 0;

  virtual void health(base::Nanoseconds deadline, Callback<Health> done) = 0;

  // The SQL statement that lets a transaction of somebody else's pass these guards, of rows of guarded tables: its first,
  // on a connection of his own. Errors: unsupported, invalid_argument.
  virtual Result<std::string> guard_statement(const std::vector<CheckedKey>& /*keys*/) const {
    return Error::of(ErrorCode::unsupported, "this storage has no tables that are guarded", "use PostgreSQL");
  }

  // The requests that stand. Unless some stood at the last call (`standing`), they are looked for only if any came since
  // then.
  // Errors: unsupported, and those of reads.
  virtual void pass_requests(const PassRequests& /*known*/, bool /*standing*/, base::Nanoseconds /*deadline*/,
                             Callback<PassRequests> done) {
    done(Error::of(ErrorCode::unsupported, "this storage has no writers of its own"));
  }
  virtual void acknowledge_passes(const PassesHeard& /*heard*/, base::Nanoseconds /*deadline*/, Callback<void> done) {
    done(Error::of(ErrorCode::unsupported, "this storage has no writers of its own"));
  }

  // The tables whose rows are read and written here beside the key-value pairs, as they are now; null: there are none, and
  // will be none. Every answer is valid as long as the storage.
  virtual const RowCollections* rows() const { return nullptr; }

  // Guarded tables while the storage runs. These block, for as long as other writers of the tables do; one call at a time.
  //
  // The guarded ones among `specs` are planned and sealed. What is returned, once called, makes them what rows() tells; the
  // caller sees to it that no guard from before counts after that: a set_guard looks at the seals of what rows() tells when
  // it begins. Those of before that are not among them are retired then: the caller sees to it that nobody begins anything
  // on their rows, and what was begun goes on. `period`: of this node's lease; 0: it has none, and no seal is touched.
  // Errors: those of opening. Tables may have been sealed then.
  struct RowChange {
    std::vector<CollectionSpec> specs;
    std::uint64_t period = 0;
    bool lenient = false;  // A collection that cannot be planned goes by what it was, and that is logged.
  };
  virtual Result<std::function<void()>> guard_rows(const RowChange& /*change*/) {
    return Error::of(ErrorCode::unsupported, "this storage has no tables that are guarded", "use PostgreSQL");
  }
  // Takes the seal that was made for a collection from its table, if it is there, once nobody serves its rows as guarded
  // ones. Errors: unavailable, unsupported (with the SQL for the owner).
  virtual Result<void> unseal_rows(const CollectionSpec& /*spec*/, std::uint64_t /*period*/) { return {}; }
  // Called, on a thread of the storage, when guard_rows() should be called again: the catalog has changed, or a seal has
  // gone. False: nobody does so now, and it is called again later. At most one listener.
  virtual void on_rows_outdated(std::function<bool()> /*listener*/) {}
};

}  // namespace freshet::storage
