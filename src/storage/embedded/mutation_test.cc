// Mutations as a pure function: what the shared contract suite cannot reach without a clock of its own or half a gigabyte.
#include "storage/embedded/mutation.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace freshet::storage::embedded {
namespace {

constexpr std::int64_t kNow = 1'000'000;
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

Effect effect(const Mutation& mutation, const KeyState& current = {}) {
  auto result = effect_of(mutation, current, {7, 7}, kNow);
  EXPECT_TRUE(result) << result.error().what;
  return result ? *result : Effect{};
}

KeyState record(std::string value, std::int64_t expires_at_ms) { return {true, std::move(value), 5, {1, 1}, expires_at_ms}; }

Mutation of(MutationKind kind, Expiry expiry = {}) {
  Mutation mutation;
  mutation.kind = kind;
  mutation.expiry = expiry;
  return mutation;
}

TEST(Mutation, a_deadline_is_passed_in_the_very_millisecond_that_it_names) {
  EXPECT_TRUE(effect(of(MutationKind::expire), record("v", kNow)).applied);
  EXPECT_FALSE(effect(of(MutationKind::expire), record("v", kNow + 1)).applied);
  EXPECT_FALSE(effect(of(MutationKind::touch), record("v", kNow)).applied);
  EXPECT_TRUE(effect(of(MutationKind::touch), record("v", kNow + 1)).applied);
  EXPECT_FALSE(as_seen(record("v", kNow), kNow).present);
  EXPECT_TRUE(as_seen(record("v", kNow + 1), kNow).present);
  EXPECT_TRUE(as_seen(record("v", 0), kNow).present);
}

TEST(Mutation, deadlines_saturate_and_never_become_the_word_for_never) {
  const auto expiry = [](Expiry::Mode mode, std::int64_t ms) {
    return effect(of(MutationKind::put, {mode, ms})).after.expires_at_ms;
  };
  EXPECT_EQ(expiry(Expiry::Mode::at, 0), 1);
  EXPECT_EQ(expiry(Expiry::Mode::at, -5), 1);
  EXPECT_EQ(expiry(Expiry::Mode::after, 0), kNow);
  EXPECT_EQ(expiry(Expiry::Mode::after, -kNow), 1);
  EXPECT_EQ(expiry(Expiry::Mode::after, kLargest), kLargest);
  EXPECT_EQ(expiry(Expiry::Mode::after, std::numeric_limits<std::int64_t>::min()), 1);
}

TEST(Mutation, append_stops_at_the_largest_value) {
  auto mutation = of(MutationKind::append, {Expiry::Mode::keep});
  mutation.value = "xy";
  const auto result = effect_of(mutation, record(std::string(kValueBytesMax - 1, 'a'), 0), {}, kNow);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::out_of_range);
}

TEST(Mutation, only_blind_writes_do_without_the_state_before) {
  EXPECT_FALSE(needs_state(of(MutationKind::put)));
  EXPECT_FALSE(needs_state(of(MutationKind::erase, {Expiry::Mode::keep})));
  EXPECT_TRUE(needs_state(of(MutationKind::put, {Expiry::Mode::keep})));
  EXPECT_TRUE(needs_state(of(MutationKind::increment)));
  EXPECT_TRUE(needs_state(of(MutationKind::append)));
  EXPECT_TRUE(needs_state(of(MutationKind::touch)));
  EXPECT_TRUE(needs_state(of(MutationKind::expire)));
  auto mutation = of(MutationKind::put);
  mutation.want_before = true;
  EXPECT_TRUE(needs_state(mutation));
  mutation = of(MutationKind::erase);
  mutation.condition = Condition::if_present;
  EXPECT_TRUE(needs_state(mutation));
}

RC_GTEST_PROP(Mutation, what_needs_no_state_ignores_it, (std::string value, std::string before, std::int64_t deadline)) {
  auto mutation = of(*rc::gen::element(MutationKind::put, MutationKind::erase),
                     {*rc::gen::element(Expiry::Mode::clear, Expiry::Mode::at, Expiry::Mode::after), deadline});
  if (mutation.kind == MutationKind::put) mutation.value = value;
  RC_ASSERT(!needs_state(mutation));
  const auto blind = effect_of(mutation, {}, {7, 7}, kNow);
  const auto informed = effect_of(mutation, record(before, deadline), {7, 7}, kNow);
  RC_ASSERT(blind.has_value() && informed.has_value());
  RC_ASSERT(blind->applied && informed->applied);
  RC_ASSERT(blind->after.present == informed->after.present);
  RC_ASSERT(blind->after.value == informed->after.value);
  RC_ASSERT(blind->after.expires_at_ms == informed->after.expires_at_ms);
}

RC_GTEST_PROP(Mutation, every_integer_is_read_back, (std::int64_t number)) {
  RC_ASSERT(parse_integer(std::to_string(number)) == number);
}

// What is believed is exactly what printing the number gives: so no other spelling is.
RC_GTEST_PROP(Mutation, only_the_canonical_spelling_is_an_integer, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::element('0', '1', '9', '-', '+', ' ', '.', 'e', '\0'));
  if (const auto number = parse_integer(text)) RC_ASSERT(std::to_string(*number) == text);
}

}  // namespace
}  // namespace freshet::storage::embedded
