// The form of hashes: round trips, what changes do, bytes that are none, and the limits.
#include "storage/hash_fields.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace freshet::storage {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_in(const Result<std::vector<HashField>>& fields) {
  Pairs pairs;
  if (!fields) return {{"error", fields.error().what}};
  for (const auto& [name, value] : *fields) pairs.emplace_back(name, value);
  return pairs;
}

std::string bytes_of(const Pairs& pairs) {
  HashFields hash;
  for (const auto& [name, value] : pairs) hash.set(name, value);
  return *hash.write();
}

TEST(HashFields, TheLayoutIsTheDocumentedOne) {
  EXPECT_EQ(bytes_of({{"f", "value"}, {"", ""}}), std::string("\x01\x02\x01"
                                                              "f"
                                                              "\x05value\x00\x00",
                                                              12));
  const auto bytes = bytes_of({{"n", std::string(300, 'v')}});
  EXPECT_EQ(bytes.substr(0, 6), std::string("\x01\x01\x01n\xac\x02"));
  EXPECT_EQ(bytes.size(), 306u);
}

TEST(HashFields, FieldsStayInTheOrderInWhichTheyCame) {
  HashFields hash;
  EXPECT_TRUE(hash.set("b", "1"));
  EXPECT_TRUE(hash.set("a", "2"));
  EXPECT_TRUE(hash.set("c", "3"));
  EXPECT_FALSE(hash.set("b", "4"));
  EXPECT_TRUE(hash.erase("a"));
  EXPECT_FALSE(hash.erase("a"));
  EXPECT_FALSE(hash.erase("none"));
  EXPECT_TRUE(hash.set("a", "5"));
  EXPECT_EQ(hash.size(), 3u);
  EXPECT_EQ(hash.find("a"), "5");
  EXPECT_EQ(hash.find("none"), std::nullopt);
  const auto bytes = hash.write();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(pairs_in(read_hash(*bytes)), (Pairs{{"b", "4"}, {"c", "3"}, {"a", "5"}}));
  EXPECT_EQ(*hash_size(*bytes), 3u);
  EXPECT_EQ(*find_in_hash(*bytes, "c"), "3");
  EXPECT_EQ(*find_in_hash(*bytes, "d"), std::nullopt);
}

// Against a list of pairs, with changes enough that places are looked up by the index as well.
RC_GTEST_PROP(HashFields, ChangesAreThoseOfAList, ()) {
  const auto name = [] { return std::to_string(*rc::gen::inRange(0, 12)); };
  Pairs model;
  std::string bytes;
  const auto rounds = *rc::gen::inRange(1, 4);
  for (int round = 0; round < rounds; ++round) {
    const auto before = bytes;  // The fields are views into it.
    auto hash = before.empty() ? HashFields() : *HashFields::read(before);
    std::vector<std::string> kept;
    kept.reserve(200);
    const auto changes = *rc::gen::inRange(0, 60);
    for (int i = 0; i < changes; ++i) {
      const auto& key = kept.emplace_back(name());
      const auto at = std::find_if(model.begin(), model.end(), [&](const auto& pair) { return pair.first == key; });
      const bool known = at != model.end();
      switch (*rc::gen::inRange(0, 4)) {
        case 0:
          RC_ASSERT(hash.erase(key) == known);
          if (known) model.erase(at);
          break;
        case 1: RC_ASSERT(hash.find(key).has_value() == known); break;
        default: {
          const auto& value = kept.emplace_back(*rc::gen::arbitrary<std::string>());
          RC_ASSERT(hash.set(key, value) == !known);
          if (known) at->second = value;
          else model.emplace_back(key, value);
        }
      }
      RC_ASSERT(hash.size() == model.size());
    }
    bytes = model.empty() ? std::string() : *hash.write();
    if (!bytes.empty()) RC_ASSERT(pairs_in(read_hash(bytes)) == model);
    for (const auto& [key, value] : model) RC_ASSERT(*find_in_hash(bytes, key) == value);
  }
}

std::string rewritten(const std::vector<HashField>& fields) {
  HashFields hash;
  for (const auto& [name, value] : fields) hash.set(name, value);
  return *hash.write();
}

// Whatever the bytes: corrupted, or the only spelling of what they are read as.
RC_GTEST_PROP(HashFields, ArbitraryBytesAreCorruptedOrCanonical, ()) {
  auto bytes = *rc::gen::container<std::string>(rc::gen::element('\0', '\1', '\2', '\3', 'a', 'b', '\x80', '\xff'));
  if (*rc::gen::arbitrary<bool>()) bytes = "\1" + bytes;
  const auto fields = read_hash(bytes);
  if (!fields) {
    RC_ASSERT(fields.error().code == ErrorCode::corrupted);
    return;
  }
  RC_ASSERT(*hash_size(bytes) == fields->size());
  for (const auto& field : *fields) RC_ASSERT(find_in_hash(bytes, field.name)->has_value());
  std::vector<std::string_view> names;
  for (const auto& field : *fields) names.push_back(field.name);
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) == names.end()) RC_ASSERT(rewritten(*fields) == bytes);
}

TEST(HashFields, EveryBeginningOfAHashIsCorrupted) {
  const auto bytes = bytes_of({{"name", "value"}, {"other", std::string(200, 'v')}});
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(read_hash(bytes.substr(0, length))) << length;
    EXPECT_FALSE(HashFields::read(bytes.substr(0, length))) << length;
    EXPECT_FALSE(find_in_hash(bytes.substr(0, length), "none")) << length;
  }
}

TEST(HashFields, OtherFormsAreCorrupted) {
  for (const std::string& bytes : {
           std::string(),
           std::string("\x02\x01\x00\x00", 4),                          // Another format.
           std::string("\x01\x00", 2),                                  // No field.
           std::string("\x01\x02\x00\x00", 4),                          // Fewer fields than it says,
           std::string("\x01\x01\x00\x00\x00", 5),                      // or more bytes.
           std::string("\x01\x81\x00\x00\x00", 5),                      // A number in more bytes than it takes,
           std::string("\x01\xff\xff\xff\xff\x7f\x00\x00", 8),          // beyond 2^32,
           std::string("\x01\x80\x80\x80\x80\x80\x01\x00\x00", 9),      // or without an end;
           std::string("\x01\x01\xff\xff\xff\xff\x0f\x00", 8),          // a length beyond the end.
       }) {
    const auto fields = read_hash(bytes);
    ASSERT_FALSE(fields);
    EXPECT_EQ(fields.error().code, ErrorCode::corrupted);
  }
}

TEST(HashFields, TooManyFieldsOrBytesAreRefused) {
  HashFields many;
  std::vector<std::string> names(kHashFieldsMax + 1);
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = std::to_string(i);
  for (std::size_t i = 0; i < kHashFieldsMax; ++i) many.set(names[i], "");
  EXPECT_TRUE(many.write());
  many.set(names.back(), "");
  const auto refused = many.write();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::out_of_range);
  EXPECT_NE(refused.error().what.find("65537 fields"), std::string::npos) << refused.error().what;
  many.erase(names.front());
  EXPECT_TRUE(many.write());

  // Format, count, name with its length, the length of the value in four bytes.
  const std::string value(kHashBytesMax - 1 - 1 - 2 - 4, 'v');
  HashFields large;
  large.set("n", value);
  ASSERT_TRUE(large.write());
  EXPECT_EQ(large.write()->size(), kHashBytesMax);
  const auto longer = value + "v";
  large.set("n", longer);
  const auto too_large = large.write();
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().code, ErrorCode::out_of_range);
}

}  // namespace
}  // namespace freshet::storage
