// memcached's text protocol, as much of it as a load needs: GET, SET and multi-get, and their replies, counted without being
// kept (load/reply_skimmer.h has the reasons, and the same for Redis). May use protocol.
//
// A single key is read by the meta command "mg KEY v" (memcached 1.6), many by the classic "get KEY KEY ...": pipelined,
// memcached answers each "get" by a send(2) of its own, but metas together. Each costs the server least where it is used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "load/reply_skimmer.h"
#include "protocol/buffer.h"

namespace freshet::load::memcached {

inline constexpr std::string_view kScheme = "memcached://";
inline constexpr std::size_t kKeyBytesMax = 250;

// Not longer than it may be, without blanks and control characters.
bool is_key(std::string_view key);

void write_get(protocol::Buffer& out, std::string_view key);
void write_set(protocol::Buffer& out, std::string_view key, std::string_view value);
// "get", then its keys one by one, then the end.
void begin_get_many(protocol::Buffer& out);
void add_key(protocol::Buffer& out, std::string_view key);
void end_line(protocol::Buffer& out);

inline constexpr std::string_view kVersionRequest = "version\r\n";
inline constexpr std::string_view kVersionReply = "VERSION ";

// Bytes come in any pieces; the peer is not trusted.
class Skimmer {
 public:
  static constexpr std::size_t kLineBytesMax = 2048;

  // `batch`: the keys that each "get" asks for. Its reply names only those that were found.
  explicit Skimmer(std::uint32_t batch) : batch_(batch) {}

  // As ReplySkimmer::feed. False: this is not memcached's text protocol.
  template <typename OnReply>
  bool feed(std::string_view bytes, OnReply&& on_reply) {
    while (!bytes.empty()) {
      bool complete = false;
      if (skip_ > 0) {
        const auto skipped = bytes.size() < skip_ ? bytes.size() : skip_;
        bytes.remove_prefix(skipped);
        if ((skip_ -= skipped) > 0) return true;
        complete = single_;
      } else if (const auto end = bytes.find('\n'); end == bytes.npos) {
        line_ += bytes;
        return line_.size() <= kLineBytesMax;
      } else {
        const bool fine = take_line(bytes.substr(0, end));
        bytes.remove_prefix(end + 1);
        if (!fine) return false;
        complete = complete_;
      }
      if (!complete) continue;
      on_reply(static_cast<const ReplySkimmer::Reply&>(reply_));
      reply_ = {};
    }
    return true;
  }

 private:
  bool take_line(std::string_view piece);  // Without its LF. Sets complete_.
  bool reply_line(std::string_view line);
  bool value_line(std::string_view line);
  bool end_of_many();

  const std::uint32_t batch_;
  std::uint64_t skip_ = 0;    // Bytes of a value, its CRLF included, still to come.
  std::uint64_t found_ = 0;   // Values of a "get" so far.
  bool single_ = false;       // The value is the whole reply.
  bool complete_ = false;     // The last line ended a reply.
  std::string line_;          // The beginning of a line that came without its end.
  ReplySkimmer::Reply reply_;
};

}  // namespace freshet::load::memcached
