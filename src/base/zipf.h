// Zipf's law: of `items`, the k-th most popular is drawn in proportion to 1/k^exponent.
//
// By rejection-inversion (Hörmann, Derflinger: "Rejection-inversion to generate variates from monotone discrete
// distributions", ACM TOMACS 6(3), 1996): a point under the continuous curve 1/x^exponent is drawn by its inverse integral
// and rounded to a whole rank; the little that the rounding gives too much is rejected. No table, about one draw in twenty
// is repeated, whatever the number of items. May use base/random.h only.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace freshet::base {

class Zipf {
 public:
  // items >= 1, exponent >= 0 (0: uniform).
  Zipf(std::uint64_t items, double exponent);
  // A rank, 1 the most popular, up to `items`.
  std::uint64_t draw(Random& random) const;

 private:
  double integral(double x) const;          // Of the curve, from 1 to x.
  double inverse_integral(double y) const;
  double curve(double x) const;

  double items_;
  double exponent_;
  double lowest_;    // The integral's values that ranks 1 and `items` reach out to.
  double highest_;
  double sure_;      // A rank no farther above its point than this is never rejected.
};

}  // namespace freshet::base
