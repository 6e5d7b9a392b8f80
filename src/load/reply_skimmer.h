// Counts the replies of a connection (RESP2) without keeping them: a load generator wants to know that an answer is whole,
// whether it was an error, and how many keys it found, and must cost less than the server that it measures. Bodies are
// passed over by their length; protocol::ReplyParser is for whoever wants what is in them.
//
// Bytes come in any pieces. The peer is not trusted: nothing is reserved by an announced size. May use protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace freshet::load {

class ReplySkimmer {
 public:
  static constexpr std::size_t kLineBytesMax = 64 * 1024;
  static constexpr std::int64_t kLengthMax = std::int64_t{1} << 40;  // Of a body, in bytes, and of an array, in elements.

  struct Reply {
    bool error = false;          // Any part of it is an error.
    std::uint64_t elements = 1;  // Of an array; 1 for everything else.
    std::uint64_t nulls = 0;
    std::string error_text;      // The first error's.
  };

  // Takes bytes as they came and calls on_reply(const Reply&) for each reply that they complete. False: this is no RESP2;
  // the connection must be closed.
  template <typename OnReply>
  bool feed(std::string_view bytes, OnReply&& on_reply) {
    while (!bytes.empty()) {
      if (skip_ > 0) {
        const auto skipped = bytes.size() < skip_ ? bytes.size() : skip_;
        bytes.remove_prefix(skipped);
        if ((skip_ -= skipped) > 0) return true;
        --missing_;
      } else if (const auto end = bytes.find('\n'); end == bytes.npos) {
        line_ += bytes;
        return line_.size() <= kLineBytesMax;
      } else {
        const bool fine = take_line(bytes.substr(0, end));
        bytes.remove_prefix(end + 1);
        if (!fine) return false;
      }
      if (missing_ > 0 || skip_ > 0) continue;
      on_reply(static_cast<const Reply&>(reply_));
      begin_reply();
    }
    return true;
  }

 private:
  void begin_reply() {
    missing_ = 1;
    outermost_ = true;
    reply_.elements = 1;
    reply_.nulls = 0;
    if (reply_.error) reply_ = {};
  }
  bool take_line(std::string_view piece);  // Without its LF.
  bool value_line(std::string_view line);

  std::uint64_t skip_ = 0;     // Bytes of a body, its CRLF included, still to come.
  std::uint64_t missing_ = 1;  // Values of the reply still to come.
  bool outermost_ = true;      // No line of the reply has come yet.
  std::string line_;           // The beginning of a line that came without its end.
  Reply reply_;
};

}  // namespace freshet::load
