// Sizes by the key's hash; bytes out of one pool.
#include "load/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/config_values.h"
#include "base/random.h"
#include "base/slot.h"

namespace freshet::load {
namespace {

constexpr double kSigmaMax = 5;
// Of the pool, beyond the largest value: so many places a value may begin at.
constexpr std::size_t kPlaces = 4096;
constexpr std::uint64_t kPoolSeed = 4;
constexpr std::string_view kLogNormal = "lognormal:";
constexpr std::string_view kRemedy =
    "write a size (100, 4KiB), a range (100-1000) or lognormal:MEDIAN:SIGMA (lognormal:300:1.2)";

Error wrong(std::string_view text) {
  return Error::of(ErrorCode::invalid_argument,
                   fmt::format("\"{}\" is no size of values, or one above {} bytes", text, kValueBytesMax),
                   std::string(kRemedy));
}

std::optional<std::size_t> size_of(std::string_view text) {
  const auto bytes = base::parse_bytes(text);
  if (!bytes || *bytes < 0 || *bytes > static_cast<std::int64_t>(kValueBytesMax)) return std::nullopt;
  return static_cast<std::size_t>(*bytes);
}

// Uniform in (0, 1].
double share_of(base::Random& random) { return static_cast<double>((random() >> 11) + 1) * 0x1p-53; }

// Standard normal, by Box and Muller's transform.
double normal(base::Random& random) {
  const double radius = std::sqrt(-2 * std::log(share_of(random)));
  return radius * std::cos(2 * std::numbers::pi * share_of(random));
}

}  // namespace

Result<ValueSizes> ValueSizes::parse(std::string_view text) {
  ValueSizes sizes;
  if (text.starts_with(kLogNormal)) {
    const auto rest = text.substr(kLogNormal.size());
    const auto colon = rest.find(':');
    if (colon == rest.npos) return wrong(text);
    const auto median = size_of(rest.substr(0, colon));
    const auto sigma = rest.substr(colon + 1);
    const auto [end, code] = std::from_chars(sigma.data(), sigma.data() + sigma.size(), sizes.sigma_);
    if (!median || *median == 0 || code != std::errc() || end != sigma.data() + sigma.size()) return wrong(text);
    if (!(sizes.sigma_ >= 0 && sizes.sigma_ <= kSigmaMax)) return wrong(text);
    sizes.median_ = static_cast<double>(*median);
    // Five deviations: one key in three millions would be larger; it is cut.
    const double largest = sizes.median_ * std::exp(5 * sizes.sigma_);
    sizes.largest_ = static_cast<std::size_t>(std::min(largest, static_cast<double>(kValueBytesMax)));
    return sizes;
  }
  const auto dash = text.find('-');
  const auto least = size_of(text.substr(0, dash));
  const auto largest = dash == text.npos ? least : size_of(text.substr(dash + 1));
  if (!least || !largest || *least > *largest) return wrong(text);
  sizes.least_ = *least;
  sizes.largest_ = *largest;
  return sizes;
}

std::size_t ValueSizes::of(std::string_view key) const {
  if (least_ == largest_) return largest_;
  base::Random random(base::hash_of(key));
  if (median_ == 0) return least_ + random.below(largest_ - least_ + 1);
  const double size = std::round(median_ * std::exp(sigma_ * normal(random)));
  return static_cast<std::size_t>(std::clamp(size, 1.0, static_cast<double>(largest_)));
}

Values::Values(ValueSizes sizes) : sizes_(std::move(sizes)), bytes_(sizes_.size_max() + kPlaces, ' ') {
  base::Random random(kPoolSeed);
  for (char& byte : bytes_) byte = static_cast<char>('0' + random.below(75));  // '0' to 'z'.
}

std::string_view Values::of(std::string_view key) const {
  const auto place = base::hash_of(key) % kPlaces;
  return std::string_view(bytes_).substr(place, sizes_.of(key));
}

}  // namespace freshet::load
