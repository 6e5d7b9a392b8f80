// Composite keys: joining and splitting are each other's inverse, and no two rows share a key.
#include "storage/collection.h"

#include "storage/passed_keys.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace freshet::storage {
namespace {

using Parts = std::vector<std::string>;

std::string joined(const Parts& parts) { return join_key("c", {parts.begin(), parts.end()}); }
std::string_view behind_prefix(std::string_view key) { return key.substr(prefix_of(key).size() + 1); }

// Mostly the characters that matter.
Parts some_parts(std::size_t count) {
  const auto character = rc::gen::oneOf(rc::gen::element(':', '\\', 'a'), rc::gen::arbitrary<char>());
  Parts parts;
  while (parts.size() < count) parts.push_back(*rc::gen::container<std::string>(character));
  return parts;
}

// Whatever stands in keys, their notes give them back; and whatever somebody else wrote is read without harm.
RC_GTEST_PROP(PassedKeys, notes_give_the_keys_back, ()) {
  const auto character = rc::gen::oneOf(rc::gen::element('\x1e', '\x1f', '0', '1'), rc::gen::arbitrary<char>());
  const auto keys = *rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(character));
  std::string notes;
  for (const auto& key : keys) notes += note_passed(key);
  RC_ASSERT(read_passed(notes) == keys);
  read_passed(*rc::gen::container<std::string>(character));
}

RC_GTEST_PROP(CompositeKey, split_is_the_inverse_of_join, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 5);
  const auto parts = some_parts(count);
  const auto key = joined(parts);
  RC_ASSERT(prefix_of(key) == "c");
  RC_ASSERT(split_key(behind_prefix(key), count) == std::optional(parts));
}

RC_GTEST_PROP(CompositeKey, different_parts_have_different_keys, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 4);
  // Short parts of few letters, so that near misses are common.
  const auto word = rc::gen::resize(3, rc::gen::container<std::string>(rc::gen::element(':', '\\', 'a')));
  Parts a, b;
  for (std::size_t i = 0; i < count; ++i) {
    a.push_back(*word);
    b.push_back(*word);
  }
  RC_ASSERT((joined(a) == joined(b)) == (a == b));
}

// What can be split is what join would have written: one row, one spelling.
RC_GTEST_PROP(CompositeKey, join_is_the_inverse_of_split, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 4);
  const auto text = *rc::gen::container<std::string>(rc::gen::element(':', '\\', 'a'));
  if (const auto parts = split_key(text, count)) RC_ASSERT(joined(*parts) == "c:" + text);
}

TEST(CompositeKey, Spellings) {
  EXPECT_EQ(joined({"17"}), "c:17");
  EXPECT_EQ(joined({"a:b\\c"}), "c:a:b\\c");
  EXPECT_EQ(joined({"a:b", "c\\d", ""}), "c:a\\:b:c\\\\d:");
  EXPECT_EQ(joined({}), "c:");
  EXPECT_EQ(split_key("a:b", 3), std::nullopt);
  EXPECT_EQ(split_key("a:b:c", 2), std::nullopt);
  EXPECT_EQ(split_key("a:b\\", 2), std::nullopt);
  EXPECT_EQ(split_key("a:b\\c", 2), std::nullopt);
  EXPECT_EQ(split_key("x", 0), std::nullopt);
  EXPECT_EQ(prefix_of("none"), "");
}

}  // namespace
}  // namespace freshet::storage
