// The reply parser. Aggregates are kept on an explicit stack, so that a hostile depth costs a limit and no stack.
#include "protocol/reply.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "protocol/number.h"

namespace freshet::protocol {
namespace {

// Taken bytes are dropped from the front of the buffer once they are this many and at least half of it.
constexpr std::size_t kCompactBytes = 4096;

std::optional<ReplyType> aggregate_type(char type) {
  switch (type) {
    case '*': return ReplyType::array;
    case '%':
    case '|': return ReplyType::map;
    case '~': return ReplyType::set;
    case '>': return ReplyType::push;
    default: return std::nullopt;
  }
}

std::optional<double> parse_double(std::string_view text) {
  if (text == "inf" || text == "+inf") return HUGE_VAL;
  if (text == "-inf") return -HUGE_VAL;
  if (text == "nan" || text == "-nan") return std::nan("");
  if (text.empty() || text.size() > 128) return std::nullopt;
  for (const char c : text) {
    if (!std::strchr("0123456789+-.eE", c) || c == '\0') return std::nullopt;
  }
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return std::nullopt;
  return value;
}

void quote(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

const Reply* Reply::find(std::string_view key) const {
  if (type != ReplyType::map && type != ReplyType::array) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == key) return &items[i + 1];
  }
  return nullptr;
}

std::string Reply::to_text() const {
  std::string out;
  switch (type) {
    case ReplyType::null: return "null";
    case ReplyType::integer: return std::to_string(integer);
    case ReplyType::boolean: return integer ? "true" : "false";
    case ReplyType::number:
    case ReplyType::big_number:
    case ReplyType::simple: return text;
    case ReplyType::error: return "-" + text;
    case ReplyType::bulk:
    case ReplyType::verbatim: quote(text, out); return out;
    case ReplyType::array: out = "["; break;
    case ReplyType::map: out = "{"; break;
    case ReplyType::set: out = "~["; break;
    case ReplyType::push: out = ">["; break;
  }
  const bool is_map = type == ReplyType::map;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i) out += is_map && i % 2 ? ": " : ", ";
    out += items[i].to_text();
  }
  out += is_map ? '}' : ']';
  return out;
}

Result<std::optional<Reply>> ReplyParser::next() {
  if (broken_) return *broken_;
  for (;;) {
    Reply value;
    switch (step(value)) {
      case Step::failed:
        return *broken_;
      case Step::more:
        if (taken_ + pending() > limits_.bytes_max) {
          fail("a reply is longer than " + std::to_string(limits_.bytes_max) + " bytes");
          return *broken_;
        }
        compact();
        return std::optional<Reply>();
      case Step::opened:
        break;
      case Step::value: {
        Reply whole;
        if (!place(std::move(value), whole)) break;
        taken_ = elements_ = 0;
        compact();
        return std::optional<Reply>(std::move(whole));
      }
    }
  }
}

ReplyParser::Step ReplyParser::step(Reply& out) {
  const std::size_t before = start_;
  const auto text = line();
  if (!text) {
    // Only a line can be this long without an end: bulks are taken by length. One byte more may be the CR of the end.
    if (pending() > limits_.line_bytes_max + 1) {
      return fail("a line is longer than " + std::to_string(limits_.line_bytes_max) + " bytes");
    }
    return Step::more;
  }
  if (text->empty()) return fail("an empty line where a reply should begin");
  if (text->size() > limits_.line_bytes_max) {
    return fail("a line is longer than " + std::to_string(limits_.line_bytes_max) + " bytes");
  }
  const char type = text->front();
  const std::string_view rest = text->substr(1);
  Step result;
  switch (type) {
    case '$':
    case '=':
    case '!':
    case '*':
    case '%':
    case '|':
    case '~':
    case '>': {
      const auto length = parse_integer(rest);
      if (!length || *length < -1) return fail("a length is no decimal number");
      result = aggregate_type(type) ? open(type, *length, out) : bulk_reply(type, *length, out);
      break;
    }
    default:
      result = line_reply(type, rest, out);
  }
  if (result == Step::more) {
    start_ = before;  // The bulk is not whole yet: its header is read again with the rest.
  } else {
    taken_ += start_ - before;
    if (result != Step::failed && taken_ > limits_.bytes_max) {
      return fail("a reply is longer than " + std::to_string(limits_.bytes_max) + " bytes");
    }
  }
  return result;
}

ReplyParser::Step ReplyParser::line_reply(char type, std::string_view rest, Reply& out) {
  switch (type) {
    case '+':
      out.type = ReplyType::simple;
      out.text = rest;
      return Step::value;
    case '-':
      out.type = ReplyType::error;
      out.text = rest;
      return Step::value;
    case '_':
      if (!rest.empty()) return fail("a null with a value");
      return Step::value;
    case ':':
    case '#':
    case ',':
    case '(':
      return number_reply(type, rest, out);
    default:
      return fail("a reply begins with byte " + std::to_string(static_cast<unsigned char>(type)));
  }
}

ReplyParser::Step ReplyParser::number_reply(char type, std::string_view rest, Reply& out) {
  if (type == ':') {
    const auto value = parse_integer(!rest.empty() && rest.front() == '+' ? rest.substr(1) : rest);
    if (!value) return fail("an integer is no decimal number");
    out.type = ReplyType::integer;
    out.integer = *value;
  } else if (type == '#') {
    if (rest != "t" && rest != "f") return fail("a boolean is neither t nor f");
    out.type = ReplyType::boolean;
    out.integer = rest == "t";
  } else if (type == ',') {
    const auto value = parse_double(rest);
    if (!value) return fail("a double is no number");
    out.type = ReplyType::number;
    out.number = *value;
    out.text = rest;
  } else {
    const auto digits = !rest.empty() && (rest.front() == '-' || rest.front() == '+') ? rest.substr(1) : rest;
    if (digits.empty() || digits.find_first_not_of("0123456789") != rest.npos) return fail("a big number is no number");
    out.type = ReplyType::big_number;
    out.text = rest;
  }
  return Step::value;
}

ReplyParser::Step ReplyParser::bulk_reply(char type, std::int64_t length, Reply& out) {
  if (length < 0) {
    if (type != '$') return fail("a negative length");
    return Step::value;  // RESP2's null.
  }
  const auto bytes = static_cast<std::uint64_t>(length);
  if (bytes > limits_.bytes_max) return fail("a bulk of " + std::to_string(bytes) + " bytes is announced");
  if (pending() < bytes + 2) return Step::more;
  std::string_view text(input_.data() + start_, bytes);
  if (input_[start_ + bytes] != '\r' || input_[start_ + bytes + 1] != '\n') return fail("a bulk does not end with CRLF");
  start_ += bytes + 2;
  out.type = type == '$' ? ReplyType::bulk : type == '=' ? ReplyType::verbatim : ReplyType::error;
  if (type == '=') {
    if (text.size() < 4 || text[3] != ':') return fail("a verbatim string without its format");
    text.remove_prefix(4);
  }
  out.text = text;
  return Step::value;
}

ReplyParser::Step ReplyParser::open(char type, std::int64_t count, Reply& out) {
  if (count < 0) {
    if (type != '*') return fail("a negative length");
    return Step::value;  // RESP2's null array.
  }
  const bool pairs = type == '%' || type == '|';
  const auto limit = static_cast<std::int64_t>(limits_.elements_max - elements_) / (pairs ? 2 : 1);
  if (count > limit) return fail("more than " + std::to_string(limits_.elements_max) + " elements are announced");
  const auto items = static_cast<std::uint64_t>(count) * (pairs ? 2 : 1);
  elements_ += items;
  out.type = *aggregate_type(type);
  if (items == 0 && type != '|') return Step::value;
  if (items == 0) return Step::opened;  // An empty attribute: nothing at all.
  if (open_.size() >= static_cast<std::size_t>(limits_.depth_max)) {
    return fail("more than " + std::to_string(limits_.depth_max) + " levels of nesting");
  }
  open_.push_back(Open{std::move(out), items, type == '|'});
  return Step::opened;
}

bool ReplyParser::place(Reply&& value, Reply& whole) {
  while (!open_.empty()) {
    Open& top = open_.back();
    top.reply.items.push_back(std::move(value));
    if (--top.missing > 0) return false;
    const bool dropped = top.attribute;
    value = std::move(top.reply);
    open_.pop_back();
    if (dropped) return false;
  }
  whole = std::move(value);
  return true;
}

ReplyParser::Step ReplyParser::fail(std::string what) {
  broken_ = Error::of(ErrorCode::corrupted, "the reply stream is not Redis protocol: " + std::move(what),
                      "close the connection");
  open_.clear();
  return Step::failed;
}

std::optional<std::string_view> ReplyParser::line() {
  const std::size_t from = start_ + searched_;
  const auto end = input_.find("\r\n", from);
  if (end == std::string::npos) {
    const std::size_t have = input_.size() - start_;
    searched_ = have > 0 ? have - 1 : 0;  // The last byte may be the CR of a line end to come.
    return std::nullopt;
  }
  const std::string_view text(input_.data() + start_, end - start_);
  start_ = end + 2;
  searched_ = 0;
  return text;
}

void ReplyParser::compact() {
  if (start_ == input_.size()) {
    input_.clear();
    start_ = 0;
  } else if (start_ >= kCompactBytes && start_ * 2 >= input_.size()) {
    input_.erase(0, start_);
    start_ = 0;
  }
}

}  // namespace freshet::protocol
