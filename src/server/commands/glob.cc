// Pattern matching by remembering only the last star: what an earlier star took can never need to change.
#include "server/commands/glob.h"

#include <utility>

namespace freshet::server {
namespace {

char fold(char c, bool ignore_case) { return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Matches one character against the class that begins behind pattern[at] == '['; `at` ends behind its ']'. A class without
// an end takes the rest of the pattern, as in Redis.
bool class_matches(std::string_view pattern, std::size_t& at, char c, bool ignore_case) {
  const auto byte = [&](char x) { return static_cast<unsigned char>(fold(x, ignore_case)); };
  ++at;
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool found = false;
  for (; at < pattern.size() && pattern[at] != ']'; ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      found |= byte(pattern[++at]) == byte(c);
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto first = byte(pattern[at]), last = byte(pattern[at + 2]);
      if (first > last) std::swap(first, last);
      found |= first <= byte(c) && byte(c) <= last;
      at += 2;
    } else {
      found |= byte(pattern[at]) == byte(c);
    }
  }
  if (at < pattern.size()) ++at;
  return found != negated;
}

// Matches one character against the pattern's element at `at`, which is no star, and moves behind the element.
bool element_matches(std::string_view pattern, std::size_t& at, char c, bool ignore_case) {
  if (pattern[at] == '?') return ++at, true;
  if (pattern[at] == '[') return class_matches(pattern, at, c, ignore_case);
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return fold(pattern[at++], ignore_case) == fold(c, ignore_case);
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text, bool ignore_case) {
  std::size_t at = 0, in_text = 0;
  std::size_t star = pattern.npos, star_text = 0;  // Behind the last star, and where its match ends so far.
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_text = in_text;
      continue;
    }
    if (at < pattern.size() && element_matches(pattern, at, text[in_text], ignore_case)) {
      ++in_text;
      continue;
    }
    if (star == pattern.npos) return false;
    at = star;
    in_text = ++star_text;
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

}  // namespace freshet::server
