// Commands as they come from a client: arrays of bulk strings, or inline commands (a line of words, as typed into telnet).
// https://redis.io/docs/latest/develop/reference/protocol-spec/
//
// Zero-copy: arguments are views into the connection's input (an inline command's into the parser, which unquotes them).
// The client is not trusted: announced counts and lengths reserve nothing. May use nothing but the standard library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace freshet::protocol {

struct RequestLimits {
  std::int64_t arguments_max = 1024 * 1024;             // Of one command, its name included.
  std::int64_t bulk_bytes_max = 512ll * 1024 * 1024;    // One argument.
  std::size_t inline_bytes_max = 64 * 1024;             // An inline command, and the line of an announced count or length.
};

// What a client that has not authenticated may send, as in Redis.
inline constexpr std::int64_t kUnauthenticatedArgumentsMax = 10;
inline constexpr std::int64_t kUnauthenticatedBulkBytesMax = 16 * 1024;

class RequestParser {
 public:
  enum class Status : std::uint8_t {
    complete,    // arguments() holds a command of at least one word; it ends after consumed() bytes.
    empty,       // A command without words (an empty line, *0): nothing to answer; consumed() bytes are done with.
    incomplete,  // More bytes are needed.
    broken,      // error() says why; the connection must be closed after it was sent.
  };

  // Goes on with the command that begins at `input`. Until it is complete, every call must bring the same bytes with more
  // behind them (at any address); after it is complete or empty the next call begins a new command.
  Status parse(std::string_view input, const RequestLimits& limits, bool authenticated = true);

  // Valid until the input moves or parse() is called again.
  std::span<const std::string_view> arguments() const { return arguments_; }
  std::size_t consumed() const { return position_; }
  // Redis's own text, "Protocol error: …".
  const std::string& error() const { return error_; }
  void reset();

 private:
  // Where an argument stands in the input.
  struct Place {
    std::size_t offset;
    std::size_t length;
  };

  // The parts of an array of bulks: what is expected next.
  enum class Expect : std::uint8_t { count, length, body };

  Status parse_bulks(std::string_view input, const RequestLimits& limits, bool authenticated);
  Status parse_count(std::string_view input, const RequestLimits& limits, bool authenticated);
  Status parse_length(std::string_view input, const RequestLimits& limits, bool authenticated);
  Status parse_inline(std::string_view input, const RequestLimits& limits);
  bool split_words(std::string_view line);
  // The number in the line that begins at position_ with a marker, and moves behind that; -1 unless it is written as clients
  // write nearly all of them: one to three digits and CRLF, all there. Then nothing has moved, and take_line has the line.
  std::int64_t take_short_number(std::string_view input);
  // The line that begins at position_, without its CRLF; moves behind it.
  Status take_line(std::string_view input, std::size_t limit, const char* too_long, std::string_view& line);
  Status fail(std::string text);
  Status finish(std::string_view input);

  bool done_ = true;  // The last command is finished: the next call begins a new one.
  Expect expect_ = Expect::count;
  std::int64_t missing_ = 0;       // Arguments of the command still to come.
  std::size_t length_ = 0;         // Of the argument whose body is expected.
  std::size_t position_ = 0;       // Parsed up to here.
  std::size_t searched_ = 0;       // No line end before here.
  std::vector<Place> places_;
  std::vector<std::string_view> arguments_;
  std::string words_;              // An inline command's words, unquoted.
  std::string error_;
};

}  // namespace freshet::protocol
