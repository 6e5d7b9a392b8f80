// The change stream of one PostgreSQL primary, through a logical replication slot and a publication: connects, sees to the
// slot, hands on decoded messages as they come, confirms, and connects again by itself, for ever, with jittered backoff.
// DESIGN section 4, "Start, reconnect, crash".
//
// Everything happens on the loop's thread and nothing blocks there, but the destructor (see there). Nothing is accumulated:
// a transaction of any size passes through message by message, and what the handler does not take waits in the server.
// May use libpq, net and storage/postgres.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "freshet/result.h"
#include "net/loop.h"
#include "storage/postgres/history.h"
#include "storage/postgres/libpq.h"
#include "storage/postgres/stream/pgoutput.h"
#include "storage/snapshot.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

struct StreamOptions {
  // The primary's; the stream adds replication=database and the output settings (output_settings.h).
  ConnectionParameters parameters;
  std::string publication;
  // 1 to 63 of a-z, 0-9 and _.
  std::string slot;
  // Of pg_logical_emit_message(), too.
  bool messages = false;
  // True: the slot is created if missing, made again if it is invalid, and dropped at the end. False: the operator owns it;
  // it is never created or dropped.
  bool managed = true;
  // A managed slot is dropped by the destructor: a cache starts cold.
  bool drop_on_stop = true;
  // A managed slot that stands from before is used again if what it retains is no more; else it is made again.
  std::uint64_t reuse_lag_bytes_max = 64ull * 1024 * 1024;
  // Shared with the connections that must not fall back behind an old primary; may be null.
  std::shared_ptr<History> history;

  // For each step of a connection but the creation of a slot, which waits for the transactions that run.
  base::Nanoseconds step_timeout = 5 * base::kSecond;
  // Silence of the server after which the connection is given up. Three quarters of wal_sender_timeout at least: so long may
  // a server be silent while it decodes a transaction of which nothing is published.
  base::Nanoseconds silence_max = 15 * base::kSecond;
  base::Nanoseconds backoff_min = 20 * base::kMillisecond;
  base::Nanoseconds backoff_max = 2 * base::kSecond;
};

struct Started {
  Identity identity;
  // Nothing is missing since the stream broke: the same system, timeline, run of the server (another one begins with a crash
  // too, which the identity need not show) and slot. If false, positions
  // and xids of before mean nothing any more. Found by looking at the slot just before the start: another program that
  // moves or remakes a slot which is not its own in that very moment goes unseen.
  bool continuous = false;
  bool new_slot = false;  // It was created just now: transactions that were already committing may never be delivered.
  // Of a transaction that began once the slot stood: those that may never be delivered come before it. Only set if the start
  // is not continuous.
  FullXid first_xid = 0;
};

// Called on the loop's thread, never inside a call of the stream's.
class StreamHandler {
 public:
  virtual void on_started(const Started& started) = 0;
  // Valid during the call only. Begin, changes and Commit of transactions one after the other, by commit. Relation and Type
  // may also come outside of a transaction: theirs was received before the stream broke, and is skipped. After on_broken a
  // transaction that was not committed comes again from its Begin.
  virtual void on_message(const pgoutput::Message& message) = 0;
  // A keepalive moved the position: everything that was committed before it has been handed on. (A Commit moves it to its
  // end without this call.)
  virtual void on_position(Lsn received) = 0;
  // The stream, which had started, has ended; it is started again.
  virtual void on_stream_broken(const std::string& why) = 0;
  // An attempt to start it failed and will be made again. The reason stands in status() too.
  virtual void on_start_failed(const std::string& why) = 0;

 protected:
  ~StreamHandler() = default;
};

struct ReplicationStatus {
  bool streaming = false;
  std::string detail;              // What it does or waits for, in one sentence for people.
  Lsn received = 0;                // 0 until the first commit or keepalive after a start that is not continuous.
  Lsn confirmed = 0;
  std::uint64_t reconnects = 0;    // Starts after the first.
  std::uint64_t slots_created = 0;
  std::uint64_t slots_lost = 0;    // Slots that were gone, invalid, too far behind, or given up.
  std::uint64_t transactions = 0;  // Handed on.
  std::uint64_t row_changes = 0;
  std::uint64_t bytes = 0;
};

class ReplicationStream {
 public:
  // What is wrong with the names, if anything.
  static Result<void> check(const StreamOptions& options);

  // Begins to connect. The options have passed check(). Made, used and destroyed on the loop's thread.
  ReplicationStream(net::Loop& loop, StreamOptions options, StreamHandler& handler);
  // The handler hears nothing more. Drops the slot where that is wanted, on a connection of its own, which blocks the loop
  // for at most kDropMax: the one call here that does.
  ~ReplicationStream();
  ReplicationStream(const ReplicationStream&) = delete;
  ReplicationStream& operator=(const ReplicationStream&) = delete;

  // The server may forget what was committed before `position`: nothing of it is needed any more, nor will be after a
  // restart. Positions beyond what was received in this run of the server count only as far as that. Cheap: call it as it
  // moves.
  void confirm(Lsn position);

  // Ends the stream and drops a managed slot, because the log that it retains grows too large: the stream starts again,
  // not continuous, with a new one. Nothing if the slot is not managed.
  void give_up(const std::string& why);

  ReplicationStatus status() const;

  static constexpr base::Nanoseconds kDropMax = 3 * base::kSecond;

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace freshet::storage::postgres
