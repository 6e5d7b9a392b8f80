// ReplicationStream's inside: the steps of a start, the stream, and what is remembered from one connection to the next.
// On the loop's thread. May use what replication_stream.h may.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "storage/postgres/backoff.h"
#include "storage/postgres/stream/confirmation.h"
#include "storage/postgres/stream/replication_stream.h"
#include "storage/postgres/stream/slot.h"
#include "storage/postgres/stream/wal_connection.h"

namespace freshet::storage::postgres {

class ReplicationStream::Session final : public WalConnection::Observer {
 public:
  Session(net::Loop& loop, StreamOptions options, StreamHandler& handler);
  ~Session();

  void confirm(Lsn position);
  void give_up(const std::string& why);
  ReplicationStatus status() const;

 private:
  enum class Step : std::uint8_t {
    waiting, connecting, identifying, looking, ending_old, dropping, creating, numbering, starting, streaming
  };

  void on_connected() override;
  void on_result(Rows rows) override;
  void on_data(std::string_view data) override;
  void on_closed(const std::string& why, const std::string& state) override;

  void connect();
  void enter(Step step, const std::string& sql, std::string detail);
  void take_identity(const PGresult* rows);
  void take_facts(const PGresult* rows);
  void forget(Lsn confirmed);
  void take_next_step(const ServerFacts& facts);
  void create_slot();
  void take_created(const PGresult* rows);
  void draw_xid();
  void take_xid(const PGresult* rows);
  void start();
  void started();
  void take(const pgoutput::Message& message);
  void take(const pgoutput::Keepalive& keepalive);
  void arm_status();
  void send_status();
  void check_silence();

  net::Loop& loop_;
  const StreamOptions options_;
  const ConnectionParameters parameters_;
  StreamHandler& handler_;
  net::Timer step_timer_;      // The next attempt, or the end of a step that takes too long.
  net::Timer status_timer_;
  net::Timer silence_timer_;
  std::unique_ptr<WalConnection> connection_;
  pgoutput::Decoder decoder_;
  Backoff backoff_;
  Step step_ = Step::waiting;
  ReplicationStatus status_;

  // Of this connection.
  Identity identity_;
  std::string memory_since_;   // Of the server: see kMemorySinceSql.
  base::Nanoseconds sender_timeout_ = 0;
  base::Nanoseconds silence_max_ = 0;
  base::Nanoseconds silence_checked_ = 0;
  base::Nanoseconds started_at_ = 0;
  base::Nanoseconds status_armed_ = base::kForever;
  bool status_wants_answer_ = false;
  bool continuous_ = false;
  FullXid first_xid_ = 0;
  bool skipping_ = false;      // Inside a transaction that was received before the stream broke.
  ShutdownSign shutdown_;

  // From one connection to the next.
  std::optional<Identity> last_identity_;  // Of the last connection that streamed.
  std::string last_memory_since_;
  SlotMemory memory_;
  bool holds_slot_ = false;    // The slot is this stream's, as far as it knows: to be dropped at the end.
  bool new_slot_ = false;      // Created, and not yet streamed from.
  Confirmation confirmation_;
  Lsn last_commit_end_ = 0;
};

}  // namespace freshet::storage::postgres
