// Types and forms of key parts.
#include "storage/postgres/catalog/key_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "storage/postgres/binary.h"

namespace freshet::storage::postgres {
namespace {

// Numbers of PostgreSQL's catalog (pg_type.dat); they never change.
constexpr Oid kChar = 18, kName = 19, kInt2 = 21, kOid = 26, kCidr = 650, kFloat4 = 700, kFloat8 = 701, kMacaddr8 = 774,
              kMacaddr = 829, kInet = 869, kBpchar = 1042, kVarchar = 1043, kDate = 1082, kTime = 1083, kTimestamp = 1114,
              kTimestamptz = 1184, kTimetz = 1266, kNumeric = 1700;

constexpr std::array kPlainTypes = {oid::kBool, oid::kInt4, oid::kInt8, oid::kText, oid::kUuid, oid::kBytea, kChar,
                                    kName,      kInt2,      kOid,       kVarchar,   kDate,      kTime,       kTimetz,
                                    kTimestamp, kTimestamptz, kInet,    kCidr,      kMacaddr,   kMacaddr8};

template <typename Integer>
bool is_canonical_integer(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::to_string(value) == text;
}

bool is_canonical_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !digit) return false;
  }
  return true;
}

}  // namespace

std::optional<KeyForm> key_form_of(Oid base_type, std::int32_t modifier, char base_kind) {
  if (base_kind == 'e') return KeyForm::as_is;
  if (std::find(kPlainTypes.begin(), kPlainTypes.end(), base_type) != kPlainTypes.end()) return KeyForm::as_is;
  if (base_type == kNumeric) return modifier == -1 ? KeyForm::trim_scale : KeyForm::as_is;
  if (base_type == kBpchar) return modifier == -1 ? KeyForm::trim_blanks : KeyForm::as_is;
  if (base_type == kFloat4 || base_type == kFloat8) return KeyForm::positive_zero;
  return std::nullopt;
}

std::string_view canonical(KeyForm form, std::string_view text) {
  switch (form) {
    case KeyForm::as_is: break;
    case KeyForm::positive_zero: return text == "-0" ? text.substr(1) : text;
    case KeyForm::trim_blanks:
      while (text.ends_with(' ')) text.remove_suffix(1);
      break;
    case KeyForm::trim_scale:
      if (text.find('.') == text.npos) break;
      while (text.ends_with('0')) text.remove_suffix(1);
      if (text.ends_with('.')) text.remove_suffix(1);
      break;
  }
  return text;
}

bool is_plainly_canonical(Oid base_type, std::string_view text) {
  switch (base_type) {
    case kInt2: return is_canonical_integer<std::int16_t>(text);
    case oid::kInt4: return is_canonical_integer<std::int32_t>(text);
    case oid::kInt8: return is_canonical_integer<std::int64_t>(text);
    case kOid: return is_canonical_integer<std::uint32_t>(text);
    case oid::kBool: return text == "t" || text == "f";
    case oid::kUuid: return is_canonical_uuid(text);
    default: return false;
  }
}

bool has_one_text(Oid plain_type) {
  constexpr std::array kTypes = {oid::kBool, kInt2, oid::kInt4, oid::kInt8, kOid, oid::kText, kVarchar, kBpchar, kName,
                                 oid::kUuid, kNumeric};
  return std::find(kTypes.begin(), kTypes.end(), plain_type) != kTypes.end();
}

}  // namespace freshet::storage::postgres
