// JSON objects as cells, in one pass: Boost.JSON's parser finds the tokens, the handler here makes cells of them. See
// storage/row_parse.h.
#include "storage/row_parse.h"

#include <boost/json/basic_parser_impl.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <unordered_set>
#include <utility>

#include "storage/row.h"

namespace freshet::storage {
namespace {

constexpr const char* kNoObject = "no object";
constexpr const char* kNameTwice = "a name for the second time";
constexpr const char* kTooMany = "more members than a table has columns";
constexpr const char* kNulCharacter = "a string with the character U+0000, which PostgreSQL's text cannot hold";

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// What the parser calls with each token. Depth 0 is outside of the row, depth 1 among its members, and below it stand the
// arrays and objects that become JSON again.
class CellBuilder {
 public:
  using Code = boost::json::error_code;
  using View = boost::json::string_view;

  // The caller has the whole text in memory, so that its size bounds these.
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }

  bool on_object_begin(Code&) {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    return open('{');
  }
  bool on_object_end(std::size_t, Code&) {
    if (depth_ == 1) {
      depth_ = 0;
      return true;
    }
    return close('}');
  }
  bool on_array_begin(Code& code) { return depth_ == 0 ? refuse(code, kNoObject) : open('['); }
  bool on_array_end(std::size_t, Code&) { return close(']'); }

  bool on_key_part(View part, std::size_t, Code&) { return gather(part); }
  bool on_key(View part, std::size_t, Code& code) {
    gather(part);
    std::string name = std::exchange(token_, {});
    return depth_ == 1 ? begin_cell(std::move(name), code) : begin_member(name);
  }

  bool on_string_part(View part, std::size_t, Code&) { return gather(part); }
  bool on_string(View part, std::size_t, Code& code) {
    gather(part);
    if (depth_ == 1 && has_nul(token_)) return refuse(code, kNulCharacter);
    return add(ColumnKind::text, std::exchange(token_, {}), code);
  }

  bool on_number_part(View part, Code&) { return gather(part); }
  bool on_int64(std::int64_t, View part, Code& code) { return number(part, code); }
  bool on_uint64(std::uint64_t, View part, Code& code) { return number(part, code); }
  bool on_double(double, View part, Code& code) { return number(part, code); }

  bool on_bool(bool value, Code& code) { return add(ColumnKind::boolean, value ? "true" : "false", code); }
  bool on_null(Code& code) {
    if (depth_ == 0) return refuse(code, kNoObject);
    return depth_ == 1 || add_nested(ColumnKind::json, std::nullopt);  // A cell begins as NULL.
  }

  // Comments are no part of RFC 8259: the parser refuses them, and calls neither.
  bool on_comment_part(View, Code&) { return true; }
  bool on_comment(View, Code&) { return true; }

  // What is wrong, if it was this class that stopped the parser; else null.
  const char* fault() const { return fault_; }
  std::vector<ParsedCell> take() { return std::move(cells_); }

 private:
  bool refuse(Code& code, const char* fault) {
    fault_ = fault;
    code = boost::system::errc::make_error_code(boost::system::errc::invalid_argument);
    return false;
  }

  bool gather(View part) {
    token_.append(part.data(), part.size());
    return true;
  }

  bool number(View part, Code& code) {
    gather(part);
    return add(ColumnKind::json, std::exchange(token_, {}), code);
  }

  bool begin_cell(std::string name, Code& code) {
    if (cells_.size() == kParsedCellsMax) return refuse(code, kTooMany);
    if (has_nul(name)) return refuse(code, kNulCharacter);
    if (!names_.insert(name).second) return refuse(code, kNameTwice);
    cells_.push_back({std::move(name), std::nullopt});
    return true;
  }

  bool begin_member(std::string_view name) {
    separate();
    append_json(nested_, ColumnKind::text, name);
    nested_ += ':';
    needs_comma_ = false;
    return true;
  }

  // A value without parts; `kind` says how it stands in JSON.
  bool add(ColumnKind kind, std::string text, Code& code) {
    if (depth_ == 0) return refuse(code, kNoObject);
    if (depth_ > 1) return add_nested(kind, text);
    cells_.back().text = std::move(text);
    return true;
  }

  bool add_nested(ColumnKind kind, std::optional<std::string_view> text) {
    separate();
    append_json(nested_, kind, text);
    needs_comma_ = true;
    return true;
  }

  bool open(char bracket) {
    separate();
    nested_ += bracket;
    needs_comma_ = false;
    ++depth_;
    return true;
  }

  bool close(char bracket) {
    nested_ += bracket;
    needs_comma_ = true;
    if (--depth_ == 1) {
      cells_.back().text = std::exchange(nested_, {});
      needs_comma_ = false;
    }
    return true;
  }

  void separate() {
    if (needs_comma_) nested_ += ',';
  }

  std::vector<ParsedCell> cells_;
  std::unordered_set<std::string> names_;
  std::string token_;         // The string or number whose parts are coming in.
  std::string nested_;        // The JSON of the array or object that is open among the row's members.
  bool needs_comma_ = false;  // Whether something stands before what comes next in `nested_`.
  std::size_t depth_ = 0;
  const char* fault_ = nullptr;
};

Error fault_at(std::size_t position, std::string_view fault) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("the row's JSON, after {} bytes: {}", position, fault),
                   "give one JSON object with each column once, such as {\"name\": \"Ann\", \"age\": 7}");
}

}  // namespace

Result<std::vector<ParsedCell>> parse_row_object(std::string_view json) {
  boost::json::parse_options options;
  options.max_depth = kParsedDepthMax;
  boost::json::basic_parser<CellBuilder> parser(options);
  boost::json::error_code code;
  const std::size_t position = parser.write_some(false, json.data(), json.size(), code);
  if (const char* fault = parser.handler().fault()) return fault_at(position, fault);
  if (code == boost::json::error::too_deep) return fault_at(position, fmt::format("more than {} levels", kParsedDepthMax));
  if (code) return fault_at(position, code.message());
  if (position < json.size()) return fault_at(position, "text behind the object");
  return parser.handler().take();
}

}  // namespace freshet::storage
