// Below the storage: counts and split points of large directories, forgotten tombstones in compaction, and versions.
#include "storage/embedded/database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "../../../tests/support/faulty_disk.h"
#include "../../../tests/support/temporary_directory.h"
#include "storage/embedded/group.h"
#include "storage/embedded/reader.h"
#include "storage/embedded/record.h"

namespace freshet::storage::embedded {
namespace {

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() { options_.directory = directory_.path(); }

  void open() {
    database_.reset();
    auto opened = Database::open(options_);
    ASSERT_TRUE(opened) << opened.error().what;
    database_ = *std::move(opened);
  }
  void stage(const std::string& key, bool present, Version version) {
    batch_.Put(database_->records(), encode_key(key), encode_record({present, present ? "v" : "", version, {1, 1}, 0}));
  }
  void write() {
    ASSERT_TRUE(database_->db().Write(rocksdb::WriteOptions(), &batch_).ok());
    batch_.Clear();
  }
  Version version_of(const std::string& key) {
    const auto states = read_all(*database_, std::vector{key});
    EXPECT_TRUE(states) << states.error().what;
    return states ? states->at(0).version : 0;
  }
  void compact() {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    ASSERT_TRUE(database_->db().CompactRange(options, database_->records(), nullptr, nullptr).ok());
  }

  freshet::testing::TemporaryDirectory directory_;
  freshet::testing::FaultyDisk disk_;
  EmbeddedOptions options_;
  std::unique_ptr<Database> database_;
  rocksdb::WriteBatch batch_;
};

// 120,000 keys spread over all slots, half as many tombstones among them, and one slot that alone holds 60,000.
class LargeDirectory : public DatabaseTest {
 protected:
  static constexpr int kSpread = 120'000;
  static constexpr int kHot = 60'000;

  void SetUp() override {
    open();
    for (int i = 0; i < kSpread; ++i) {
      stage("spread" + std::to_string(i), true, 1);
      ++held_[base::slot_of("spread" + std::to_string(i))];
      if (i % 2 == 0) stage("gone" + std::to_string(i), false, 1);
    }
    for (int i = 0; i < kHot; ++i) stage("{hot}" + std::to_string(i), true, 1);
    held_[base::slot_of("{hot}")] += kHot;
    write();
  }

  std::vector<int> held_ = std::vector<int>(base::kSlots);
};

TEST_F(LargeDirectory, is_counted_by_a_sample) {
  const auto count = count_keys(*database_, base::kForever);
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_FALSE(count->exact);
  // The hot slot's share rests on a few records: by the spread of the n-th of N, within a factor of about two and a half.
  EXPECT_GT(count->keys, (kSpread + 0.4 * kHot) * 0.95);
  EXPECT_LT(count->keys, (kSpread + 2.5 * kHot) * 1.05);
}

TEST_F(LargeDirectory, is_split_into_even_parts_where_no_slot_stands_out) {
  const auto hot = base::slot_of("{hot}");
  const base::SlotRange range = hot > base::kSlots / 2 ? base::SlotRange{0, static_cast<base::Slot>(hot - 1)}
                                                       : base::SlotRange{static_cast<base::Slot>(hot + 1), base::kSlots - 1};
  constexpr int kParts = 10;
  const auto points = find_split_points(*database_, range, kParts, base::kForever);
  ASSERT_TRUE(points) << points.error().what;
  ASSERT_EQ(points->size(), static_cast<std::size_t>(kParts - 1));
  std::vector<int> bounds{range.first};
  bounds.insert(bounds.end(), points->begin(), points->end());
  bounds.push_back(range.last + 1);
  const int total = std::accumulate(held_.begin() + range.first, held_.begin() + range.last + 1, 0);
  for (std::size_t i = 0; i < kParts; ++i) {
    const int held = std::accumulate(held_.begin() + bounds[i], held_.begin() + bounds[i + 1], 0);
    EXPECT_NEAR(held, total / kParts, total / kParts * 0.15);
  }
}

TEST_F(LargeDirectory, walks_stop_at_their_deadline) {
  const auto passed = base::now() - 1;
  EXPECT_EQ(count_keys(*database_, passed).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(find_split_points(*database_, {}, 4, passed).error().code, ErrorCode::deadline_exceeded);
}

TEST_F(LargeDirectory, a_scan_does_bounded_work_among_tombstones) {
  for (int i = 0; i < kHot; ++i) stage("{hot}" + std::to_string(i), false, 2);
  write();
  const auto first = first_position_of(base::slot_of("{hot}"));
  std::uint64_t position = first;
  int calls = 0;
  while (position < first_position_of(base::slot_of("{hot}")) + (1ull << 48)) {
    const auto reply = scan_keys(*database_, position, 1'000'000);
    ASSERT_TRUE(reply) << reply.error().what;
    ASSERT_GT(reply->next, position);
    position = reply->next;
    ++calls;
  }
  EXPECT_GE(calls, kHot / static_cast<int>(kScanRecordsMax));
}

TEST_F(DatabaseTest, compaction_forgets_the_tombstones_of_earlier_openings_alone) {
  open();
  stage("alive", true, database_->first_version());
  stage("old tombstone", false, database_->first_version());
  write();
  compact();
  EXPECT_NE(version_of("old tombstone"), 0u) << "it may still be needed while its directory is open";
  open();
  const auto first = database_->first_version();
  stage("new tombstone", false, first);
  batch_.Put(database_->records(), encode_key("damaged"), "garbage");
  write();
  compact();
  EXPECT_EQ(version_of("old tombstone"), 0u);
  EXPECT_EQ(version_of("new tombstone"), first);
  EXPECT_NE(version_of("alive"), 0u);
  EXPECT_EQ(read_all(*database_, std::vector<std::string>{"damaged"}).error().code, ErrorCode::corrupted);
}

TEST_F(DatabaseTest, each_opening_draws_versions_above_all_before) {
  Version before = 0;
  for (int i = 0; i < 3; ++i) {
    open();
    EXPECT_GT(database_->first_version(), before);
    before = database_->first_version() + kVersionsPerBlock - 1;  // The last that may have been drawn unmarked.
  }
}

// Relaxed writes are not synced, but one that passes the mark is: else a power cut would take back the mark and the versions
// above it would be drawn again.
TEST_F(DatabaseTest, a_relaxed_group_that_passes_the_version_mark_is_synced) {
  options_.env = disk_.env();
  open();
  DatabaseClock clock;
  CommitState state{*database_, clock, Durability::relaxed, false, {}, VersionSource(database_->first_version())};
  const auto token = Token::make();
  state.guards.set({0, base::kSlots - 1}, token);
  const auto write_one = [&] {
    WriteRequest request;
    request.operation = OperationId::make();
    request.mutations.emplace_back().key = "k";
    request.mutations[0].token = token;
    auto ticket = std::make_unique<Ticket>();
    ticket->call = WriteCall{std::move(request), nullptr, WriteReply{}};
    Tickets tickets;
    tickets.push_back(std::move(ticket));
    EXPECT_TRUE(Group(state).commit(tickets));
    return tickets[0]->write()->reply->at(0)->after.version;
  };
  for (Version i = 0; i + 1 < kVersionsPerBlock; ++i) state.versions.draw();
  const int syncs = disk_.syncs();
  write_one();
  EXPECT_EQ(disk_.syncs(), syncs) << "the last version of the block needs no new mark";
  const auto version = write_one();
  EXPECT_EQ(disk_.syncs(), syncs + 1);
  const freshet::testing::TemporaryDirectory left;
  disk_.copy_after_power_cut(options_.directory, left.path() + "/copy");
  options_.directory = left.path() + "/copy";
  open();
  EXPECT_GT(database_->first_version(), version);
}

}  // namespace
}  // namespace freshet::storage::embedded
