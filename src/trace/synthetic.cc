// See trace/synthetic.h.
#include "trace/synthetic.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace freshet::trace {
namespace {

// Scanned objects are numbered from here: no habit's objects reach it.
constexpr std::uint64_t kFirstScanned = std::uint64_t{1} << 62;

}  // namespace

Synthetic::Synthetic(const SyntheticOptions& options) : options_(options), random_(options.seed) {
  for (const Habit& habit : options_.habits) zipfs_.emplace_back(habit.objects, habit.skew);
}

Record Synthetic::next() {
  const double share = static_cast<double>(number_) / static_cast<double>(options_.requests);
  while (habit_ + 1 < options_.habits.size() && share >= options_.habits[habit_].until) ++habit_;
  const std::uint64_t object = next_object();
  Record record;
  record.key = mix(object);
  record.size = size_of(object);
  record.time_s = static_cast<std::uint32_t>(number_++ / std::max(1U, options_.requests_per_s));
  return record;
}

std::uint64_t Synthetic::next_object() {
  const Habit& habit = options_.habits[habit_];
  // A scan begins so often that its requests make up their share.
  const double begin = habit.scan_share / (static_cast<double>(habit.scan_length) * (1 - std::min(habit.scan_share, 0.999)));
  if (scan_left_ == 0 && habit.scan_share > 0 && random_.chance(begin)) scan_left_ = habit.scan_length;
  if (scan_left_ > 0) {
    --scan_left_;
    return kFirstScanned + scan_object_++;
  }
  return habit.first_object + zipfs_[habit_].draw(random_);
}

// Drawn from the object's own number: it is the same each time.
std::uint32_t Synthetic::size_of(std::uint64_t object) const {
  base::Random own(mix(object) ^ options_.seed);
  const double radius = std::sqrt(-2 * std::log(1 - own.share()));
  const double normal = radius * std::cos(2 * std::numbers::pi * own.share());
  const double size = options_.size_median * std::exp(options_.size_sigma * normal);
  return static_cast<std::uint32_t>(std::clamp(size, 1.0, static_cast<double>(options_.size_max)));
}

}  // namespace freshet::trace
