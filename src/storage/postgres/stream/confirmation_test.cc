// When the server is told, and when it seems to shut down: on a clock of the test's own.
#include "storage/postgres/stream/confirmation.h"

#include <gtest/gtest.h>

namespace freshet::storage::postgres {
namespace {

using base::kMillisecond;
using base::kSecond;

TEST(Confirmation, is_told_at_the_start_and_then_within_a_third_of_the_timeout) {
  Confirmation confirmation;
  confirmation.restart(100);
  confirmation.begin_session(6 * kSecond);
  EXPECT_LE(confirmation.next_at(), 50 * kSecond);
  confirmation.sent(50 * kSecond);
  EXPECT_EQ(confirmation.next_at(), 52 * kSecond);
  confirmation.begin_session(0);
  confirmation.sent(60 * kSecond);
  EXPECT_EQ(confirmation.next_at(), 70 * kSecond);
  confirmation.begin_session(3600 * kSecond);
  confirmation.sent(80 * kSecond);
  EXPECT_EQ(confirmation.next_at(), 90 * kSecond);
}

TEST(Confirmation, a_move_is_told_soon_but_not_at_once_again) {
  Confirmation confirmation;
  confirmation.begin_session(60 * kSecond);
  confirmation.sent(kSecond);
  confirmation.advance(7);
  EXPECT_EQ(confirmation.next_at(), kSecond + Confirmation::kGapMin);
  EXPECT_EQ(confirmation.known(), 0u);
  confirmation.sent(kSecond + Confirmation::kGapMin);
  EXPECT_EQ(confirmation.known(), 7u);
  confirmation.advance(6);
  EXPECT_EQ(confirmation.position(), 7u);
  EXPECT_EQ(confirmation.next_at(), kSecond + Confirmation::kGapMin + 10 * kSecond);
  confirmation.ask();
  EXPECT_EQ(confirmation.next_at(), kSecond + 2 * Confirmation::kGapMin);
}

TEST(Confirmation, a_restart_goes_back) {
  Confirmation confirmation;
  confirmation.advance(1000);
  confirmation.sent(1);
  confirmation.restart(10);
  EXPECT_EQ(confirmation.position(), 10u);
  EXPECT_EQ(confirmation.known(), 10u);
}

TEST(ShutdownSign, is_questions_without_a_pause) {
  ShutdownSign sign;
  base::Nanoseconds now = 100 * kSecond;
  for (; now < 100 * kSecond + ShutdownSign::kPatience; now += 5 * kMillisecond) ASSERT_FALSE(sign.asked(now));
  EXPECT_TRUE(sign.asked(now));
  ShutdownSign other;
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(other.asked(now += 30 * kSecond));
}

}  // namespace
}  // namespace freshet::storage::postgres
