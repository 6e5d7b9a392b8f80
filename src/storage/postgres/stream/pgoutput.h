// PostgreSQL's logical replication messages: the output plugin `pgoutput`, protocol version 1, and the envelope that carries
// them. A pure decoder: what it returns are views into the message's bytes and into vectors that it uses again, so both are
// valid until its next call. Cut or unknown input gives an error that says what is wrong and at which byte.
//
// May use storage's words and libpq's Oid.
// https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html
// https://www.postgresql.org/docs/15/protocol-replication.html
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "freshet/result.h"
#include "storage/snapshot.h"

namespace freshet::storage::postgres::pgoutput {

// Microseconds since 2000-01-01 by the server's clock. For people only: it may step.
using ServerTime = std::int64_t;

struct Begin {
  Lsn commit = 0;  // Where the commit record begins.
  ServerTime committed_at = 0;
  Xid xid = 0;     // The top-level transaction's.
};

struct Commit {
  Lsn commit = 0;
  Lsn end = 0;     // Where the commit record ends: the stream's position.
  ServerTime committed_at = 0;
};

struct Origin {
  Lsn commit = 0;
  std::string_view name;
};

struct RelationColumn {
  bool key = false;  // Part of the replica identity.
  std::string_view name;
  Oid type = 0;
  std::int32_t modifier = -1;
};

// Comes before the first change of a table in a session, and again with the first change after its definition changed.
struct Relation {
  Oid id = 0;
  std::string_view schema;  // "pg_catalog" comes as the empty text, and is given as such.
  std::string_view name;
  char identity = 'd';      // pg_class.relreplident: d(efault), n(othing), f(ull), i(ndex).
  std::span<const RelationColumn> columns;
};

struct Type {
  Oid id = 0;
  std::string_view schema;
  std::string_view name;
};

struct Cell {
  enum class Kind : std::uint8_t {
    null,
    unchanged,  // A TOASTed value that the update did not touch: not sent.
    text,
    binary,     // Only with the option `binary`, which the stream here never asks for.
  };
  Kind kind = Kind::null;
  std::string_view bytes;
};
// In the order of the relation's columns.
using Row = std::span<const Cell>;

// What of the row before a change was sent.
enum class Old : std::uint8_t {
  none,
  key,   // The replica identity's columns; the others are null.
  full,  // Every column (REPLICA IDENTITY FULL).
};

struct Insert {
  Oid relation = 0;
  Row row;
};

struct Update {
  Oid relation = 0;
  Old old = Old::none;  // key: the key changed, or holds TOASTed columns.
  Row old_row;
  Row row;
};

struct Delete {
  Oid relation = 0;
  Old old = Old::key;
  Row old_row;
};

struct Truncate {
  bool cascade = false;
  bool restart_identity = false;
  std::span<const Oid> relations;
};

// pg_logical_emit_message(). Only with the option `messages`.
struct LogicalMessage {
  bool transactional = false;
  Lsn position = 0;
  std::string_view prefix;
  std::string_view content;
};

using Message = std::variant<Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, LogicalMessage>;

// A relation has at most 1600 columns (MaxTupleAttributeNumber is 1664), and a cell at most 1 GB.
inline constexpr std::size_t kColumnsMax = 1664;
// Tables of one TRUNCATE: a bound on what a broken length can make of us.
inline constexpr std::size_t kTruncatedMax = 1'000'000;

class Decoder {
 public:
  Result<Message> decode(std::string_view message);

 private:
  std::vector<Cell> cells_;
  std::vector<Cell> old_cells_;
  std::vector<RelationColumn> columns_;
  std::vector<Oid> relations_;
};

// The envelope: what CopyData messages of a replication session carry.
struct WalData {
  Lsn start = 0;
  Lsn end = 0;   // Of the server's log, not of this message.
  ServerTime sent_at = 0;
  std::string_view message;
};

struct Keepalive {
  Lsn end = 0;   // Everything that was committed before it has been sent.
  ServerTime sent_at = 0;
  bool reply_requested = false;
};

using Envelope = std::variant<WalData, Keepalive>;
Result<Envelope> open_envelope(std::string_view data);

// A standby status update that gives `confirmed` as written, flushed and applied.
std::string encode_status(Lsn confirmed, ServerTime now, bool ask_for_reply);

}  // namespace freshet::storage::postgres::pgoutput
