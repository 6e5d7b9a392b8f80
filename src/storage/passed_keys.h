// How a transaction says which rows it may write: in the setting that seals ask (schema_rows.cc), and in a message of the
// change stream, for whoever watches it. Each key stands between two characters of number 31; in keys that character and its
// neighbour, 30, are written as 30 with a digit, so that no key can look like two. May use the standard library only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace freshet::storage {

// The message's prefix.
inline constexpr std::string_view kPassedPrefix = "freshet.passed";

// One key's note; those of several stand one after the other.
inline std::string note_passed(std::string_view key) {
  std::string note = "\x1f";
  for (const char c : key) {
    note += c == '\x1f' ? '\x1e' : c;
    if (c == '\x1e') note += '0';
    if (c == '\x1f') note += '1';
  }
  return note + '\x1f';
}

// The keys of notes. Bytes that are no note (anybody may write such a message) give keys that nobody has.
inline std::vector<std::string> read_passed(std::string_view notes) {
  std::vector<std::string> keys;
  bool inside = false;
  for (std::size_t i = 0; i < notes.size(); ++i) {
    if (notes[i] == '\x1f') {
      inside = !inside;
      if (inside) keys.emplace_back();
    } else if (inside && notes[i] == '\x1e' && i + 1 < notes.size()) {
      keys.back() += notes[++i] == '1' ? '\x1f' : '\x1e';
    } else if (inside) {
      keys.back() += notes[i];
    }
  }
  return keys;
}

}  // namespace freshet::storage
