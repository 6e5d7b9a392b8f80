// Tests of memory/segments/record.h: what was written is what is read, in as few bytes as the format says.
#include "memory/segments/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace freshet::memory::segments {
namespace {

void expect_same(const Contents& written, char* at) {
  const Record record(at);
  for (const Head& head : {record.head(), Record::glimpse(at)}) {
    RC_ASSERT(head.bytes() == Record::bytes_of(written));
    RC_ASSERT(record.key(head) == written.key);
    RC_ASSERT(head.value_bytes == written.value.size());
    RC_ASSERT(record.value(head).data() == written.outside || record.value(head) == written.value);
    RC_ASSERT(head.version == written.version);
    RC_ASSERT(head.expires_at_ms == written.expires_at_ms);
    RC_ASSERT(head.witness == written.witness);
    RC_ASSERT(head.present == written.present);
    RC_ASSERT(head.outside == (written.outside != nullptr));
    RC_ASSERT(head.kind == written.kind);
    RC_ASSERT(!head.dead && head.policy == 0);
  }
}

// A number of any size in bits up to so many.
std::uint64_t any_bits(base::Random& random, unsigned bits) { return random() >> (64 - bits) >> random.below(bits); }

TEST(Record, SaysWhatWasWritten) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    base::Random random(seed);
    const std::string key(random.below(random.chance(0.2) ? 70'000 % Record::kKeyBytesMax : 300), 'k');
    const std::string value(random.below(random.chance(0.1) ? 100'000 : 600), 'v');
    Contents contents;
    contents.key = key;
    contents.value = value;
    if (random.chance(0.2)) contents.outside = value.data();
    contents.version = any_bits(random, 64);
    if (random.chance(0.3)) contents.expires_at_ms = static_cast<std::int64_t>(any_bits(random, 48));
    contents.witness = static_cast<std::uint16_t>(random());
    contents.present = random.chance(0.8);
    if (random.chance(0.3)) contents.kind = base::ValueKind::hash;
    std::vector<char> memory(Record::bytes_of(contents) + Record::kHeadBytesMax + 3, '\xff');
    char* const at = memory.data() + random.below(3);
    Record::write(contents, at);
    RC_ASSERT(at[Record::bytes_of(contents)] == '\xff');
    expect_same(contents, at);
  }));
}

TEST(Record, SmallOnesTakeTwelveBytesBesideKeyAndValue) {
  Contents contents{.key = "key", .value = "value", .version = (std::uint64_t{1} << 48) - 1};
  EXPECT_EQ(Record::bytes_of(contents), 12u + 8);
  const std::string large(256, 'v');
  contents.value = large;
  EXPECT_EQ(Record::bytes_of(contents), 13u + 3 + 256);
  contents.expires_at_ms = Record::kExpiryMax;
  EXPECT_EQ(Record::bytes_of(contents), 19u + 3 + 256);
  contents.outside = large.data();
  EXPECT_EQ(Record::bytes_of(contents), 19u + 3 + 8);
}

// Readers of the usual shape alone look at no kind.
TEST(Record, AHashNeverHasTheUsualShape) {
  for (const std::size_t bytes : {0, 1, 300, 70'000}) {
    const std::string value(bytes, 'v');
    std::vector<char> memory(bytes + 2 * Record::kHeadBytesMax);
    Contents contents{.key = "key", .value = value, .version = 7};
    Record::write(contents, memory.data());
    EXPECT_EQ(UsualHead::glimpse(memory.data()).has(0), bytes < 256);
    contents.kind = base::ValueKind::hash;
    Record::write(contents, memory.data());
    EXPECT_FALSE(UsualHead::glimpse(memory.data()).has(0));
    EXPECT_EQ(Record::bytes_of(contents), 15u + 3 + bytes);
  }
}

TEST(Record, ThePolicysByteAndDeathLeaveTheRestAlone) {
  const Contents contents{.key = "key", .value = "value", .version = 7, .witness = 3};
  char memory[64];
  Record::write(contents, memory);
  Record record(memory);
  record.set_policy(0xab);
  record.kill();
  const Head head = record.head();
  EXPECT_EQ(head.policy, 0xab);
  EXPECT_EQ(record.policy(), 0xab);
  EXPECT_TRUE(head.dead);
  EXPECT_EQ(record.key(head), "key");
  EXPECT_EQ(record.value(head), "value");
  EXPECT_EQ(head.version, 7u);
}

}  // namespace
}  // namespace freshet::memory::segments
