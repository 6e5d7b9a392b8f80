// Reading fields with their bounds checked, then each kind of message as the manual lists it.
#include "storage/postgres/stream/pgoutput.h"

#include <fmt/format.h>

#include <cstring>

namespace freshet::storage::postgres::pgoutput {
namespace {

constexpr std::size_t kWalDataHeaderBytes = 25;

// Reads big-endian fields from the front. The first fault is kept; after it every field reads as nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Integer>
  Integer integer() {
    if (bytes_.size() - at_ < sizeof(Integer)) {
      fail("is cut inside a number");
      return 0;
    }
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      value = static_cast<Integer>(value << 8 | static_cast<unsigned char>(bytes_[at_ + i]));
    }
    at_ += sizeof(Integer);
    return value;
  }
  std::uint8_t byte() { return integer<std::uint8_t>(); }
  std::uint16_t two() { return integer<std::uint16_t>(); }
  std::uint32_t four() { return integer<std::uint32_t>(); }
  std::uint64_t eight() { return integer<std::uint64_t>(); }
  ServerTime time() { return static_cast<ServerTime>(eight()); }

  // Up to a zero byte, which is read too.
  std::string_view text() {
    const auto rest = bytes_.substr(at_);
    const auto* end = rest.empty() ? nullptr : static_cast<const char*>(std::memchr(rest.data(), 0, rest.size()));
    if (end == nullptr) {
      fail("is cut inside a name");
      return {};
    }
    const auto length = static_cast<std::size_t>(end - rest.data());
    at_ += length + 1;
    return rest.substr(0, length);
  }

  // A length and as many bytes.
  std::string_view counted() {
    const std::size_t length = four();
    if (length > bytes_.size() - at_) {
      fail("is cut inside a value, or its length is wrong");
      return {};
    }
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  std::string_view rest() { return bytes_.substr(std::exchange(at_, bytes_.size())); }

  void fail(const char* what) {
    if (fault_ != nullptr) return;
    fault_ = what;
    fault_at_ = at_;
    at_ = bytes_.size();
  }
  // The last byte read is not one that may stand there.
  void fail_at_last(const char* what) {
    if (fault_ == nullptr) --at_;
    fail(what);
  }
  bool failed() const { return fault_ != nullptr; }
  void expect_end() {
    if (at_ != bytes_.size()) fail("has bytes after its end");
  }

  Error error(const char* kind) const {
    return Error::of(ErrorCode::corrupted, fmt::format("the change stream's {} message {}, at byte {} of {}", kind, fault_,
                                                       fault_at_, bytes_.size()),
                     "Is the server a PostgreSQL of version 14 or later?");
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  const char* fault_ = nullptr;
  std::size_t fault_at_ = 0;
};

Row read_row(Reader& reader, std::vector<Cell>& cells) {
  const std::size_t columns = reader.two();
  if (columns > kColumnsMax) reader.fail("has more columns than a table can have");
  cells.clear();
  for (std::size_t i = 0; i < columns && !reader.failed(); ++i) {
    switch (reader.byte()) {
      case 'n': cells.push_back({Cell::Kind::null, {}}); break;
      case 'u': cells.push_back({Cell::Kind::unchanged, {}}); break;
      case 't': cells.push_back({Cell::Kind::text, reader.counted()}); break;
      case 'b': cells.push_back({Cell::Kind::binary, reader.counted()}); break;
      default: reader.fail_at_last("has a column of unknown kind");
    }
  }
  return cells;
}

void expect_new_row(Reader& reader, std::uint8_t mark) {
  if (mark != 'N') reader.fail_at_last("has no new row where one must stand");
}

Message read_begin(Reader& reader) {
  Begin begin;
  begin.commit = reader.eight();
  begin.committed_at = reader.time();
  begin.xid = reader.four();
  return begin;
}

Message read_commit(Reader& reader) {
  if (reader.byte() != 0) reader.fail_at_last("has flags that are not known");
  Commit commit;
  commit.commit = reader.eight();
  commit.end = reader.eight();
  commit.committed_at = reader.time();
  return commit;
}

Message read_origin(Reader& reader) {
  Origin origin;
  origin.commit = reader.eight();
  origin.name = reader.text();
  return origin;
}

Message read_relation(Reader& reader, std::vector<RelationColumn>& columns) {
  Relation relation;
  relation.id = reader.four();
  relation.schema = reader.text();
  relation.name = reader.text();
  relation.identity = static_cast<char>(reader.byte());
  const std::size_t count = reader.two();
  if (count > kColumnsMax) reader.fail("has more columns than a table can have");
  columns.clear();
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    auto& column = columns.emplace_back();
    column.key = (reader.byte() & 1) != 0;
    column.name = reader.text();
    column.type = reader.four();
    column.modifier = static_cast<std::int32_t>(reader.four());
  }
  relation.columns = columns;
  return relation;
}

Message read_type(Reader& reader) {
  Type type;
  type.id = reader.four();
  type.schema = reader.text();
  type.name = reader.text();
  return type;
}

Message read_insert(Reader& reader, std::vector<Cell>& cells) {
  Insert insert;
  insert.relation = reader.four();
  expect_new_row(reader, reader.byte());
  insert.row = read_row(reader, cells);
  return insert;
}

Message read_update(Reader& reader, std::vector<Cell>& cells, std::vector<Cell>& old_cells) {
  Update update;
  update.relation = reader.four();
  auto mark = reader.byte();
  if (mark == 'K' || mark == 'O') {
    update.old = mark == 'K' ? Old::key : Old::full;
    update.old_row = read_row(reader, old_cells);
    mark = reader.byte();
  }
  expect_new_row(reader, mark);
  update.row = read_row(reader, cells);
  return update;
}

Message read_delete(Reader& reader, std::vector<Cell>& old_cells) {
  Delete erased;
  erased.relation = reader.four();
  const auto mark = reader.byte();
  if (mark != 'K' && mark != 'O') reader.fail_at_last("has no old row where one must stand");
  erased.old = mark == 'K' ? Old::key : Old::full;
  erased.old_row = read_row(reader, old_cells);
  return erased;
}

Message read_truncate(Reader& reader, std::vector<Oid>& relations) {
  const std::size_t count = reader.four();
  const auto flags = reader.byte();
  if (count > kTruncatedMax) reader.fail("names more tables than is possible");
  relations.clear();
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) relations.push_back(reader.four());
  return Truncate{(flags & 1) != 0, (flags & 2) != 0, relations};
}

Message read_logical_message(Reader& reader) {
  LogicalMessage message;
  message.transactional = (reader.byte() & 1) != 0;
  message.position = reader.eight();
  message.prefix = reader.text();
  message.content = reader.counted();
  return message;
}

Result<Message> finish(Reader& reader, Message message, const char* kind) {
  reader.expect_end();
  if (reader.failed()) return reader.error(kind);
  return message;
}

}  // namespace

Result<Message> Decoder::decode(std::string_view message) {
  Reader reader(message);
  switch (reader.byte()) {
    case 'B': return finish(reader, read_begin(reader), "Begin");
    case 'C': return finish(reader, read_commit(reader), "Commit");
    case 'O': return finish(reader, read_origin(reader), "Origin");
    case 'R': return finish(reader, read_relation(reader, columns_), "Relation");
    case 'Y': return finish(reader, read_type(reader), "Type");
    case 'I': return finish(reader, read_insert(reader, cells_), "Insert");
    case 'U': return finish(reader, read_update(reader, cells_, old_cells_), "Update");
    case 'D': return finish(reader, read_delete(reader, old_cells_), "Delete");
    case 'T': return finish(reader, read_truncate(reader, relations_), "Truncate");
    case 'M': return finish(reader, read_logical_message(reader), "Message");
    default: break;
  }
  reader.fail_at_last("is of a kind that protocol version 1 does not have");
  return reader.error("first");
}

Result<Envelope> open_envelope(std::string_view data) {
  Reader reader(data);
  const auto kind = reader.byte();
  if (kind == 'w') {
    if (data.size() < kWalDataHeaderBytes) reader.fail("is cut inside its header");
    WalData wal;
    wal.start = reader.eight();
    wal.end = reader.eight();
    wal.sent_at = reader.time();
    wal.message = reader.rest();
    if (reader.failed()) return reader.error("XLogData");
    return Envelope(wal);
  }
  if (kind == 'k') {
    Keepalive keepalive;
    keepalive.end = reader.eight();
    keepalive.sent_at = reader.time();
    keepalive.reply_requested = reader.byte() != 0;
    reader.expect_end();
    if (reader.failed()) return reader.error("keepalive");
    return Envelope(keepalive);
  }
  reader.fail_at_last("is no XLogData and no keepalive");
  return reader.error("replication");
}

std::string encode_status(Lsn confirmed, ServerTime now, bool ask_for_reply) {
  std::string bytes = "r";
  const auto put = [&](std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  };
  for (int field = 0; field < 3; ++field) put(confirmed);
  put(static_cast<std::uint64_t>(now));
  bytes.push_back(ask_for_reply ? '\1' : '\0');
  return bytes;
}

}  // namespace freshet::storage::postgres::pgoutput
