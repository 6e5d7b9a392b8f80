// Rejection-inversion. The integral is written with expm1 and log1p, so that exponents near 1 lose no digits.
#include "base/zipf.h"

#include <algorithm>
#include <cmath>

namespace freshet::base {
namespace {

// Below this the quotients' limits are exact to the last bit that matters.
constexpr double kTiny = 1e-8;

// (e^x - 1) / x.
double expm1_over(double x) { return std::abs(x) > kTiny ? std::expm1(x) / x : 1 + x / 2; }
// ln(1 + x) / x.
double log1p_over(double x) { return std::abs(x) > kTiny ? std::log1p(x) / x : 1 - x / 2; }

}  // namespace

Zipf::Zipf(std::uint64_t items, double exponent)
    : items_(static_cast<double>(items)),
      exponent_(exponent),
      lowest_(integral(1.5) - 1),
      highest_(integral(items_ + 0.5)),
      sure_(2 - inverse_integral(integral(2.5) - curve(2))) {}

double Zipf::integral(double x) const {
  const double log_x = std::log(x);
  return expm1_over((1 - exponent_) * log_x) * log_x;
}

double Zipf::inverse_integral(double y) const {
  const double t = std::max(y * (1 - exponent_), -1.0);  // Rounding must not carry it past the pole.
  return std::exp(log1p_over(t) * y);
}

double Zipf::curve(double x) const { return std::exp(-exponent_ * std::log(x)); }

std::uint64_t Zipf::draw(Random& random) const {
  while (true) {
    const double y = highest_ + random.share() * (lowest_ - highest_);
    const double x = inverse_integral(y);
    const double rank = std::clamp(std::round(x), 1.0, items_);
    if (rank - x <= sure_ || y >= integral(rank + 0.5) - curve(rank)) return static_cast<std::uint64_t>(rank);
  }
}

}  // namespace freshet::base
