// See trace/detect.h.
#include "trace/detect.h"

#include <algorithm>
#include <cctype>
#include <string>

#include <fmt/format.h>

#include "trace/formats.h"
#include "trace/lines.h"
#include "trace/little_endian.h"

namespace freshet::trace {
namespace {

constexpr std::size_t kOracleBytes = 24;
constexpr std::size_t kVscsiBytes[] = {0, 32, 40};  // By version.
constexpr std::size_t kTwitterFields = 7;

bool is_text(std::string_view start) {
  return std::all_of(start.begin(), start.end(), [](unsigned char c) {
    return c >= ' ' || c == '\n' || c == '\r' || c == '\t';
  });
}

// Every whole record at the start is of the same version, with a command that SCSI knows.
bool looks_like_vscsi(std::string_view start) {
  const int version = vscsi_version_of(start);
  if (version == 0) return false;
  const std::size_t bytes = kVscsiBytes[version];
  for (std::size_t at = 0; at + bytes <= start.size(); at += bytes) {
    if (vscsi_version_of(start.substr(at, bytes)) != version) return false;
    if (load<std::uint16_t>(start.data() + at + (version == 1 ? 12 : 0)) > 0xff) return false;
  }
  return true;
}

// Times do not go back, and the next access is later than the record, or never.
bool looks_like_oracle_general(std::string_view start) {
  std::uint32_t time = 0;
  for (std::size_t at = 0; at + kOracleBytes <= start.size(); at += kOracleBytes) {
    const auto time_here = load<std::uint32_t>(start.data() + at);
    const auto next = load<std::int64_t>(start.data() + at + 16);
    const auto number = static_cast<std::int64_t>(at / kOracleBytes) + 1;
    if (time_here < time || !(next == -1 || next > number)) return false;
    time = time_here;
  }
  return start.size() >= kOracleBytes;
}

bool looks_like_twitter(std::string_view line) {
  std::vector<std::string_view> fields;
  split_fields(line, ',', fields);
  if (fields.size() < kTwitterFields || !whole_number(fields[0])) return false;
  const auto operation = fields[fields.size() - 2];
  const auto letter = [](unsigned char c) { return std::islower(c) != 0; };
  return !operation.empty() && std::all_of(operation.begin(), operation.end(), letter) && whole_number(fields.back());
}

bool names(std::string_view name, std::string_view word) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  return std::search(name.begin(), name.end(), word.begin(), word.end(), same) != name.end();
}

}  // namespace

Result<Format> detect_format(std::string_view start, std::string_view name) {
  name.remove_prefix(std::min(name.rfind('/') + 1, name.size()));
  if (is_text(start)) {
    const auto line = first_line(start).value_or(start);
    if (looks_like_twitter(line)) return Format::twitter;
    const bool csv = line.find(',') != std::string_view::npos || names(name, ".csv");
    return csv && !names(name, ".txt") ? Format::csv : Format::text;
  }
  const bool vscsi = looks_like_vscsi(start);
  const bool oracle = looks_like_oracle_general(start);
  // Names settle it where the bytes would allow both, or neither: a broken trace is then read up to its fault.
  if (names(name, "oracleGeneral") && (oracle || !vscsi)) return Format::oracle_general;
  if (names(name, "vscsi") && (vscsi || !oracle)) return Format::vscsi;
  if (vscsi) return Format::vscsi;
  if (oracle) return Format::oracle_general;
  return Error::of(ErrorCode::invalid_argument, fmt::format("the format of {} is not known", name),
                   "name it: --format oracleGeneral|vscsi|csv|twitter|txt");
}

}  // namespace freshet::trace
