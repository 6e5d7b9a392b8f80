// What is done about a slot, by what the server says of it.
#include "storage/postgres/stream/slot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace freshet::storage::postgres {
namespace {

using ::testing::HasSubstr;
using Kind = SlotStep::Kind;

StreamOptions options_of(bool managed) {
  StreamOptions options;
  options.slot = "s";
  options.publication = "It's \"p\"";
  options.managed = managed;
  options.reuse_lag_bytes_max = 1000;
  return options;
}

ServerFacts standing() {
  ServerFacts facts;
  facts.publication_exists = facts.slot_exists = facts.slot_usable = true;
  return facts;
}

TEST(Slot, that_stands_is_used) {
  EXPECT_EQ(next_step(options_of(true), standing(), {}).kind, Kind::start);
  EXPECT_EQ(next_step(options_of(false), standing(), {}).kind, Kind::start);
}

TEST(Slot, that_is_missing_is_created_only_if_it_is_managed) {
  auto facts = standing();
  facts.slot_exists = false;
  EXPECT_EQ(next_step(options_of(true), facts, {}).kind, Kind::create);
  const auto adopted = next_step(options_of(false), facts, {});
  EXPECT_EQ(adopted.kind, Kind::fail);
  EXPECT_THAT(adopted.why, HasSubstr("SELECT pg_create_logical_replication_slot('s', 'pgoutput')"));
}

TEST(Slot, that_is_lost_is_made_again_only_if_it_is_managed) {
  auto facts = standing();
  facts.slot_lost = true;
  EXPECT_EQ(next_step(options_of(true), facts, {}).kind, Kind::drop);
  EXPECT_THAT(next_step(options_of(false), facts, {}).why,
              HasSubstr("run SELECT pg_drop_replication_slot('s'), then SELECT"));
}

TEST(Slot, of_before_is_used_again_within_a_bound) {
  auto facts = standing();
  facts.slot_lag_bytes = 1000;
  EXPECT_EQ(next_step(options_of(true), facts, {}).kind, Kind::start);
  facts.slot_lag_bytes = 1001;
  EXPECT_EQ(next_step(options_of(true), facts, {}).kind, Kind::drop);
  // A lag that grew while this stream was cut off: what is missing may still come.
  EXPECT_EQ(next_step(options_of(true), facts, {.started = true}).kind, Kind::start);
  EXPECT_EQ(next_step(options_of(false), facts, {}).kind, Kind::start);
}

TEST(Slot, in_use_is_left_alone_unless_by_this_streams_last_session) {
  auto facts = standing();
  facts.slot_process = 77;
  const auto other = next_step(options_of(true), facts, {.last_process = 76});
  EXPECT_EQ(other.kind, Kind::fail);
  EXPECT_THAT(other.why, HasSubstr("server process 77"));
  EXPECT_EQ(next_step(options_of(true), facts, {.last_process = 77}).kind, Kind::end_old_session);
}

TEST(Slot, given_up_is_dropped) {
  EXPECT_EQ(next_step(options_of(true), standing(), {.started = true, .give_up = true}).kind, Kind::drop);
}

TEST(Slot, is_not_looked_at_on_a_standby_or_without_a_publication) {
  auto facts = standing();
  facts.publication_exists = false;
  EXPECT_THAT(next_step(options_of(true), facts, {}).why, HasSubstr("CREATE PUBLICATION \"It's \"\"p\"\"\""));
  facts.standby = true;
  EXPECT_THAT(next_step(options_of(true), facts, {}).why, HasSubstr("standby"));
  facts = standing();
  facts.slot_usable = false;
  EXPECT_THAT(next_step(options_of(true), facts, {}).why, HasSubstr("another name"));
}

TEST(Slot, commands_quote_names) {
  EXPECT_EQ(start_command(options_of(true), 0x16'b374d848),
            "START_REPLICATION SLOT \"s\" LOGICAL 16/B374D848 (proto_version '1', publication_names '\"It''s \"\"p\"\"\"')");
  EXPECT_EQ(create_slot_command(options_of(true)), "CREATE_REPLICATION_SLOT \"s\" LOGICAL pgoutput NOEXPORT_SNAPSHOT");
  EXPECT_EQ(drop_slot_command(options_of(true), true), "DROP_REPLICATION_SLOT \"s\" WAIT");
}

}  // namespace
}  // namespace freshet::storage::postgres
