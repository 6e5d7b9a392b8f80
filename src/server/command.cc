// Finding a command by its name. See server/command.h.
#include "server/command.h"

#include <bit>
#include <cassert>

namespace freshet::server {
namespace {

// Places for each row, at least: look-ups should end at the first one.
constexpr std::size_t kPlacesARow = 8;
constexpr std::size_t kNameBytesMax = 32;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// FNV-1a.
std::size_t hash_of(std::string_view name) {
  std::uint32_t hash = 2166136261;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(lower(c))) * 16777619;
  return hash ^ (hash >> 15);
}

// `name` is in lower case.
bool names(std::string_view name, std::string_view text) {
  if (name.size() != text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (name[i] != lower(text[i])) return false;
  }
  return true;
}

}  // namespace

CommandTable::CommandTable(std::span<const Command> rows, UnknownText unknown)
    : rows_(rows), unknown_(unknown), index_(std::bit_ceil(rows.size() * kPlacesARow)) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    assert(rows_[i].name.size() <= kNameBytesMax);
    std::size_t at = hash_of(rows_[i].name) % index_.size();
    while (index_[at] != 0) at = (at + 1) % index_.size();
    index_[at] = static_cast<std::uint16_t>(i + 1);
  }
}

const Command* CommandTable::find_row(std::string_view name) const {
  const std::size_t mask = index_.size() - 1;
  for (std::size_t at = hash_of(name) & mask; index_[at] != 0; at = (at + 1) & mask) {
    const Command& command = rows_[index_[at] - 1];
    if (names(command.name, name)) return &command;
  }
  return nullptr;
}

const Command* CommandTable::find(std::string_view name) const {
  if (name.size() > kNameBytesMax) return nullptr;
  const Command* const found = find_row(name);
  return found && !found->is_subcommand() ? found : nullptr;
}

const Command* CommandTable::find_subcommand(const Command& container, std::string_view name) const {
  if (name.size() > kNameBytesMax) return nullptr;
  return find_row(std::string(container.name) + "|" + std::string(name));
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  }
  return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace freshet::server
