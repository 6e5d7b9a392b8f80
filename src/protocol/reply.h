// Replies of the Redis protocol, as whoever talks to a server reads them: a value type, and a parser that takes the bytes in
// whatever pieces they come (RESP2 and RESP3).
//
// The peer is not trusted: announced sizes reserve nothing, and depth, elements, and bytes of one reply have limits.
// May use base only. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"

namespace freshet::protocol {

enum class ReplyType : std::uint8_t {
  null,        // RESP3 `_`, RESP2's null bulk and null array.
  simple,      // text
  error,       // text, with its prefix: "ERR syntax error" (blob errors too)
  integer,     // integer
  bulk,        // text
  boolean,     // integer: 0 or 1
  number,      // number (RESP3 double); text as it came
  big_number,  // text
  verbatim,    // text, without its three-letter format
  array,       // items
  map,         // items: key, value, key, value …
  set,         // items
  push,        // items: sent by the server of its own accord, not the answer to a command
};

struct Reply {
  ReplyType type = ReplyType::null;
  std::int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<Reply> items;

  bool is(ReplyType other) const { return type == other; }
  bool is_error() const { return type == ReplyType::error; }
  bool is_null() const { return type == ReplyType::null; }
  bool is_text() const { return type == ReplyType::simple || type == ReplyType::bulk || type == ReplyType::verbatim; }
  // The value that stands at `key` of a map, or of a RESP2 array of alternating keys and values; null if there is none.
  const Reply* find(std::string_view key) const;
  // For messages and tests: one line, strings quoted and escaped.
  std::string to_text() const;
  friend bool operator==(const Reply&, const Reply&) = default;
};

struct ReplyLimits {
  int depth_max = 32;                           // Arrays within arrays.
  std::size_t elements_max = 16 * 1024 * 1024;  // Of one reply, all depths together.
  std::size_t bytes_max = 1024ull * 1024 * 1024;  // Of one reply as it stands on the wire.
  std::size_t line_bytes_max = 64 * 1024;       // Simple strings, errors, numbers, and announced lengths.
};

class ReplyParser {
 public:
  explicit ReplyParser(ReplyLimits limits = {}) : limits_(limits) {}

  // Adds bytes as they came from the connection. Memory in use stays below the reply's bytes and elements that came.
  void feed(std::string_view bytes) { input_.append(bytes); }

  // The next whole reply, in order; nothing while more bytes are needed. An error is for good: the stream has lost its
  // frame, and the connection must be closed.
  Result<std::optional<Reply>> next();

  // Bytes fed and not yet returned as part of a whole reply.
  std::size_t pending() const { return input_.size() - start_; }

 private:
  // An aggregate whose items are still coming.
  struct Open {
    Reply reply;
    std::uint64_t missing;
    bool attribute;  // Read and dropped: clients that ask for none may still be sent some.
  };
  enum class Step : std::uint8_t { more, value, opened, failed };

  Step step(Reply& out);
  Step line_reply(char type, std::string_view line, Reply& out);
  Step number_reply(char type, std::string_view line, Reply& out);
  Step bulk_reply(char type, std::int64_t length, Reply& out);
  Step open(char type, std::int64_t count, Reply& out);
  Step fail(std::string what);
  // Puts a whole value where it belongs; true once the outermost one is whole.
  bool place(Reply&& value, Reply& whole);
  std::optional<std::string_view> line();
  void compact();

  ReplyLimits limits_;
  std::string input_;
  std::size_t start_ = 0;   // Where the reply in progress begins in input_, or where what was already taken of it ends.
  std::size_t taken_ = 0;   // Bytes of the reply in progress that have been taken out of input_.
  std::size_t searched_ = 0;  // How far a line end has been searched for, from start_.
  std::size_t elements_ = 0;
  std::vector<Open> open_;
  std::optional<Error> broken_;
};

}  // namespace freshet::protocol
