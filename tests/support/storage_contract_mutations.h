// The storage contract, part one: what one mutation does to one key. Included by storage_contract.h only.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "storage_contract.h"

namespace freshet::testing {

using storage::Condition;
using storage::Expiry;

TEST_P(StorageContract, a_key_never_written_is_absent_without_a_version) {
  const auto state = state_of("never");
  EXPECT_FALSE(state.present);
  EXPECT_EQ(state.version, 0u);
  EXPECT_TRUE(state.operation.is_nil());
}

TEST_P(StorageContract, put_stores_what_a_read_returns) {
  const auto operation = storage::OperationId::make();
  const auto outcome = apply(put("k", "v"), operation);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_TRUE(outcome->applied);
  EXPECT_FALSE(outcome->before);
  EXPECT_TRUE(outcome->after.present);
  EXPECT_EQ(outcome->after.value, "v");
  EXPECT_GT(outcome->after.version, 0u);
  EXPECT_EQ(outcome->after.operation, operation);
  EXPECT_EQ(outcome->after.expires_at_ms, 0);
  expect_same(outcome->after, state_of("k"));
}

TEST_P(StorageContract, a_read_answers_in_the_order_asked_duplicates_included) {
  must(put("a", "1"));
  must(put("b", "2"));
  const auto reply = calls().read({"b", "missing", "a", "b"});
  ASSERT_TRUE(reply) << reply.error().what;
  ASSERT_EQ(reply->states.size(), 4u);
  EXPECT_EQ(reply->states[0].value, "2");
  EXPECT_FALSE(reply->states[1].present);
  EXPECT_EQ(reply->states[2].value, "1");
  EXPECT_EQ(reply->states[3].value, "2");
  EXPECT_GT(reply->database_ms, 0);
}

TEST_P(StorageContract, erase_leaves_a_tombstone_with_its_version_and_operation) {
  const auto written = must(put("k", "v"));
  const auto operation = storage::OperationId::make();
  const auto outcome = apply(erase("k"), operation);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_TRUE(outcome->applied);
  const auto state = state_of("k");
  EXPECT_FALSE(state.present);
  EXPECT_TRUE(state.value.empty());
  EXPECT_GT(state.version, written.version);
  EXPECT_EQ(state.operation, operation);
  EXPECT_EQ(state.expires_at_ms, 0);
  expect_same(outcome->after, state);
}

TEST_P(StorageContract, an_unconditional_erase_of_an_absent_key_is_applied_and_leaves_a_tombstone) {
  const auto operation = storage::OperationId::make();
  const auto outcome = apply(erase("k"), operation);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_TRUE(outcome->applied);
  EXPECT_GT(outcome->after.version, 0u);
  EXPECT_EQ(state_of("k").operation, operation);
}

TEST_P(StorageContract, versions_grow_across_every_kind_and_across_delete_and_creation) {
  storage::Version last = 0;
  const auto grows = [&](storage::Mutation mutation) {
    const auto state = must(std::move(mutation));
    EXPECT_GT(state.version, last);
    last = state.version;
  };
  grows(put("k", "1"));
  grows(put("k", "1"));
  grows(increment("k", 1));
  grows(append("k", "0"));
  grows(touch("k", {Expiry::Mode::clear}));
  grows(erase("k"));
  grows(erase("k"));
  grows(put("k", "2"));
  reopen();
  grows(put("k", "3"));
  grows(erase("k"));
  reopen();
  grows(put("k", "4"));
}

TEST_P(StorageContract, what_was_written_is_there_after_opening_again) {
  const auto kept = must(expiring(put("kept", "v"), Expiry::Mode::after, 3'600'000));
  const auto erased = must(erase("erased"));
  reopen();
  expect_same(kept, state_of("kept"));
  expect_same(erased, state_of("erased"));
}

TEST_P(StorageContract, increment_computes_in_storage) {
  EXPECT_EQ(must(increment("k", 5)).value, "5");
  EXPECT_EQ(must(increment("k", -7)).value, "-2");
  must(put("k", "9223372036854775806"));
  EXPECT_EQ(must(increment("k", 1)).value, "9223372036854775807");
  must(put("k", "-9223372036854775808"));
  EXPECT_EQ(must(increment("k", 0)).value, "-9223372036854775808");
  must(erase("k"));
  EXPECT_EQ(must(increment("k", 1)).value, "1") << "a deleted key starts at 0";
}

TEST_P(StorageContract, increment_past_64_bits_is_out_of_range_and_changes_nothing) {
  must(put("k", "9223372036854775807"));
  EXPECT_EQ(error_of(increment("k", 1)), ErrorCode::out_of_range);
  EXPECT_EQ(value_of("k"), "9223372036854775807");
  must(put("k", "-9223372036854775808"));
  EXPECT_EQ(error_of(increment("k", -1)), ErrorCode::out_of_range);
  must(put("k", "-1"));
  EXPECT_EQ(error_of(increment("k", std::numeric_limits<std::int64_t>::min())), ErrorCode::out_of_range);
  EXPECT_EQ(value_of("k"), "-1");
}

TEST_P(StorageContract, increment_takes_only_what_redis_takes_for_an_integer) {
  for (const std::string value : {"", " 1", "1 ", "+1", "01", "-0", "-", "1.0", "abc", "0x10", "1e3", "9223372036854775808",
                                  "-9223372036854775809", "99999999999999999999", "--1", "1\n"}) {
    SCOPED_TRACE("value '" + value + "'");
    const auto before = must(put("k", value));
    EXPECT_EQ(error_of(increment("k", 1)), ErrorCode::wrong_type);
    expect_same(before, state_of("k"));
  }
  const std::string with_nul("1\0", 2);
  must(put("k", with_nul));
  EXPECT_EQ(error_of(increment("k", 1)), ErrorCode::wrong_type);
}

TEST_P(StorageContract, append_grows_the_value_or_creates_it) {
  EXPECT_EQ(must(append("k", "ab")).value, "ab");
  EXPECT_EQ(must(append("k", "cd")).value, "abcd");
  EXPECT_EQ(must(append("k", "")).value, "abcd");
  must(erase("k"));
  EXPECT_EQ(must(append("k", "x")).value, "x");
}

TEST_P(StorageContract, touch_changes_the_expiry_alone_and_needs_a_present_key) {
  EXPECT_FALSE(must_not(touch("k", {Expiry::Mode::clear})).present);
  must(put("k", "v"));
  const auto deadline = database_ms() + 3'600'000;
  auto state = must(touch("k", {Expiry::Mode::at, deadline}));
  EXPECT_EQ(state.value, "v");
  EXPECT_EQ(state.expires_at_ms, deadline);
  EXPECT_EQ(must(touch("k", {Expiry::Mode::keep})).expires_at_ms, deadline);
  EXPECT_EQ(must(touch("k", {Expiry::Mode::clear})).expires_at_ms, 0);
  must(erase("k"));
  EXPECT_FALSE(must_not(touch("k", {Expiry::Mode::clear})).present);
}

TEST_P(StorageContract, expiry_modes_keep_clear_at_after) {
  const auto deadline = database_ms() + 3'600'000;
  EXPECT_EQ(must(expiring(put("k", "1"), Expiry::Mode::keep)).expires_at_ms, 0);
  EXPECT_EQ(must(expiring(put("k", "1"), Expiry::Mode::at, deadline)).expires_at_ms, deadline);
  EXPECT_EQ(must(expiring(put("k", "1"), Expiry::Mode::keep)).expires_at_ms, deadline);
  EXPECT_EQ(must(increment("k", 1)).expires_at_ms, deadline);
  EXPECT_EQ(must(append("k", "0")).expires_at_ms, deadline);
  EXPECT_EQ(must(expiring(put("k", "1"), Expiry::Mode::clear)).expires_at_ms, 0);
  const auto earliest = database_ms() + 60'000;
  const auto state = must(expiring(put("k", "1"), Expiry::Mode::after, 60'000));
  EXPECT_GE(state.expires_at_ms, earliest);
  EXPECT_LE(state.expires_at_ms, database_ms() + 60'000);
  EXPECT_EQ(must(expiring(increment("k", 1), Expiry::Mode::at, deadline)).expires_at_ms, deadline);
  must(erase("k"));
  EXPECT_EQ(must(expiring(put("k", "1"), Expiry::Mode::keep)).expires_at_ms, 0) << "a tombstone has no expiry to keep";
}

TEST_P(StorageContract, expire_removes_only_what_is_due) {
  EXPECT_FALSE(must_not(expire("k")).present);
  must(put("k", "v"));
  EXPECT_TRUE(must_not(expire("k")).present);
  must(touch("k", {Expiry::Mode::after, 3'600'000}));
  EXPECT_TRUE(must_not(expire("k")).present);
  const auto due = put_expired("k", "v");
  const auto removed = must(expire("k"));
  EXPECT_FALSE(removed.present);
  EXPECT_GT(removed.version, due.version);
  expect_same(removed, state_of("k"));
  must_not(expire("k"));
}

TEST_P(StorageContract, a_record_past_its_deadline_stays_until_it_is_removed) {
  const auto due = put_expired("k", "v");
  const auto state = state_of("k");
  EXPECT_TRUE(state.present);
  EXPECT_LE(state.expires_at_ms, database_ms());
  expect_same(due, state);
}

TEST_P(StorageContract, a_record_past_its_deadline_counts_as_absent_in_conditions) {
  auto due = put_expired("k", "v");
  must_not(on(Condition::if_present, put("k", "new")));
  must_not(on(Condition::if_present, erase("k")));
  must_not(on(Condition::if_version, put("k", "new"), due.version));
  must_not(touch("k", {Expiry::Mode::clear}));
  expect_same(due, state_of("k"));
  EXPECT_EQ(must(on(Condition::if_absent, put("k", "new"))).value, "new");
  put_expired("k", "v");
  EXPECT_EQ(must(on(Condition::if_version, put("k", "new"), 0)).value, "new");
}

TEST_P(StorageContract, a_record_past_its_deadline_is_an_empty_start) {
  put_expired("k", "41");
  auto state = must(increment("k", 1));
  EXPECT_EQ(state.value, "1");
  EXPECT_EQ(state.expires_at_ms, 0) << "the old deadline is not kept";
  put_expired("k", "abc");
  state = must(append("k", "d"));
  EXPECT_EQ(state.value, "d");
  EXPECT_EQ(state.expires_at_ms, 0);
  put_expired("k", "abc");
  EXPECT_EQ(must(expiring(put("k", "x"), Expiry::Mode::keep)).expires_at_ms, 0);
}

TEST_P(StorageContract, conditions_hold_or_nothing_is_applied) {
  must_not(on(Condition::if_present, put("k", "1")));
  EXPECT_FALSE(value_of("k"));
  const auto first = must(on(Condition::if_absent, put("k", "1")));
  const auto held = must_not(on(Condition::if_absent, put("k", "2")));
  expect_same(first, held);
  const auto second = must(on(Condition::if_present, put("k", "2")));
  must_not(on(Condition::if_version, put("k", "3"), first.version));
  must_not(on(Condition::if_version, put("k", "3"), 0));
  const auto third = must(on(Condition::if_version, put("k", "3"), second.version));
  must_not(on(Condition::if_version, erase("k"), second.version));
  const auto gone = must(on(Condition::if_version, erase("k"), third.version));
  must_not(on(Condition::if_version, put("k", "4"), gone.version));
  must_not(on(Condition::if_present, erase("k")));
  expect_same(gone, state_of("k"));
  must(on(Condition::if_version, put("k", "4"), 0));
  EXPECT_EQ(value_of("k"), "4");
}

TEST_P(StorageContract, the_state_before_comes_when_asked_for) {
  auto outcome = apply(wanting_before(put("k", "1")));
  ASSERT_TRUE(outcome && outcome->before);
  EXPECT_FALSE(outcome->before->present);
  const auto first = outcome->after;
  outcome = apply(wanting_before(put("k", "2")));
  ASSERT_TRUE(outcome && outcome->before);
  expect_same(first, *outcome->before);
  outcome = apply(wanting_before(on(Condition::if_absent, put("k", "3"))));
  ASSERT_TRUE(outcome && outcome->before);
  EXPECT_FALSE(outcome->applied);
  EXPECT_EQ(outcome->before->value, "2");
  outcome = apply(wanting_before(erase("k")));
  ASSERT_TRUE(outcome && outcome->before);
  EXPECT_EQ(outcome->before->value, "2");
}

// The caller has no way to judge the deadline by the same clock reading, so storage does: SET … GET of an expired key must
// answer "absent" exactly when the write saw it so.
TEST_P(StorageContract, the_state_before_shows_an_expired_record_as_absent) {
  const auto due = put_expired("k", "old");
  const auto outcome = apply(wanting_before(put("k", "new")));
  ASSERT_TRUE(outcome && outcome->before);
  EXPECT_FALSE(outcome->before->present);
  EXPECT_TRUE(outcome->before->value.empty());
  EXPECT_EQ(outcome->before->version, due.version);
}

TEST_P(StorageContract, keys_and_values_are_any_bytes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  const std::string reversed(bytes.rbegin(), bytes.rend());
  must(put(bytes, reversed));
  must(put("", "the empty key"));
  must(put("empty value", ""));
  must(put(std::string("nul\0key", 7), std::string("\0", 1)));
  must(put("nul", "another key"));
  EXPECT_EQ(value_of(bytes), reversed);
  EXPECT_EQ(value_of(""), "the empty key");
  EXPECT_EQ(value_of("empty value"), "");
  EXPECT_EQ(value_of(std::string("nul\0key", 7)), std::string("\0", 1));
  EXPECT_EQ(must(append(bytes, bytes)).value, reversed + bytes);
}

TEST_P(StorageContract, large_keys_and_values) {
  const std::string key(storage::kKeyBytesMax, 'k');
  std::string value(8 * 1024 * 1024, '\0');
  base::Random random(1);
  for (auto& byte : value) byte = static_cast<char>(random());
  must(put(key, value));
  EXPECT_TRUE(value_of(key) == value);
  const auto state = must(append(key, "tail"));
  EXPECT_TRUE(state.value == value + "tail");
  EXPECT_TRUE(value_of(key) == value + "tail");
}

TEST_P(StorageContract, a_key_past_its_limit_is_refused) {
  EXPECT_EQ(error_of(put(std::string(storage::kKeyBytesMax + 1, 'k'), "v")), ErrorCode::invalid_argument);
}

}  // namespace freshet::testing
