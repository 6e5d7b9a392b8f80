// The skimmer against the parser that keeps everything, over random replies in random pieces.
#include "load/reply_skimmer.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "protocol/buffer.h"
#include "protocol/reply.h"
#include "protocol/reply_writer.h"

namespace freshet::load {
namespace {

using protocol::Reply;
using protocol::ReplyType;

constexpr std::uint64_t kSeeds = 500;
constexpr int kReplies = 20;

void write_random(base::Random& random, protocol::ReplyWriter& out, int depth) {
  switch (random.below(depth > 0 ? 8 : 7)) {
    case 0: return out.ok();
    case 1: return out.error("ERR number " + std::to_string(random.below(100)));
    case 2: return out.integer(static_cast<std::int64_t>(random()));
    case 3: return out.null();
    case 4: return out.null_array();
    case 5: return out.bulk("");
    case 6: return out.bulk(std::string(random.below(300), random.chance(0.5) ? '\n' : '$'));
    default: {
      const auto items = random.below(5);
      out.array(items);
      for (std::uint64_t i = 0; i < items; ++i) write_random(random, out, depth - 1);
    }
  }
}

// What the skimmer should say of a reply.
void add_up(const Reply& reply, ReplySkimmer::Reply& sum) {
  if (reply.is_null()) ++sum.nulls;
  if (reply.is_error() && !sum.error) sum.error_text = reply.text;
  sum.error = sum.error || reply.is_error();
  for (const Reply& item : reply.items) add_up(item, sum);
}

TEST(ReplySkimmer, AgreesWithTheParser) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    protocol::Buffer bytes;
    protocol::ReplyWriter writer(bytes);
    for (int i = 0; i < kReplies; ++i) write_random(random, writer, 3);
    protocol::ReplyParser parser;
    parser.feed(bytes.view());

    ReplySkimmer skimmer;
    std::vector<ReplySkimmer::Reply> skimmed;
    const auto largest = random.below(bytes.size()) + 1;
    for (auto rest = bytes.view(); !rest.empty();) {
      const auto piece = rest.substr(0, random.below(largest) + 1);
      ASSERT_TRUE(skimmer.feed(piece, [&](const ReplySkimmer::Reply& reply) { skimmed.push_back(reply); }));
      rest.remove_prefix(piece.size());
    }
    ASSERT_EQ(skimmed.size(), static_cast<std::size_t>(kReplies));
    for (const auto& seen : skimmed) {
      const auto parsed = parser.next();
      ASSERT_TRUE(parsed && *parsed);
      ReplySkimmer::Reply expected;
      add_up(**parsed, expected);
      if ((*parsed)->is(ReplyType::array)) expected.elements = (*parsed)->items.size();
      EXPECT_EQ(seen.error, expected.error);
      EXPECT_EQ(seen.error_text, expected.error_text);
      EXPECT_EQ(seen.nulls, expected.nulls);
      EXPECT_EQ(seen.elements, expected.elements);
    }
  }
}

TEST(ReplySkimmer, RefusesWhatIsNoReply) {
  const std::string endless(ReplySkimmer::kLineBytesMax + 1, '+');
  for (const std::string text : {"HTTP/1.1 400 Bad Request\r\n", "\r\n", "+OK\n", "$x\r\n", "$-2\r\n", "*-2\r\n", "$\r\n",
                                 "$99999999999999\r\n", "*99999999999999\r\n", "%1\r\n+a\r\n+b\r\n"}) {
    ReplySkimmer skimmer;
    EXPECT_FALSE(skimmer.feed(text, [](const auto&) { ADD_FAILURE() << "no reply came"; })) << text;
  }
  ReplySkimmer skimmer;
  EXPECT_FALSE(skimmer.feed(endless, [](const auto&) {}));
}

}  // namespace
}  // namespace freshet::load
