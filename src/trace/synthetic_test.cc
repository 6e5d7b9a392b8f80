// Made-up traces are what their options say, and the same each time.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "trace/synthetic.h"

namespace freshet::trace {
namespace {

TEST(Synthetic, RepeatsExactly) {
  SyntheticOptions options;
  options.requests = 10'000;
  options.habits[0].scan_share = 0.2;
  Synthetic first(options), second(options);
  options.seed = 2;
  Synthetic other(options);
  int different = 0;
  while (!first.done()) {
    const Record record = first.next();
    EXPECT_EQ(record, second.next());
    different += record == other.next() ? 0 : 1;
  }
  EXPECT_GT(different, 9'000);
}

TEST(Synthetic, SizesAreLogNormalAndAnObjectsOwn) {
  SyntheticOptions options;
  options.requests = 200'000;
  std::map<std::uint64_t, std::uint32_t> sizes;
  for (Synthetic synthetic(options); !synthetic.done();) {
    const Record record = synthetic.next();
    EXPECT_EQ(sizes.try_emplace(record.key, record.size).first->second, record.size);
  }
  double sum = 0, squares = 0;
  for (const auto& [key, size] : sizes) {
    sum += std::log(size);
    squares += std::log(size) * std::log(size);
  }
  const auto count = static_cast<double>(sizes.size());
  EXPECT_NEAR(sum / count, std::log(4096), 0.05);
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * sum / count), 1, 0.05);
}

TEST(Synthetic, ScansHaveTheirShareAndAHabitChanges) {
  SyntheticOptions options;
  options.requests = 200'000;
  options.habits = {{.until = 0.5, .objects = 1000, .scan_share = 0.3, .scan_length = 50},
                    {.objects = 1000, .first_object = 5000}};
  std::map<std::uint64_t, int> before, after;
  Synthetic synthetic(options);
  for (std::uint64_t i = 0; !synthetic.done(); ++i) ++(i < options.requests / 2 ? before : after)[synthetic.next().key];
  int once = 0;
  for (const auto& [key, count] : before) once += count == 1 ? 1 : 0;
  EXPECT_NEAR(once, 30'000, 3'000);
  EXPECT_LE(after.size(), 2'000u);  // The new objects, and at most the rest of a scan.
  int shared = 0;
  for (const auto& [key, count] : after) shared += before.contains(key) ? 1 : 0;
  EXPECT_EQ(shared, 0);
}

}  // namespace
}  // namespace freshet::trace
