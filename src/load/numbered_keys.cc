// Keys that are a prefix and a number.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <numeric>

#include "base/random.h"
#include "load/keys.h"
#include "base/zipf.h"

namespace freshet::load {
namespace {

constexpr std::size_t kDigits = 12;
constexpr double kZipfExponentMax = 10;

// Writes numbers behind a prefix, two digits at a time.
class KeyText {
 public:
  explicit KeyText(std::string_view prefix) : text_(std::string(prefix) + std::string(kDigits, '0')) {}

  std::string_view of(std::uint64_t number) {
    char* const digits = text_.data() + text_.size() - kDigits;
    for (std::size_t at = kDigits; at > 0; at -= 2, number /= 100) {
      std::memcpy(digits + at - 2, &kPairs[2 * (number % 100)], 2);
    }
    return text_;
  }

 private:
  static constexpr auto kPairs = [] {
    std::array<char, 200> pairs{};
    for (std::size_t i = 0; i < 100; ++i) {
      pairs[2 * i] = static_cast<char>('0' + i / 10);
      pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
  }();

  std::string text_;
};

class UniformSource final : public KeySource {
 public:
  UniformSource(std::string_view prefix, std::uint64_t count, std::uint64_t seed)
      : text_(prefix), random_(seed), count_(count) {}
  std::string_view next() override { return text_.of(random_.below(count_)); }

 private:
  KeyText text_;
  base::Random random_;
  const std::uint64_t count_;
};

class ZipfSource final : public KeySource {
 public:
  ZipfSource(std::string_view prefix, std::uint64_t count, std::uint64_t stride, const base::Zipf& zipf, std::uint64_t seed)
      : text_(prefix), random_(seed), zipf_(zipf), count_(count), stride_(stride) {}
  std::string_view next() override {
    const auto spread = static_cast<__uint128_t>(zipf_.draw(random_) - 1) * stride_ % count_;
    return text_.of(static_cast<std::uint64_t>(spread));
  }

 private:
  KeyText text_;
  base::Random random_;
  const base::Zipf zipf_;
  const std::uint64_t count_;
  const std::uint64_t stride_;
};

class EachNumber final : public KeySource {
 public:
  EachNumber(std::string_view prefix, std::uint64_t first, std::uint64_t last) : text_(prefix), next_(first), last_(last) {}
  std::string_view next() override { return next_ < last_ ? text_.of(next_++) : std::string_view(); }

 private:
  KeyText text_;
  std::uint64_t next_;
  const std::uint64_t last_;
};

// Near the golden section of `count`, and without a common divisor: its multiples visit every number once, none near the one
// before.
std::uint64_t stride_for(std::uint64_t count) {
  auto stride = static_cast<std::uint64_t>(static_cast<double>(count) * 0.6180339887498949) | 1;
  while (std::gcd(stride, count) != 1) ++stride;
  return stride;
}

class NumberedKeys final : public KeySet {
 public:
  NumberedKeys(std::string_view prefix, std::uint64_t count, double exponent)
      : prefix_(prefix), count_(count), exponent_(exponent), stride_(stride_for(count)), zipf_(count, exponent) {}

  std::uint64_t size() const override { return count_; }
  std::unique_ptr<KeySource> draws(std::uint64_t seed) override {
    if (exponent_ == 0) return std::make_unique<UniformSource>(prefix_, count_, seed);
    return std::make_unique<ZipfSource>(prefix_, count_, stride_, zipf_, seed);
  }
  std::unique_ptr<KeySource> each(std::uint64_t first, std::uint64_t last) override {
    return std::make_unique<EachNumber>(prefix_, first, last);
  }
  std::string to_text() const override {
    return fmt::format("{} keys, {}", count_, exponent_ == 0 ? "uniform" : fmt::format("Zipf {}", exponent_));
  }

 private:
  const std::string prefix_;
  const std::uint64_t count_;
  const double exponent_;
  const std::uint64_t stride_;
  const base::Zipf zipf_;
};

}  // namespace

Result<std::shared_ptr<KeySet>> numbered_keys(std::string_view prefix, std::uint64_t count, double zipf_exponent) {
  if (count == 0 || count > kKeysMax) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} keys cannot be numbered", count),
                     fmt::format("give 1 to {}", kKeysMax));
  }
  if (!(zipf_exponent >= 0 && zipf_exponent <= kZipfExponentMax)) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} is no exponent of Zipf's law here", zipf_exponent),
                     fmt::format("give 0 to {}; web traffic is near 1", kZipfExponentMax));
  }
  if (prefix.size() + kDigits > kKeyBytesMax) {
    return Error::of(ErrorCode::invalid_argument, "the prefix is too long", fmt::format("keys have {} bytes", kKeyBytesMax));
  }
  return std::shared_ptr<KeySet>(std::make_shared<NumberedKeys>(prefix, count, zipf_exponent));
}

}  // namespace freshet::load
