// Snapshots against a naive model of transactions, xids around their wrap, and the text forms.
#include "storage/snapshot.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace freshet::storage {
namespace {

// A server that knows of every transaction whether it has finished, and takes snapshots as PostgreSQL does.
struct Server {
  FullXid first;
  FullXid next;
  std::set<FullXid> running;

  Snapshot take() const {
    std::vector<FullXid> in_progress(running.begin(), running.end());
    return Snapshot(in_progress.empty() ? next : in_progress.front(), next, in_progress);
  }
};

Server some_server(FullXid first) {
  Server server{first, first, {}};
  const auto begun = *rc::gen::inRange<FullXid>(0, 40);
  for (; server.next < first + begun; ++server.next) {
    if (*rc::gen::arbitrary<bool>()) server.running.insert(server.next);
  }
  return server;
}

RC_GTEST_PROP(Snapshots, show_what_had_finished, ()) {
  const auto server = some_server(*rc::gen::inRange<FullXid>(3, UINT64_MAX / 2));
  const auto snapshot = server.take();
  for (FullXid xid = server.first; xid < server.next + 3; ++xid) {
    const bool finished = xid < server.next && server.running.count(xid) == 0;
    RC_ASSERT(snapshot.shows(xid) == finished);
  }
  RC_ASSERT(snapshot.shows(server.first - 1));
}

RC_GTEST_PROP(Snapshots, text_is_read_back, ()) {
  const auto snapshot = some_server(*rc::gen::inRange<FullXid>(3, UINT64_MAX / 2)).take();
  const auto parsed = Snapshot::parse(snapshot.to_text());
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == snapshot);
}

// The stream's short xids, with the server's counter anywhere, and mostly near the wrap of 32 bits.
RC_GTEST_PROP(Snapshots, short_xids_mean_the_nearest_full_one, ()) {
  const auto epoch = *rc::gen::inRange<FullXid>(1, 1 << 20);
  const auto offset = *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-50, 50),
                                      rc::gen::inRange<std::int64_t>(INT32_MIN, INT32_MAX));
  const auto server = some_server((epoch << 32) + static_cast<FullXid>(offset));
  const auto snapshot = server.take();
  const auto distance = *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-60, 60),
                                        rc::gen::inRange<std::int64_t>(INT32_MIN, INT32_MAX));
  const FullXid xid = snapshot.xmax() + static_cast<FullXid>(distance);
  RC_ASSERT(snapshot.widen(static_cast<Xid>(xid)) == xid);
  RC_ASSERT(snapshot.shows(static_cast<Xid>(xid)) == snapshot.shows(xid));
}

TEST(Snapshots, AroundTheWrap) {
  const FullXid wrap = FullXid{5} << 32;
  const Snapshot before(wrap - 2, wrap - 1, {wrap - 2});
  EXPECT_FALSE(before.shows(Xid{3}));            // Of the next epoch: not begun.
  EXPECT_TRUE(before.shows(Xid{UINT32_MAX - 3}));
  EXPECT_FALSE(before.shows(Xid{UINT32_MAX - 1}));
  const Snapshot after(wrap - 1, wrap + 5, {wrap - 1, wrap + 4});
  EXPECT_FALSE(after.shows(Xid{UINT32_MAX}));    // Of the epoch before, and still running.
  EXPECT_TRUE(after.shows(Xid{UINT32_MAX - 1}));
  EXPECT_TRUE(after.shows(Xid{3}));
  EXPECT_FALSE(after.shows(Xid{4}));
  EXPECT_FALSE(after.shows(Xid{5}));
}

TEST(Snapshots, WhatIsNoneIsRefused) {
  for (const auto* text : {"", "1", "1:2", "a:b:", "5:4:", "1:5:0", "1:5:5", "1:5:3,2", "1:5:2,2", "1:5:2,", "1:5:,2",
                           "1:5:2 ", "-1:5:", "1:18446744073709551616:"}) {
    EXPECT_FALSE(Snapshot::parse(text)) << text;
  }
  EXPECT_EQ(Snapshot::parse("10:20:10,14,15")->in_progress(), (std::vector<FullXid>{10, 14, 15}));
  EXPECT_TRUE(Snapshot::parse("10:10:")->in_progress().empty());
}

RC_GTEST_PROP(Positions, text_is_read_back, (Lsn lsn)) {
  const auto parsed = parse_lsn(text_of_lsn(lsn));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == lsn);
}

TEST(Positions, Spellings) {
  EXPECT_EQ(*parse_lsn("16/B374D848"), 0x16B374D848u);
  EXPECT_EQ(*parse_lsn("0/0"), 0u);
  EXPECT_EQ(text_of_lsn(0x16B374D848), "16/B374D848");
  for (const auto* text : {"", "16", "16/", "/1", "16/123456789", "123456789/1", "1/2/3", "1/-2", "x/1", "1/1 "}) {
    EXPECT_FALSE(parse_lsn(text)) << text;
  }
}

}  // namespace
}  // namespace freshet::storage
