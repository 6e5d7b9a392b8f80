// The rarer replies; the hot ones are inline in the header.
#include "protocol/reply_writer.h"

#include <cmath>
#include <cstdio>

namespace freshet::protocol {

void ReplyWriter::line(char type, std::string_view text) {
  out_.append(type);
  out_.append(text);
  out_.append("\r\n");
}

void ReplyWriter::simple(std::string_view text) { line('+', text); }

void ReplyWriter::error(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  line('-', clean);
}

void ReplyWriter::boolean(bool value) {
  if (version_ >= 3) {
    out_.append(value ? "#t\r\n" : "#f\r\n");
  } else {
    integer(value ? 1 : 0);
  }
}

void ReplyWriter::number(double value) {
  char text[40];
  int length;
  if (std::isinf(value)) {
    length = std::snprintf(text, sizeof text, value > 0 ? "inf" : "-inf");
  } else if (std::isnan(value)) {
    length = std::snprintf(text, sizeof text, "nan");
  } else {
    length = std::snprintf(text, sizeof text, "%.17g", value);
  }
  const std::string_view digits(text, static_cast<std::size_t>(length));
  if (version_ >= 3) {
    line(',', digits);
  } else {
    bulk(digits);
  }
}

void ReplyWriter::verbatim(std::string_view format, std::string_view text) {
  if (version_ < 3) return bulk(text);
  header('=', static_cast<std::int64_t>(text.size() + 4));
  out_.append(format.substr(0, 3));
  out_.append(':');
  out_.append(text);
  out_.append("\r\n");
}

void ReplyWriter::big_number(std::string_view digits) {
  if (version_ >= 3) {
    line('(', digits);
  } else {
    bulk(digits);
  }
}

void ReplyWriter::map(std::size_t pairs) {
  if (version_ >= 3) {
    header('%', static_cast<std::int64_t>(pairs));
  } else {
    header('*', static_cast<std::int64_t>(pairs * 2));
  }
}

void write_command(Buffer& out, const std::string_view* arguments, std::size_t count) {
  ReplyWriter writer(out);
  writer.array(count);
  for (std::size_t i = 0; i < count; ++i) writer.bulk(arguments[i]);
}

}  // namespace freshet::protocol
