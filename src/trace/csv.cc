// CSV with any columns. Which is which: from the options; else from the header's names, such as version,time,op,size,lbn. A
// column of sizes may be missing (each object then counts 1), a time too; an id may not.
#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include <fmt/format.h>

#include "trace/formats.h"
#include "trace/lines.h"

namespace freshet::trace {
namespace {

enum Meaning : std::uint8_t { kTime, kId, kSize, kOperation, kMeanings };

constexpr std::array<std::string_view, kMeanings> kMeaningNames{"time", "id", "size", "op"};
// Names that headers use, for each meaning.
constexpr std::array<std::array<std::string_view, 8>, kMeanings> kUsualNames{{
    {"time", "timestamp", "ts", "time_s", "clock"},
    {"id", "key", "obj_id", "object_id", "object", "lbn", "lba", "url"},
    {"size", "obj_size", "object_size", "bytes", "length", "len", "value_size"},
    {"op", "operation", "cmd", "command"},
}};

using Columns = std::array<std::optional<std::size_t>, kMeanings>;

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

Columns usual_columns(const std::vector<std::string_view>& header) {
  Columns columns;
  for (std::size_t column = 0; column < header.size(); ++column) {
    const std::string name = lower_case(header[column]);
    for (std::size_t meaning = 0; name != "" && meaning < kMeanings; ++meaning) {
      const auto& names = kUsualNames[meaning];
      if (!columns[meaning] && std::find(names.begin(), names.end(), name) != names.end()) columns[meaning] = column;
    }
  }
  return columns;
}

Error wrong_mapping(std::string what) {
  return Error::of(ErrorCode::invalid_argument, std::move(what), "write for example time=2,id=5,size=4");
}

// "time=2,id=lbn": sets the columns that are named, and says whether a name of the header was used.
Result<bool> map_columns(std::string_view text, const std::vector<std::string_view>& header, Columns& columns) {
  bool by_name = false;
  std::vector<std::string_view> parts;
  split_fields(text, ',', parts);
  for (const auto part : parts) {
    const auto equals = std::min(part.find('='), part.size());
    const auto meaning = std::find(kMeaningNames.begin(), kMeaningNames.end(), part.substr(0, equals));
    if (meaning == kMeaningNames.end() || equals == part.size()) {
      return wrong_mapping(fmt::format("\"{}\" does not say which column is the time, id, size or op", part));
    }
    const auto column = part.substr(equals + 1);
    auto& place = columns[static_cast<std::size_t>(meaning - kMeaningNames.begin())];
    if (const auto number = whole_number(column); number && *number > 0 && *number <= kFieldsMax) {
      place = *number - 1;
      continue;
    }
    const auto named = std::find(header.begin(), header.end(), column);
    if (named == header.end()) return wrong_mapping(fmt::format("the trace has no column \"{}\"", column));
    place = static_cast<std::size_t>(named - header.begin());
    by_name = true;
  }
  return by_name;
}

Operation operation_of(std::string_view text) {
  const std::string name = lower_case(text);
  if (name == "delete" || name == "del" || name == "erase") return Operation::erase;
  if (name == "store") return Operation::store;
  const bool write = name == "w" || name == "write" || name == "set" || name == "put" || name == "2a" || name == "8a";
  return write ? Operation::write : Operation::read;
}

class CsvReader final : public LineReader {
 public:
  CsvReader(std::unique_ptr<Input> input, char delimiter, const Columns& columns)
      : LineReader(std::move(input)), delimiter_(delimiter), columns_(columns) {
    for (const auto& column : columns_) fields_wanted_ = std::max(fields_wanted_, column ? *column + 1 : 0);
  }
  Format format() const override { return Format::csv; }

 private:
  Step next(Record& record) override {
    std::string_view line;
    const Step step = next_line(line);
    if (step != Step::record) return step;
    split_fields(line, delimiter_, fields_);
    if (fields_.size() < fields_wanted_) {
      return fail(fmt::format("its line has {} fields, and column {} is wanted", fields_.size(), fields_wanted_));
    }
    record = {.key = key_of(fields_[*columns_[kId]]), .size = 1};
    if (columns_[kSize]) {
      const auto size = whole_number(fields_[*columns_[kSize]]);
      if (!size || *size > kSizeMax) return fail(fmt::format("\"{}\" is not a size", fields_[*columns_[kSize]]));
      record.size = static_cast<std::uint32_t>(*size);
    }
    if (columns_[kTime]) {
      const auto time = whole_number(fields_[*columns_[kTime]]);
      if (!time) return fail(fmt::format("\"{}\" is not a time", fields_[*columns_[kTime]]));
      record.time_s = static_cast<std::uint32_t>(*time);
    }
    if (columns_[kOperation]) record.operation = operation_of(fields_[*columns_[kOperation]]);
    return Step::record;
  }

  const char delimiter_;
  const Columns columns_;
  std::size_t fields_wanted_ = 0;
  std::vector<std::string_view> fields_;
};

}  // namespace

Result<std::unique_ptr<Reader>> make_csv_reader(std::unique_ptr<Input> input, const ReadOptions& options) {
  const auto start = input->peek(kLineBytesMax);
  const auto line = first_line(start).value_or(start.substr(0, kLineBytesMax));
  std::vector<std::string_view> header;
  split_fields(line, options.csv_delimiter, header);
  Columns columns = usual_columns(header);
  bool has_header = columns[kId].has_value();
  if (!options.csv_columns.empty()) {
    const auto by_name = map_columns(options.csv_columns, header, columns);
    if (!by_name) return by_name.error();
    // Numbers alone do not tell whether there is a header: then its size or time would be no number.
    has_header = has_header || *by_name;
    for (const Meaning meaning : {kTime, kSize}) {
      const auto& column = columns[meaning];
      has_header = has_header || (column && *column < header.size() && !whole_number(header[*column]));
    }
  }
  if (!columns[kId]) {
    return Error::of(ErrorCode::invalid_argument, "the CSV trace does not say which column is the id",
                     "name the columns: --csv-columns time=2,id=5,size=4");
  }
  if (has_header) input->skip(std::min(line.size(), start.size()));
  return std::unique_ptr<Reader>(std::make_unique<CsvReader>(std::move(input), options.csv_delimiter, columns));
}

}  // namespace freshet::trace
