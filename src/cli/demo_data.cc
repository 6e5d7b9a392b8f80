// The shop.
#include "cli/demo_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/slot.h"

namespace freshet::cli {
namespace {

constexpr std::array kKinds = {"product", "customer", "cart"};
constexpr std::array kWords = {"oak",   "table", "lamp", "brass", "linen", "chair", "green", "shelf",
                               "round", "small", "blue", "chest", "glass", "wool",  "rug",   "frame"};
constexpr std::string_view kRevisionField = R"({"revision":")";

}  // namespace

std::string demo_key(std::uint32_t index) { return fmt::format("records:{}", index); }

std::string first_revision(std::uint32_t index) { return fmt::format("fill-{}", index); }

std::string demo_document(std::uint32_t index, std::string_view revision) {
  base::Random random(base::hash_of(revision) + index);
  auto document = fmt::format(R"({}{}","id":{},"kind":"{}","amount":{}.{:02},"stock":{},"text":")", kRevisionField, revision,
                              index, kKinds[index % kKinds.size()], random.below(500), random.below(100),
                              random.below(1000));
  for (auto words = 8 + random.below(96); words > 0; --words) {
    document += kWords[random.below(kWords.size())];
    document += ' ';
  }
  document += "\"}";
  return document;
}

std::optional<std::string> revision_of(std::uint32_t index, std::string_view document) {
  if (!document.starts_with(kRevisionField)) return std::nullopt;
  const auto end = document.find('"', kRevisionField.size());
  if (end == std::string_view::npos) return std::nullopt;
  std::string revision(document.substr(kRevisionField.size(), end - kRevisionField.size()));
  if (document != demo_document(index, revision)) return std::nullopt;
  return revision;
}

Popularity::Popularity(std::uint32_t items, double exponent) {
  double sum = 0;
  for (std::uint32_t k = 1; k <= items; ++k) shares_up_to_.push_back(sum += std::pow(k, -exponent));
  for (double& share : shares_up_to_) share /= sum;
}

std::uint32_t Popularity::draw(base::Random& random) const {
  const double at = random.share();
  const auto found = std::upper_bound(shares_up_to_.begin(), shares_up_to_.end(), at);
  return static_cast<std::uint32_t>(std::min<std::size_t>(static_cast<std::size_t>(found - shares_up_to_.begin()),
                                                          shares_up_to_.size() - 1));
}

}  // namespace freshet::cli
