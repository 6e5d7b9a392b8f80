// Composite keys. See storage/collection.h.
#include "storage/collection.h"

namespace freshet::storage {
namespace {

constexpr char kSeparator = ':';
constexpr char kEscape = '\\';

bool is_special(char character) { return character == kSeparator || character == kEscape; }

}  // namespace

std::string join_key(std::string_view collection, const std::vector<std::string_view>& parts) {
  std::string key(collection);
  key += kSeparator;
  if (parts.size() == 1) return key.append(parts.front());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) key += kSeparator;
    for (const char character : parts[i]) {
      if (is_special(character)) key += kEscape;
      key += character;
    }
  }
  return key;
}

std::optional<std::vector<std::string>> split_key(std::string_view key_after_prefix, std::size_t count) {
  std::vector<std::string> parts;
  if (count == 0) return key_after_prefix.empty() ? std::optional(parts) : std::nullopt;
  parts.emplace_back();
  if (count == 1) {
    parts.front() = key_after_prefix;
    return parts;
  }
  for (std::size_t i = 0; i < key_after_prefix.size(); ++i) {
    char character = key_after_prefix[i];
    if (character == kSeparator) {
      if (parts.size() == count) return std::nullopt;
      parts.emplace_back();
      continue;
    }
    if (character == kEscape) {
      if (++i == key_after_prefix.size() || !is_special(key_after_prefix[i])) return std::nullopt;
      character = key_after_prefix[i];
    }
    parts.back() += character;
  }
  if (parts.size() != count) return std::nullopt;
  return parts;
}

}  // namespace freshet::storage
