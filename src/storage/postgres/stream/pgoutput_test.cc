// Every message as the manual lists it, and every way to cut one.
#include "storage/postgres/stream/pgoutput.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "storage/postgres/stream/message_bytes.h"

namespace freshet::storage::postgres::pgoutput {
namespace {

using ::testing::HasSubstr;

template <typename Kind>
Kind decoded(Decoder& decoder, const MessageBytes& bytes) {
  auto message = decoder.decode(bytes.get());
  EXPECT_TRUE(message) << message.error().what;
  if (!message || !std::holds_alternative<Kind>(*message)) {
    ADD_FAILURE() << "another kind of message";
    return {};
  }
  return std::get<Kind>(*message);
}

MessageBytes relation_bytes() {
  MessageBytes bytes('R');
  bytes.four(16384).text("app").text("users").byte('d').two(2);
  bytes.byte(1).text("id").four(23).four(0xffffffff);
  return bytes.byte(0).text("name").four(1043).four(36);
}

MessageBytes update_bytes() {
  MessageBytes bytes('U');
  bytes.four(16384).row('K', {"1", std::nullopt});
  bytes.byte('N').two(4).byte('n').byte('u').byte('t').counted("new").byte('b').counted(std::string_view("\0\1", 2));
  return bytes;
}

std::vector<MessageBytes> one_of_each() {
  return {MessageBytes('B').eight(7).eight(8).four(9),
          MessageBytes('C').byte(0).eight(1).eight(2).eight(3),
          MessageBytes('O').eight(5).text("elsewhere"),
          relation_bytes(),
          MessageBytes('Y').four(17).text("app").text("mood"),
          MessageBytes('I').four(1).row('N', {"a", std::nullopt}),
          update_bytes(),
          MessageBytes('D').four(1).row('O', {"a", "b"}),
          MessageBytes('T').four(2).byte(3).four(11).four(12),
          MessageBytes('M').byte(1).eight(6).text("freshet").counted("content")};
}

TEST(Pgoutput, transactions) {
  Decoder decoder;
  const auto begin = decoded<Begin>(decoder, MessageBytes('B').eight(0x1'0000'0002).eight(3).four(0xfffffffe));
  EXPECT_EQ(begin.commit, 0x1'0000'0002u);
  EXPECT_EQ(begin.committed_at, 3);
  EXPECT_EQ(begin.xid, 0xfffffffeu);
  const auto commit = decoded<Commit>(decoder, MessageBytes('C').byte(0).eight(10).eight(20).eight(30));
  EXPECT_EQ(commit.commit, 10u);
  EXPECT_EQ(commit.end, 20u);
  EXPECT_EQ(commit.committed_at, 30);
  const auto origin_bytes = MessageBytes('O').eight(5).text("elsewhere");
  const auto origin = decoded<Origin>(decoder, origin_bytes);
  EXPECT_EQ(origin.commit, 5u);
  EXPECT_EQ(origin.name, "elsewhere");
  const auto message_bytes = MessageBytes('M').byte(1).eight(6).text("freshet").counted("a\nb");
  const auto message = decoded<LogicalMessage>(decoder, message_bytes);
  EXPECT_TRUE(message.transactional);
  EXPECT_EQ(message.position, 6u);
  EXPECT_EQ(message.prefix, "freshet");
  EXPECT_EQ(message.content, "a\nb");
}

TEST(Pgoutput, descriptions) {
  Decoder decoder;
  const auto bytes = relation_bytes();
  const auto relation = decoded<Relation>(decoder, bytes);
  EXPECT_EQ(relation.id, 16384u);
  EXPECT_EQ(relation.schema, "app");
  EXPECT_EQ(relation.name, "users");
  EXPECT_EQ(relation.identity, 'd');
  ASSERT_EQ(relation.columns.size(), 2u);
  EXPECT_TRUE(relation.columns[0].key);
  EXPECT_EQ(relation.columns[0].name, "id");
  EXPECT_EQ(relation.columns[0].type, 23u);
  EXPECT_EQ(relation.columns[0].modifier, -1);
  EXPECT_FALSE(relation.columns[1].key);
  EXPECT_EQ(relation.columns[1].modifier, 36);
  const auto type_bytes = MessageBytes('Y').four(17).text("app").text("mood");
  const auto type = decoded<Type>(decoder, type_bytes);
  EXPECT_EQ(type.id, 17u);
  EXPECT_EQ(type.schema, "app");
  EXPECT_EQ(type.name, "mood");
}

TEST(Pgoutput, rows) {
  Decoder decoder;
  const auto insert_bytes = MessageBytes('I').four(7).row('N', {"", std::nullopt, "x"});
  const auto insert = decoded<Insert>(decoder, insert_bytes);
  EXPECT_EQ(insert.relation, 7u);
  ASSERT_EQ(insert.row.size(), 3u);
  EXPECT_EQ(insert.row[0].kind, Cell::Kind::text);
  EXPECT_EQ(insert.row[0].bytes, "");
  EXPECT_EQ(insert.row[1].kind, Cell::Kind::null);
  EXPECT_EQ(insert.row[2].bytes, "x");

  const auto keyed = update_bytes();
  const auto update = decoded<Update>(decoder, keyed);
  EXPECT_EQ(update.old, Old::key);
  ASSERT_EQ(update.old_row.size(), 2u);
  EXPECT_EQ(update.old_row[0].bytes, "1");
  ASSERT_EQ(update.row.size(), 4u);
  EXPECT_EQ(update.row[1].kind, Cell::Kind::unchanged);
  EXPECT_EQ(update.row[2].bytes, "new");
  EXPECT_EQ(update.row[3].kind, Cell::Kind::binary);
  EXPECT_EQ(update.row[3].bytes, std::string_view("\0\1", 2));

  const auto plain_bytes = MessageBytes('U').four(7).row('N', {"y"});
  const auto plain = decoded<Update>(decoder, plain_bytes);
  EXPECT_EQ(plain.old, Old::none);
  EXPECT_TRUE(plain.old_row.empty());
  EXPECT_EQ(plain.row[0].bytes, "y");

  const auto erased_bytes = MessageBytes('D').four(7).row('O', {"a", "b"});
  const auto erased = decoded<Delete>(decoder, erased_bytes);
  EXPECT_EQ(erased.old, Old::full);
  ASSERT_EQ(erased.old_row.size(), 2u);
  EXPECT_EQ(erased.old_row[1].bytes, "b");

  const auto truncate = decoded<Truncate>(decoder, MessageBytes('T').four(2).byte(2).four(11).four(12));
  EXPECT_FALSE(truncate.cascade);
  EXPECT_TRUE(truncate.restart_identity);
  EXPECT_THAT(truncate.relations, ::testing::ElementsAre(11, 12));
}

TEST(Pgoutput, every_cut_is_an_error_that_names_its_byte) {
  Decoder decoder;
  for (const auto& whole : one_of_each()) {
    ASSERT_TRUE(decoder.decode(whole.get()));
    for (std::size_t length = 0; length < whole.get().size(); ++length) {
      const auto cut = decoder.decode(std::string_view(whole.get()).substr(0, length));
      ASSERT_FALSE(cut) << whole.get().front() << " cut to " << length;
      EXPECT_THAT(cut.error().what, HasSubstr(" of " + std::to_string(length)));
      EXPECT_EQ(cut.error().code, ErrorCode::corrupted);
    }
    EXPECT_FALSE(decoder.decode(whole.get() + '\0')) << whole.get().front() << " with a byte too many";
  }
}

TEST(Pgoutput, says_what_is_wrong_and_where) {
  Decoder decoder;
  const auto error = [&](const MessageBytes& bytes) {
    auto message = decoder.decode(bytes.get());
    return message ? std::string("none") : message.error().what;
  };
  EXPECT_THAT(error(MessageBytes('Z').four(1)), HasSubstr("kind that protocol version 1 does not have, at byte 0 of 5"));
  EXPECT_THAT(error(MessageBytes('I').four(1).byte('N').two(1).byte('q')), HasSubstr("unknown kind, at byte 8 of 9"));
  EXPECT_THAT(error(MessageBytes('I').four(1).byte('K')), HasSubstr("no new row where one must stand, at byte 5"));
  EXPECT_THAT(error(MessageBytes('D').four(1).byte('N')), HasSubstr("no old row where one must stand, at byte 5"));
  EXPECT_THAT(error(MessageBytes('C').byte(1).eight(1).eight(1).eight(1)), HasSubstr("flags that are not known, at byte 1"));
  EXPECT_THAT(error(MessageBytes('I').four(1).byte('N').two(9999)), HasSubstr("more columns than a table can have"));
  EXPECT_THAT(error(MessageBytes('T').four(0xffffffff).byte(0)), HasSubstr("more tables than is possible"));
  EXPECT_THAT(error(MessageBytes('I').four(1).byte('N').two(1).byte('t').four(0xffffffff)), HasSubstr("length is wrong"));
}

TEST(Pgoutput, random_changes_never_read_outside) {
  const auto seed = base::entropy();
  SCOPED_TRACE("seed " + std::to_string(seed));
  base::Random random(seed);
  Decoder decoder;
  const auto all = one_of_each();
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    // A copy of exactly the message's size, so that the sanitizer sees a byte beyond it.
    const auto& whole = all[random.below(all.size())].get();
    std::vector<char> bytes(whole.begin(), whole.end());
    for (int change = 0; change < 3; ++change) bytes[random.below(bytes.size())] = static_cast<char>(random());
    refused += !decoder.decode({bytes.data(), bytes.size()});
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 20'000);
}

TEST(Pgoutput, envelopes) {
  const auto wal = MessageBytes('w').eight(1).eight(2).eight(3).byte('B').get();
  auto opened = open_envelope(wal);
  ASSERT_TRUE(opened);
  const auto data = std::get<WalData>(*opened);
  EXPECT_EQ(data.start, 1u);
  EXPECT_EQ(data.end, 2u);
  EXPECT_EQ(data.sent_at, 3);
  EXPECT_EQ(data.message, "B");

  const auto keepalive_bytes = MessageBytes('k').eight(0x16'b374d848).eight(3).byte(1).get();
  opened = open_envelope(keepalive_bytes);
  ASSERT_TRUE(opened);
  const auto keepalive = std::get<Keepalive>(*opened);
  EXPECT_EQ(keepalive.end, 0x16'b374d848u);
  EXPECT_TRUE(keepalive.reply_requested);

  for (std::size_t length = 0; length < 25; ++length) EXPECT_FALSE(open_envelope(std::string_view(wal).substr(0, length)));
  for (std::size_t length = 0; length < 18; ++length) {
    EXPECT_FALSE(open_envelope(std::string_view(keepalive_bytes).substr(0, length)));
  }
  EXPECT_FALSE(open_envelope(keepalive_bytes + 'x'));
  EXPECT_FALSE(open_envelope("p"));

  EXPECT_EQ(encode_status(0x0102, 5, true),
            MessageBytes('r').eight(0x0102).eight(0x0102).eight(0x0102).eight(5).byte(1).get());
  EXPECT_EQ(encode_status(1, 5, false).back(), '\0');
}

}  // namespace
}  // namespace freshet::storage::postgres::pgoutput
