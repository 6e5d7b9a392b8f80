// A database that anybody may write and that tells what changed: the second interface of storage, for observed collections.
// DESIGN's section 4 in words that the consistency room understands; storage/postgres/observed implements it.
//
// Threading: everything, calls and callbacks, runs on the loop that the storage was opened with, and nothing blocks there.
// A callback never runs inside the call that it belongs to.
//
// May use base only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"
#include "storage/collection.h"
#include "storage/row.h"
#include "storage/snapshot.h"
#include "storage/storage.h"

namespace freshet::storage {

// What the change stream says about a collection. `key` is canonical and complete ("users:42").
struct Change {
  enum class Kind : std::uint8_t {
    put,     // The row is now `value` (storage/row.h).
    erase,   // There is no such row any more.
    drop,    // The key's value changed; what it is now, the stream does not say (unchanged TOAST, a query's result).
    all,     // Any key of the collection may have changed (TRUNCATE; a query that depends on a whole table).
  };
  Kind kind = Kind::drop;
  CollectionId collection = 0;
  std::string_view key;    // Both are valid during the call only.
  std::string_view value;
};

struct StreamStart {
  Identity identity;
  // Nothing is missing since the stream broke: the same slot, the same run of the same server. If false, whatever was cached
  // may be out of date, and what was held may never come.
  bool continuous = false;
  // Drawn (pg_current_xact_id()) once the stream was complete from some position on: earlier transactions may have committed
  // before that and not be visible yet, and the stream will never tell of them. A snapshot alone does not name them: it ends
  // with the newest transaction that has finished. 0: unknown.
  FullXid first_xid = 0;
};

// The follower's side of the stream. Transactions come whole, in the order of their commits.
class StreamListener {
 public:
  virtual void on_stream_started(const StreamStart& start) = 0;
  virtual void on_begin(Xid xid, Lsn commit) = 0;   // `commit`: where the commit record begins.
  virtual void on_change(const Change& change) = 0;
  virtual void on_commit(Xid xid, Lsn end) = 0;     // `end`: where it ends. The stream's position is there.
  virtual void on_position(Lsn received) = 0;       // A keepalive: nothing that was committed before is missing.
  // No change comes until the stream starts again, which the storage sees to by itself. A transaction that had begun and not
  // committed comes again from its begin.
  virtual void on_stream_broken(const std::string& why) = 0;
  // Part of a transaction, as changes are, if the storage was opened to tell of messages.
  virtual void on_message(std::string_view /*prefix*/, std::string_view /*content*/) {}
  // What stands behind the collections was looked up (again): at the beginning, and after a reload().
  virtual void on_described(const struct Description& description) = 0;

 protected:
  ~StreamListener() = default;
};

// Identifies the catalog rows on which the meaning of the stream and of the fills rests.
using Fingerprint = std::string;

struct CollectionDescription {
  // Set: the collection cannot be served, and why and what to do (its table was dropped, its privileges are gone, …).
  std::optional<Error> fault;
  RowShapeRef shape;                  // Null with a fault.
  Fingerprint fingerprint;            // Of what concerns this collection. Unchanged: cached entries may stay.
  std::string depends_on;             // For people: "app.users by its primary key (id)"; "any change of orders, customers".
};

struct Description {
  std::vector<CollectionDescription> collections;  // By CollectionId.
  Fingerprint fingerprint;            // As probes give it, at the moment of the description.
  std::uint64_t revision = 0;         // How many calls of describe() came before it was looked up.
  // A position taken after every table was published: the stream is complete for them once it has passed it.
  Lsn published = 0;
  // Drawn after that, for the same reason as StreamStart's. 0: unknown.
  FullXid first_xid = 0;
};

struct ProbeReply {
  Snapshot snapshot;
  Lsn position = 0;        // Every commit that the snapshot shows lies before it.
  Fingerprint fingerprint;
  Identity identity;
};

struct FilledValue {
  // Set: nothing was read for this key (its spelling is not canonical, a part is no value of its column's type, …).
  std::optional<Error> error;
  bool present = false;    // A query's result is always present, if only with no rows.
  std::string value;       // storage/row.h
  bool unsettled = false;  // The row carries the mark of a transaction that locked or changed it (xmax is not 0).
};

struct FillReply {
  // Set: nothing was read, because the schema is no longer as it was described. on_described follows.
  std::optional<Error> outdated;
  std::vector<FilledValue> values;  // In the order of the keys.
  Snapshot snapshot;
  Lsn position = 0;                 // At or past every commit that the snapshot shows.
  Identity identity;
};

// What the operator should know of the stream.
struct StreamStatus {
  bool streaming = false;
  std::string slot;
  std::string publication;
  std::string detail;              // One sentence for people.
  std::uint64_t reconnects = 0;
  std::uint64_t slots_lost = 0;    // Slots that were gone, given up, or invalid.
  std::uint64_t transactions = 0;
  std::uint64_t row_changes = 0;
};

class ObservedStorage {
 public:
  virtual ~ObservedStorage() = default;  // On the loop's thread. Open calls are answered with errors.

  // Looks up what stands behind the collections and starts the stream, once; both go on by themselves. The listener hears
  // on_described before the first on_stream_started.
  virtual void follow(StreamListener& listener) = 0;
  // Everything that begins before `position` has been taken care of: the server may forget it.
  virtual void confirm(Lsn position) = 0;
  // Looks everything up again, because a probe's fingerprint differed. on_described follows.
  virtual void reload() = 0;

  // Other collections than before, by their ids: at least as many. One without a table and a query rests: it is not
  // followed, and its description has a fault. Looks everything up again; on_described follows.
  virtual void describe(std::vector<CollectionSpec> specs) = 0;

  // Asks the primary what is visible now.
  virtual void probe(base::Nanoseconds deadline, Callback<ProbeReply> done) = 0;
  // Makes the log's end flush and reach the stream soon, by committing an empty transaction with a message.
  virtual void nudge() = 0;
  // Reads keys of one collection in one statement, with one snapshot. At most kFillKeysMax. The collection has no fault.
  virtual void fill(CollectionId collection, std::vector<std::string> keys, base::Nanoseconds deadline,
                    Callback<FillReply> done) = 0;
  // Reads keys of any collections as of one snapshot: one statement, or one REPEATABLE READ transaction.
  virtual void fill_together(std::vector<std::pair<CollectionId, std::string>> keys, base::Nanoseconds deadline,
                             Callback<FillReply> done) = 0;
  // A position of the log behind everything that was committed before the call.
  virtual void position(base::Nanoseconds deadline, Callback<std::pair<Identity, Lsn>> done) = 0;

  // Whether probes give the log's insert position, which only a nudge brings into the stream (databases whose writers commit
  // asynchronously); else the flush position.
  virtual bool probes_insert_position() const = 0;
  virtual StreamStatus status() const = 0;

  static constexpr std::size_t kFillKeysMax = 256;
};

}  // namespace freshet::storage
