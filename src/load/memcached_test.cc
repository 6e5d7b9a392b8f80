// Replies of memcached in random pieces, and what is no reply. tests/bench has a real memcached.
#include "load/memcached.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace freshet::load::memcached {
namespace {

constexpr std::uint64_t kSeeds = 300;
constexpr std::uint32_t kBatch = 5;

// A random reply, and what should be seen of it.
ReplySkimmer::Reply write_random(base::Random& random, std::string& out) {
  const auto value = [&] { return std::string(random.below(200), random.chance(0.5) ? '\n' : 'E'); };
  ReplySkimmer::Reply seen;
  switch (random.below(5)) {
    case 0: out += "STORED\r\n"; break;
    case 1:
      out += "EN\r\n";
      seen.nulls = 1;
      break;
    case 2: {
      const auto text = value();
      out += "VA " + std::to_string(text.size()) + (random.chance(0.5) ? " t0" : "") + "\r\n" + text + "\r\n";
      break;
    }
    case 3:
      seen.error = true;
      seen.error_text = random.chance(0.5) ? "SERVER_ERROR out of memory storing object" : "ERROR";
      out += seen.error_text + "\r\n";
      break;
    default: {
      const auto found = random.below(kBatch + 1);
      for (std::uint64_t i = 0; i < found; ++i) {
        const auto text = value();
        out += "VALUE key:" + std::to_string(i) + " 0 " + std::to_string(text.size()) + "\r\n" + text + "\r\n";
      }
      out += "END\r\n";
      seen.elements = kBatch;
      seen.nulls = kBatch - found;
    }
  }
  return seen;
}

TEST(MemcachedSkimmer, SeesEveryReplyInAnyPieces) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    std::string bytes;
    std::vector<ReplySkimmer::Reply> expected, seen;
    for (int i = 0; i < 20; ++i) expected.push_back(write_random(random, bytes));
    Skimmer skimmer(kBatch);
    const auto largest = random.below(bytes.size()) + 1;
    for (std::string_view rest = bytes; !rest.empty();) {
      const auto piece = rest.substr(0, random.below(largest) + 1);
      ASSERT_TRUE(skimmer.feed(piece, [&](const ReplySkimmer::Reply& reply) { seen.push_back(reply); }));
      rest.remove_prefix(piece.size());
    }
    ASSERT_EQ(seen.size(), expected.size());
    for (std::size_t i = 0; i < seen.size(); ++i) {
      EXPECT_EQ(seen[i].error, expected[i].error);
      EXPECT_EQ(seen[i].error_text, expected[i].error_text);
      EXPECT_EQ(seen[i].elements, expected[i].elements);
      EXPECT_EQ(seen[i].nulls, expected[i].nulls);
    }
  }
}

TEST(MemcachedSkimmer, RefusesWhatIsNoReply) {
  const std::string value = "VALUE k 0 1\r\nx\r\n";
  for (const std::string& text : {std::string("+PONG\r\n"), std::string("\r\n"), std::string("STORED\n"),
                                  std::string("VA\r\n"), std::string("VA x\r\n"), std::string("VA -1\r\n"),
                                  std::string("VA 99999999999999\r\n"), std::string("VALUE k 0\r\n"), value + "STORED\r\n",
                                  value + value}) {
    Skimmer skimmer(1);
    EXPECT_FALSE(skimmer.feed(text, [](const auto&) { ADD_FAILURE() << "no reply came"; })) << text;
  }
  Skimmer skimmer(1);
  EXPECT_FALSE(skimmer.feed(std::string(Skimmer::kLineBytesMax + 1, 'V'), [](const auto&) {}));
}

TEST(Memcached, KnowsItsKeysAndWritesRequests) {
  EXPECT_TRUE(is_key("key:000000000001"));
  EXPECT_TRUE(is_key(std::string(kKeyBytesMax, 'k')));
  for (const std::string& key : {std::string(), std::string(kKeyBytesMax + 1, 'k'), std::string("two words"),
                                std::string("line\n"), std::string("\x7f")}) {
    EXPECT_FALSE(is_key(key)) << key;
  }
  protocol::Buffer out;
  write_get(out, "a");
  write_set(out, "b", "value");
  begin_get_many(out);
  add_key(out, "c");
  add_key(out, "d");
  end_line(out);
  EXPECT_EQ(out.view(), "mg a v\r\nset b 0 0 5\r\nvalue\r\nget c d\r\n");
}

}  // namespace
}  // namespace freshet::load::memcached
