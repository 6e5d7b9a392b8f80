// Writes replies into a connection's output, in RESP2 or RESP3 as the client chose: what RESP2 lacks is written in the form
// that Redis gives it there. May use nothing but the standard library.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/buffer.h"
#include "protocol/number.h"

namespace freshet::protocol {

class ReplyWriter {
 public:
  explicit ReplyWriter(Buffer& out, int version = 2) : out_(out), version_(version) {}

  int version() const { return version_; }
  void set_version(int version) { version_ = version; }
  Buffer& out() { return out_; }

  void ok() { out_.append("+OK\r\n"); }
  // `text` must hold no line ends.
  void simple(std::string_view text);
  // `text` begins with its prefix: "ERR syntax error". Line ends in it become blanks.
  void error(std::string_view text);
  void integer(std::int64_t value) { header(':', value); }
  void bulk(std::string_view bytes) {
    char* const begin = out_.reserve(bytes.size() + kHeaderBytes + 2);
    char* to = write_header(begin, '$', static_cast<std::int64_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    to += bytes.size();
    *to++ = '\r';
    *to++ = '\n';
    out_.commit(static_cast<std::size_t>(to - begin));
  }
  void null() { out_.append(version_ >= 3 ? "_\r\n" : "$-1\r\n"); }
  void null_array() { out_.append(version_ >= 3 ? "_\r\n" : "*-1\r\n"); }
  void boolean(bool value);
  void number(double value);
  // `format`: three letters, "txt" or "mkd".
  void verbatim(std::string_view format, std::string_view text);
  void big_number(std::string_view digits);

  // The head of an aggregate; its items follow. A map's count is in pairs.
  void array(std::size_t items) { header('*', static_cast<std::int64_t>(items)); }
  void map(std::size_t pairs);
  void set(std::size_t items) { header(version_ >= 3 ? '~' : '*', static_cast<std::int64_t>(items)); }
  void push(std::size_t items) { header(version_ >= 3 ? '>' : '*', static_cast<std::int64_t>(items)); }

 private:
  // A type byte, the longest integer, and CRLF.
  static constexpr std::size_t kHeaderBytes = kIntegerDigitsMax + 3;

  static char* write_header(char* to, char type, std::int64_t value) {
    *to++ = type;
    to = std::to_chars(to, to + kIntegerDigitsMax, value).ptr;
    *to++ = '\r';
    *to++ = '\n';
    return to;
  }
  void header(char type, std::int64_t value) {
    char* const begin = out_.reserve(kHeaderBytes);
    out_.commit(static_cast<std::size_t>(write_header(begin, type, value) - begin));
  }
  void line(char type, std::string_view text);

  Buffer& out_;
  int version_;
};

// A command as clients send it: an array of bulks.
void write_command(Buffer& out, const std::string_view* arguments, std::size_t count);

}  // namespace freshet::protocol
