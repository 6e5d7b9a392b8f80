// The storage contract, part five: what a value is. Included by storage_contract.h only.
#pragma once

#include <string>
#include <vector>

#include "storage_contract_mutations.h"

namespace freshet::testing {

using storage::ValueKind;

TEST_P(StorageContract, a_hash_is_read_as_one) {
  const auto outcome = apply(put_hash("h", "fields"));
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_EQ(outcome->after.kind, ValueKind::hash);
  EXPECT_EQ(outcome->after.value, "fields");
  expect_same(outcome->after, state_of("h"));
  must(put("s", "string"));
  const auto reply = calls().read({"s", "h", "none"});
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->states[0].kind, ValueKind::string);
  EXPECT_EQ(reply->states[1].kind, ValueKind::hash);
  EXPECT_EQ(reply->states[2].kind, ValueKind::string);
}

TEST_P(StorageContract, a_long_keys_value_has_a_kind_too) {
  const std::string key(storage::kKeyBytesMax, 'k');
  must(put_hash(key, "fields"));
  EXPECT_EQ(state_of(key).kind, ValueKind::hash);
  must(put(key, "string"));
  EXPECT_EQ(state_of(key).kind, ValueKind::string);
}

// By every way of a put: plain, with a deadline of either form, on a condition, several at once.
TEST_P(StorageContract, every_put_says_what_its_value_is) {
  const std::vector<storage::Mutation> puts = {put("k", "v"), expiring(put("k", "v"), Expiry::Mode::after, 60'000),
                                               expiring(put("k", "v"), Expiry::Mode::at, database_ms() + 60'000),
                                               expiring(put("k", "v"), Expiry::Mode::keep),
                                               on(Condition::if_present, put("k", "v"))};
  for (const auto& written : puts) {
    auto hash = written;
    hash.value_kind = ValueKind::hash;
    for (const auto& before : {put("k", "before"), put_hash("k", "before")}) {
      must(before);
      EXPECT_EQ(must(written).kind, ValueKind::string);
      EXPECT_EQ(state_of("k").kind, ValueKind::string);
      must(before);
      EXPECT_EQ(must(hash).kind, ValueKind::hash);
      EXPECT_EQ(state_of("k").kind, ValueKind::hash);
    }
  }
  must(put_hash("a", "fields"));
  must(put("b", "string"));
  const auto reply = calls().write(guarded({put("a", "now a string"), put_hash("b", "now fields"), put_hash("c", "new")}));
  ASSERT_TRUE(reply) << reply.error().what;
  for (const auto& [key, place] : {std::pair("a", 0), std::pair("b", 1), std::pair("c", 2)}) {
    ASSERT_TRUE(reply->at(static_cast<std::size_t>(place)));
    expect_same(reply->at(static_cast<std::size_t>(place))->after, state_of(key));
  }
  EXPECT_EQ(state_of("a").kind, ValueKind::string);
  EXPECT_EQ(state_of("b").kind, ValueKind::hash);
}

TEST_P(StorageContract, what_only_strings_can_do_leaves_a_hash_as_it_is) {
  const auto written = must(put_hash("h", "12"));
  for (const auto& mutation :
       {increment("h", 1), append("h", "3"), wanting_before(put("h", "v")), wanting_before(put_hash("h", "v")),
        wanting_before(erase("h")), wanting_before(on(Condition::if_absent, put("h", "v"))),
        wanting_before(on(Condition::if_present, erase("h")))}) {
    const auto outcome = apply(mutation);
    ASSERT_FALSE(outcome);
    EXPECT_TRUE(storage::is_wrong_kind(outcome.error())) << outcome.error().what;
    expect_same(state_of("h"), written);
  }
  must(put("s", "no number"));
  const auto outcome = apply(increment("s", 1));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::wrong_type);
  EXPECT_FALSE(storage::is_wrong_kind(outcome.error())) << "a string that is no number is another matter";
}

TEST_P(StorageContract, a_hash_in_the_way_holds_up_all_or_nothing) {
  must(put_hash("h", "fields"));
  auto request = guarded({put("a", "1"), increment("h", 1)});
  request.all_or_nothing = true;
  const auto reply = calls().write(std::move(request));
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_TRUE(reply->at(0));
  EXPECT_FALSE(reply->at(0)->applied);
  ASSERT_FALSE(reply->at(1));
  EXPECT_TRUE(storage::is_wrong_kind(reply->at(1).error()));
  EXPECT_FALSE(state_of("a").present);
}

TEST_P(StorageContract, a_condition_that_fails_tells_the_kind_of_what_is_there) {
  const auto written = must(put_hash("h", "fields"));
  expect_same(must_not(on(Condition::if_absent, put("h", "v"))), written);
  expect_same(must_not(on(Condition::if_version, put("h", "v"), written.version + 1)), written);
  EXPECT_EQ(must(on(Condition::if_version, put_hash("h", "more"), written.version)).kind, ValueKind::hash);
}

TEST_P(StorageContract, a_deadline_leaves_the_kind) {
  must(put_hash("h", "fields"));
  const auto touched = must(touch("h", {Expiry::Mode::after, 60'000}));
  EXPECT_EQ(touched.kind, ValueKind::hash);
  EXPECT_EQ(touched.value, "fields");
  expect_same(touched, state_of("h"));
  EXPECT_EQ(must(touch("h", {Expiry::Mode::clear})).kind, ValueKind::hash);
}

// What is due counts as absent, whatever it was; and a tombstone is nothing.
TEST_P(StorageContract, a_hash_that_is_gone_is_in_nobodys_way) {
  const auto due = [&] { must(expiring(put_hash("h", "fields"), Expiry::Mode::at, database_ms() - 1000)); };
  due();
  EXPECT_EQ(state_of("h").kind, ValueKind::hash) << "present until it is removed";
  EXPECT_EQ(must(increment("h", 5)).value, "5");
  EXPECT_EQ(state_of("h").kind, ValueKind::string);
  due();
  EXPECT_EQ(must(append("h", "x")).kind, ValueKind::string);
  due();
  const auto outcome = apply(wanting_before(put("h", "v")));
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_FALSE(outcome->before->present);
  due();
  EXPECT_EQ(must(expire("h")).kind, ValueKind::string);
  EXPECT_EQ(state_of("h").kind, ValueKind::string);
  must(put_hash("h", "fields"));
  must(erase("h"));
  EXPECT_EQ(state_of("h").kind, ValueKind::string);
  EXPECT_EQ(must(increment("h", 1)).value, "1");
}

TEST_P(StorageContract, a_scan_tells_kinds) {
  must(put("s", "string"));
  must(put_hash("h", "fields"));
  const auto reply = calls().scan(0, 100);
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_EQ(reply->keys.size(), 2u);
  for (const auto& key : reply->keys) EXPECT_EQ(key.kind, key.key == "h" ? ValueKind::hash : ValueKind::string);
}

TEST_P(StorageContract, kinds_outlive_a_restart) {
  must(put_hash("h", "fields"));
  must(put("s", "string"));
  reopen();
  EXPECT_EQ(state_of("h").kind, ValueKind::hash);
  EXPECT_EQ(state_of("s").kind, ValueKind::string);
}

}  // namespace freshet::testing
