// See trace/reader.h.
#include "trace/reader.h"

#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/config_values.h"
#include "trace/detect.h"
#include "trace/formats.h"

namespace freshet::trace {
namespace {

constexpr std::array<std::pair<std::string_view, Format>, 5> kFormats{{{"oracleGeneral", Format::oracle_general},
                                                                       {"vscsi", Format::vscsi},
                                                                       {"csv", Format::csv},
                                                                       {"twitter", Format::twitter},
                                                                       {"txt", Format::text}}};

}  // namespace

std::string_view name_of(Format format) {
  for (const auto& [name, known] : kFormats) {
    if (known == format) return name;
  }
  return "detect";
}

Result<Format> format_named(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& [known, format] : kFormats) {
    if (known == name) return format;
    names.push_back(known);
  }
  return base::unknown_name("trace format", name, names);
}

Result<std::size_t> Reader::read(std::span<Record> into) {
  if (error_) return *error_;
  std::size_t count = 0;
  while (count < into.size() && next(into[count]) == Step::record) ++count;
  records_ += count;
  if (error_) error_->what = fmt::format("record {}: {}", records_ + 1, error_->what);
  if (error_ && count == 0) return *error_;
  return count;
}

Reader::Step Reader::fail(std::string what, std::string remedy) {
  error_ = Error::of(ErrorCode::corrupted, std::move(what), std::move(remedy));
  return Step::failed;
}

Reader::Step Reader::finish(std::size_t bytes_left, std::size_t bytes_wanted) {
  if (input_->error()) return fail(input_->error()->what, input_->error()->remedy);
  if (bytes_left == 0) return Step::end;
  return fail(fmt::format("the trace is cut off: {} bytes are left of a record of {}", bytes_left, bytes_wanted));
}

Result<std::unique_ptr<Reader>> open_trace(const std::string& path, const ReadOptions& options) {
  auto input = Input::open(path);
  if (!input) return std::move(input).error();
  return open_trace(std::move(*input), path, options);
}

Result<std::unique_ptr<Reader>> open_trace(std::unique_ptr<Input> input, std::string_view name, const ReadOptions& options) {
  Format format = options.format;
  if (format == Format::detect) {
    const auto detected = detect_format(input->peek(kDetectBytes), name);
    if (!detected) return detected.error();
    format = *detected;
  }
  switch (format) {
    case Format::oracle_general: return make_oracle_general_reader(std::move(input));
    case Format::vscsi: return make_vscsi_reader(std::move(input));
    case Format::csv: return make_csv_reader(std::move(input), options);
    case Format::twitter: return make_twitter_reader(std::move(input));
    default: return make_text_reader(std::move(input));
  }
}

}  // namespace freshet::trace
