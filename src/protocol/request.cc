// The request parser: one pass over the bytes, going on where the last call stopped.
#include "protocol/request.h"

#include <cstring>

#include "protocol/number.h"

namespace freshet::protocol {
namespace {

// An argument list or an unquoting buffer larger than this is given back once the command is done.
constexpr std::size_t kKeptArguments = 1024;
constexpr std::size_t kKeptBytes = 4096;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

// Reads the quoted word that begins at line[at] (a quote) and appends what it says; `at` ends behind the closing quote.
// False if the quotes are unbalanced, or something other than a blank follows them.
bool read_quoted(std::string_view line, std::size_t& at, std::string& out) {
  const char quote = line[at++];
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == quote) {
      ++at;
      return at == line.size() || is_space(line[at]);
    }
    if (c != '\\' || at + 1 == line.size()) {
      out += c;
    } else if (quote == '\'') {
      if (line[at + 1] == '\'') ++at;
      out += line[at];
    } else if (line[at + 1] == 'x' && at + 3 < line.size() && hex_digit(line[at + 2]) >= 0 && hex_digit(line[at + 3]) >= 0) {
      out += static_cast<char>(hex_digit(line[at + 2]) * 16 + hex_digit(line[at + 3]));
      at += 3;
    } else {
      out += unescape(line[++at]);
    }
  }
  return false;
}

}  // namespace

RequestParser::Status RequestParser::parse(std::string_view input, const RequestLimits& limits, bool authenticated) {
  if (done_) {
    done_ = false;
    expect_ = Expect::count;
    position_ = searched_ = 0;
    places_.clear();
  }
  if (input.empty()) return Status::incomplete;
  return input.front() == '*' ? parse_bulks(input, limits, authenticated) : parse_inline(input, limits);
}

void RequestParser::reset() {
  done_ = true;
  if (places_.capacity() > kKeptArguments) std::vector<Place>().swap(places_);
  if (arguments_.capacity() > kKeptArguments) std::vector<std::string_view>().swap(arguments_);
  if (words_.capacity() > kKeptBytes) std::string().swap(words_);
}

RequestParser::Status RequestParser::parse_bulks(std::string_view input, const RequestLimits& limits, bool authenticated) {
  for (;;) {
    Status status = Status::complete;
    if (expect_ == Expect::count) {
      status = parse_count(input, limits, authenticated);
      if (status == Status::complete && missing_ <= 0) return done_ = true, Status::empty;
    } else if (expect_ == Expect::length) {
      status = parse_length(input, limits, authenticated);
    } else {
      if (input.size() - position_ < length_ + 2) return Status::incomplete;
      if (input[position_ + length_] != '\r' || input[position_ + length_ + 1] != '\n') {
        return fail("Protocol error: expected CRLF after a bulk string");
      }
      places_.push_back({position_, length_});
      position_ += length_ + 2;
      expect_ = Expect::length;
      if (--missing_ == 0) return finish(input);
    }
    if (status != Status::complete) return status;
  }
}

RequestParser::Status RequestParser::parse_count(std::string_view input, const RequestLimits& limits, bool authenticated) {
  std::int64_t count = take_short_number(input);
  if (count < 0) {
    std::string_view line;
    const auto status = take_line(input, limits.inline_bytes_max, "Protocol error: too big mbulk count string", line);
    if (status != Status::complete) return status;
    const auto number = parse_integer(line.substr(1));
    if (!number) return fail("Protocol error: invalid multibulk length");
    count = *number;
  }
  if (count > limits.arguments_max) return fail("Protocol error: invalid multibulk length");
  if (count > kUnauthenticatedArgumentsMax && !authenticated) {
    return fail("Protocol error: unauthenticated multibulk length");
  }
  missing_ = count;
  expect_ = Expect::length;
  return Status::complete;
}

RequestParser::Status RequestParser::parse_length(std::string_view input, const RequestLimits& limits, bool authenticated) {
  if (position_ == input.size()) return Status::incomplete;
  if (input[position_] != '$') {
    return fail(std::string("Protocol error: expected '$', got '") + input[position_] + "'");
  }
  std::int64_t length = take_short_number(input);
  if (length < 0) {
    std::string_view line;
    const auto status = take_line(input, limits.inline_bytes_max, "Protocol error: too big bulk count string", line);
    if (status != Status::complete) return status;
    length = parse_integer(line.substr(1)).value_or(-1);
  }
  if (length < 0 || length > limits.bulk_bytes_max) return fail("Protocol error: invalid bulk length");
  if (length > kUnauthenticatedBulkBytesMax && !authenticated) {
    return fail("Protocol error: unauthenticated bulk length");
  }
  length_ = static_cast<std::size_t>(length);
  expect_ = Expect::body;
  return Status::complete;
}

std::int64_t RequestParser::take_short_number(std::string_view input) {
  constexpr std::size_t kDigitsMax = 3;
  const std::string_view rest = input.substr(position_);
  std::int64_t number = 0;
  std::size_t at = 1;
  for (; at <= kDigitsMax && at < rest.size() && rest[at] >= '0' && rest[at] <= '9'; ++at) {
    number = number * 10 + (rest[at] - '0');
  }
  const bool leading_zero = at > 2 && rest[1] == '0';
  if (at == 1 || leading_zero || rest.size() < at + 2 || rest[at] != '\r' || rest[at + 1] != '\n') return -1;
  position_ += at + 2;
  return number;
}

RequestParser::Status RequestParser::take_line(std::string_view input, std::size_t limit, const char* too_long,
                                               std::string_view& line) {
  const std::size_t from = searched_ > position_ ? searched_ : position_;
  const void* found = from < input.size() ? std::memchr(input.data() + from, '\n', input.size() - from) : nullptr;
  const std::size_t end = found ? static_cast<std::size_t>(static_cast<const char*>(found) - input.data()) : input.size();
  if (end - position_ > limit) return fail(too_long);
  if (!found) {
    searched_ = input.size();
    return Status::incomplete;
  }
  line = input.substr(position_, end - position_);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  position_ = end + 1;
  return Status::complete;
}

RequestParser::Status RequestParser::parse_inline(std::string_view input, const RequestLimits& limits) {
  std::string_view line;
  const auto status = take_line(input, limits.inline_bytes_max, "Protocol error: too big inline request", line);
  if (status != Status::complete) return status;
  if (!split_words(line)) return fail("Protocol error: unbalanced quotes in request");
  done_ = true;
  return arguments_.empty() ? Status::empty : Status::complete;
}

bool RequestParser::split_words(std::string_view line) {
  // Words are unquoted into words_, and become views once it no longer grows.
  words_.clear();
  arguments_.clear();
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) break;
    const std::size_t begin = words_.size();
    while (at < line.size() && !is_space(line[at])) {
      if (line[at] == '"' || line[at] == '\'') {
        if (!read_quoted(line, at, words_)) return false;
        break;
      }
      words_ += line[at++];
    }
    places_.push_back({begin, words_.size() - begin});
  }
  for (const Place& place : places_) arguments_.emplace_back(words_.data() + place.offset, place.length);
  return true;
}

RequestParser::Status RequestParser::finish(std::string_view input) {
  arguments_.clear();
  for (const Place& place : places_) arguments_.emplace_back(input.data() + place.offset, place.length);
  done_ = true;
  return Status::complete;
}

RequestParser::Status RequestParser::fail(std::string text) {
  error_ = std::move(text);
  return Status::broken;
}

}  // namespace freshet::protocol
