// What is written: values of a fixed size, of sizes within a range, or log-normal ones. A key's value has the same size
// whenever and to whomever it is written, so that two targets hold the same. May use base only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "freshet/result.h"

namespace freshet::load {

inline constexpr std::size_t kValueBytesMax = 64 * 1024 * 1024;

class ValueSizes {
 public:
  // "100", "4KiB"; "100-1000": any of them as often; "lognormal:MEDIAN:SIGMA": the size's logarithm is normal with the
  // deviation SIGMA (web objects: 1 to 2).
  static Result<ValueSizes> parse(std::string_view text);

  std::size_t of(std::string_view key) const;
  std::size_t size_max() const { return largest_; }

 private:
  std::size_t least_ = 0;    // Of a range.
  std::size_t largest_ = 0;
  double median_ = 0;        // 0: not log-normal.
  double sigma_ = 0;
};

class Values {
 public:
  explicit Values(ValueSizes sizes);
  // The view holds as long as this object.
  std::string_view of(std::string_view key) const;

 private:
  const ValueSizes sizes_;
  std::string bytes_;  // Random letters, which no compression shrinks to nothing; a value is some stretch of them.
};

}  // namespace freshet::load
