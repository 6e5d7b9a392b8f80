// Collections: named key prefixes and what stands behind them in storage. A key "users:42" belongs to collection "users",
// keys whose prefix names none belong to the key-value table. May use base only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace freshet::storage {

// What a read promises (docs/CONSISTENCY.md). `snapshot` concerns reads of several keys.
enum class Level : std::uint8_t { linearizable, session, bounded, snapshot, any };

// A collection, as the operator writes it down: observed, unless its writes are guarded.
struct CollectionSpec {
  std::string name;                // The prefix; [A-Za-z0-9_.-]+.
  // Either a table, as SQL writes its name ("users", "app.users", "\"Odd Name\"") ...
  std::string table;
  // ... and which of its columns to show, each with the name that clients see; none: all, under their own names.
  std::vector<std::pair<std::string, std::string>> columns;
  // ... or a parametrised SELECT with $1, $2, …, whose parameters are the parts of the key.
  std::string query;
  // Declares what the catalog cannot show about a query: the tables that its result depends on, beside those it names. With
  // it, volatile functions, row-level security and opaque views are the operator's word.
  std::vector<std::string> depends_on;
  bool declared = false;           // depends_on was written down, if only as [].
  Level level = Level::linearizable;
  base::Nanoseconds bound = 0;     // For Level::bounded.
  int line = 0;                    // Where it stands in the file, for messages.

  // Guarded: every write goes through Freshet, and hits are linearizable from memory. Tables only.
  bool guarded = false;
  // The operator vouches for that; else the table is sealed: it refuses every other write.
  bool exclusive_writer = false;
  // Its changes are followed as well: writes that got past Freshet are told, and what they touched is dropped.
  bool followed = false;
  std::string version_column;      // bigint: grows with every change; empty: none.
  std::string expires_column;      // timestamptz: when the row expires; empty: none.

  bool is_query() const { return !query.empty(); }
  // Whether they say the same, wherever they stand.
  bool says_the_same_as(const CollectionSpec& other) const {
    auto moved = other;
    moved.line = line;
    return *this == moved;
  }
  friend bool operator==(const CollectionSpec&, const CollectionSpec&) = default;
};

using CollectionId = std::uint32_t;  // Its place in the list of specs.

// The parts of a composite key are joined by ':', and inside of each '\' stands before ':' and '\'. A key of one part is
// that part, as it is.
std::string join_key(std::string_view collection, const std::vector<std::string_view>& parts);
// The parts behind "collection:"; nullopt if there are not `count` of them, or an escape is none.
std::optional<std::vector<std::string>> split_key(std::string_view key_after_prefix, std::size_t count);
// The collection's name in a key: what stands before the first ':'; empty if there is none.
inline std::string_view prefix_of(std::string_view key) {
  const auto colon = key.find(':');
  return colon == key.npos ? std::string_view() : key.substr(0, colon);
}

}  // namespace freshet::storage
