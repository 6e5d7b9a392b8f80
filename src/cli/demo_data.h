// What the demo stores: a shop's records as JSON, and how often which of them is asked for. Every document carries a unique
// revision and is otherwise determined by it, so that a reader can tell a whole document from a torn one. May use base only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace freshet::cli {

// "records:17".
std::string demo_key(std::uint32_t index);
// The revision with which a record begins.
std::string first_revision(std::uint32_t index);

// Some 100 to 700 bytes of JSON. `revision` must not contain quotes.
std::string demo_document(std::uint32_t index, std::string_view revision);

// The revision of a document, if it is exactly demo_document(index, its revision).
std::optional<std::string> revision_of(std::uint32_t index, std::string_view document);

// Zipf's law: the k-th most popular of `items` is asked for in proportion to 1/k^exponent. Popularity is spread over the
// kinds of records, since neighbours differ in kind.
class Popularity {
 public:
  Popularity(std::uint32_t items, double exponent);
  std::uint32_t draw(base::Random& random) const;

 private:
  std::vector<double> shares_up_to_;
};

}  // namespace freshet::cli
