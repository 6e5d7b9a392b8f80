// See load/memcached.h.
#include "load/memcached.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/number.h"

namespace freshet::load::memcached {
namespace {

// The word that begins the text, which is taken off with the blank behind it.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

void append_number(protocol::Buffer& out, std::uint64_t number) {
  std::array<char, protocol::kIntegerDigitsMax> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

}  // namespace

bool is_key(std::string_view key) {
  const auto is_plain = [](unsigned char c) { return c > ' ' && c != 0x7f; };
  return !key.empty() && key.size() <= kKeyBytesMax && std::all_of(key.begin(), key.end(), is_plain);
}

void write_get(protocol::Buffer& out, std::string_view key) {
  out.append("mg ");
  out.append(key);
  out.append(" v\r\n");
}

void write_set(protocol::Buffer& out, std::string_view key, std::string_view value) {
  out.append("set ");
  out.append(key);
  out.append(" 0 0 ");
  append_number(out, value.size());
  end_line(out);
  out.append(value);
  end_line(out);
}

void begin_get_many(protocol::Buffer& out) { out.append("get"); }

void add_key(protocol::Buffer& out, std::string_view key) {
  out.append(" ");
  out.append(key);
}

void end_line(protocol::Buffer& out) { out.append("\r\n"); }

bool Skimmer::take_line(std::string_view piece) {
  const std::string whole = line_.empty() ? std::string() : std::move(line_) + std::string(piece);
  line_.clear();
  const std::string_view line = whole.empty() ? piece : std::string_view(whole);
  return line.size() <= kLineBytesMax && line.ends_with('\r') && reply_line(line.substr(0, line.size() - 1));
}

bool Skimmer::reply_line(std::string_view line) {
  complete_ = false;
  const std::string_view text = line;
  const auto word = take_word(line);
  if (word == "VA") {
    single_ = true;
    return value_line(line);
  }
  if (word == "VALUE") {
    single_ = false;
    ++found_;
    take_word(line);  // The key.
    take_word(line);  // The flags.
    return found_ <= batch_ && value_line(line);
  }
  if (word == "END") return end_of_many();
  // Whatever else there is stands between two replies.
  complete_ = true;
  reply_.error = word == "ERROR" || word == "CLIENT_ERROR" || word == "SERVER_ERROR" || word == "NOT_STORED";
  if (reply_.error) {
    reply_.error_text = text;
    found_ = 0;  // An error may end a "get" too.
    return true;
  }
  reply_.nulls = word == "EN" ? 1 : 0;
  return found_ == 0 && (word == "STORED" || word == "EN");
}

// What is left of the line begins with the value's length.
bool Skimmer::value_line(std::string_view line) {
  const auto length = protocol::parse_integer(take_word(line));
  if (!length || *length < 0 || *length > ReplySkimmer::kLengthMax) return false;
  skip_ = static_cast<std::uint64_t>(*length) + 2;
  return true;
}

bool Skimmer::end_of_many() {
  complete_ = true;
  reply_.elements = batch_;
  reply_.nulls = batch_ - found_;
  found_ = 0;
  return true;
}

}  // namespace freshet::load::memcached
