// The replication slot and what stands around it: the statement that looks, what its answer means, and the commands. Pure
// but for drop_slot(). May use libpq.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "storage/postgres/libpq.h"
#include "storage/postgres/stream/replication_stream.h"
#include "storage/snapshot.h"

namespace freshet::storage::postgres {

// What the server says before the stream starts.
struct ServerFacts {
  bool standby = false;
  std::string started_at;
  std::string timeline;                   // Empty: a standby's.
  std::string memory_since;               // kMemorySinceSql: differs after every crash.
  base::Nanoseconds sender_timeout = 0;   // wal_sender_timeout; 0: none.
  bool publication_exists = false;
  bool slot_exists = false;
  bool slot_usable = false;               // A logical one of pgoutput's, of this database.
  bool slot_lost = false;                 // The log that it needs is gone.
  int slot_process = 0;                   // Who reads it; 0: nobody.
  Lsn slot_confirmed = 0;
  std::uint64_t slot_lag_bytes = 0;       // The log that it retains.
};

std::string facts_sql(const StreamOptions& options);
Result<ServerFacts> read_facts(const PGresult* rows);

// What the stream remembers of its slot.
struct SlotMemory {
  bool started = false;       // The stream has started with it in this process.
  bool give_up = false;       // It is to be made again.
  int last_process = 0;       // The server process of this stream's last session.
};

struct SlotStep {
  enum class Kind : std::uint8_t { start, create, drop, end_old_session, fail };
  Kind kind = Kind::fail;
  std::string why;            // Of a drop, and of a failure.
};
SlotStep next_step(const StreamOptions& options, const ServerFacts& facts, const SlotMemory& memory);

std::string create_slot_command(const StreamOptions& options);
std::string drop_slot_command(const StreamOptions& options, bool wait);
// From `from`, or from where the slot was confirmed if that is later.
std::string start_command(const StreamOptions& options, Lsn from);
// Ends a session of this stream that still holds the slot because the server has not noticed its end.
std::string end_session_sql(const StreamOptions& options, int process);

// Drops the slot on a connection of its own, ending `own_process` if that still holds it. Blocks, until `deadline` at most.
Result<void> drop_slot(const ConnectionParameters& parameters, const StreamOptions& options, int own_process,
                       base::Nanoseconds deadline);

}  // namespace freshet::storage::postgres
