// The lines of replies: everything but bodies.
#include "load/reply_skimmer.h"

#include "protocol/number.h"

namespace freshet::load {

bool ReplySkimmer::take_line(std::string_view piece) {
  if (line_.empty()) return !piece.empty() && piece.back() == '\r' && value_line(piece.substr(0, piece.size() - 1));
  line_ += piece;
  const std::string whole = std::move(line_);
  line_.clear();
  return whole.size() <= kLineBytesMax && whole.back() == '\r' &&
         value_line(std::string_view(whole).substr(0, whole.size() - 1));
}

bool ReplySkimmer::value_line(std::string_view line) {
  if (line.empty()) return false;
  const bool outermost = outermost_;
  outermost_ = false;
  const char type = line.front();
  line.remove_prefix(1);
  if (type == '+' || type == ':' || type == '-') {
    if (type == '-') {
      if (!reply_.error) reply_.error_text = line;
      reply_.error = true;
    }
    --missing_;
    return true;
  }
  const auto length = protocol::parse_integer(line);
  if (!length || *length < -1 || *length > kLengthMax) return false;
  const auto count = static_cast<std::uint64_t>(*length);
  if ((type == '$' || type == '*') && *length < 0) {
    ++reply_.nulls;
    --missing_;
  } else if (type == '$') {
    skip_ = count + 2;
  } else if (type == '*') {
    if (outermost) reply_.elements = count;
    missing_ += count - 1;
  } else {
    return false;
  }
  return missing_ <= static_cast<std::uint64_t>(kLengthMax);
}

}  // namespace freshet::load
