// What the embedded storage promises beyond the shared contract: its directory, its durability, its limits, and how it
// behaves on a disk that is stuck or fails.
#include "storage/embedded/embedded_storage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "../../../tests/support/faulty_disk.h"
#include "../../../tests/support/storage_calls.h"
#include "../../../tests/support/temporary_directory.h"
#include "storage/embedded/database.h"
#include "storage/embedded/record.h"

namespace freshet::storage::embedded {
namespace {

using freshet::testing::await;
using freshet::testing::BlockingStorage;
using freshet::testing::FaultyDisk;
using freshet::testing::increment;
using freshet::testing::kAllSlots;
using freshet::testing::put;
using freshet::testing::request_of;

class EmbeddedStorageTest : public ::testing::Test {
 protected:
  EmbeddedStorageTest() { options_.directory = directory_.path(); }

  void open() {
    storage_.reset();
    auto opened = EmbeddedStorage::open(options_);
    ASSERT_TRUE(opened) << opened.error().what;
    storage_ = *std::move(opened);
    token_ = Token::make();
    ASSERT_TRUE(calls().set_guard(kAllSlots, token_));
  }
  void open_on_faulty_disk() {
    options_.env = disk_.env();
    open();
  }
  BlockingStorage calls() { return BlockingStorage(*storage_); }

  Result<WriteReply> write(Mutation mutation) {
    mutation.token = token_;
    return calls().write(request_of({std::move(mutation)}));
  }
  // Starts a write and returns where its answer will be.
  std::future<Result<WriteReply>> begin_write(std::string key, base::Nanoseconds deadline = base::kForever) {
    auto request = request_of({put(key, "v", token_)});
    request.deadline = deadline;
    auto answer = std::make_shared<std::promise<Result<WriteReply>>>();
    storage_->write(std::move(request), [answer](auto reply) { answer->set_value(std::move(reply)); });
    return answer->get_future();
  }
  std::string value_of(const std::string& key) {
    auto reply = calls().read({key});
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? reply->states[0].value : std::string();
  }
  // Writes bytes into the directory behind the storage's back.
  void store_raw(const std::string& key, const std::string& record) {
    storage_.reset();
    auto database = Database::open(options_);
    ASSERT_TRUE(database) << database.error().what;
    ASSERT_TRUE((*database)->db().Put(rocksdb::WriteOptions(), (*database)->records(), encode_key(key), record).ok());
  }

  freshet::testing::TemporaryDirectory directory_;
  FaultyDisk disk_;  // Outlives the storage on it.
  EmbeddedOptions options_;
  std::unique_ptr<EmbeddedStorage> storage_;
  Token token_;
};

using Directory = EmbeddedStorageTest;
using Durable = EmbeddedStorageTest;
using StuckDisk = EmbeddedStorageTest;

TEST_F(Directory, opened_twice_is_a_clear_error_and_the_first_lives_on) {
  open();
  const auto second = EmbeddedStorage::open(options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_NE(second.error().what.find("in use by this process"), std::string::npos) << second.error().what;
  EXPECT_NE(second.error().what.find(options_.directory), std::string::npos);
  EXPECT_FALSE(second.error().remedy.empty());
  EXPECT_TRUE(write(put("k", "v")));
}

TEST_F(Directory, that_cannot_be_made_is_a_clear_error) {
  options_.directory = "/proc/freshet";
  const auto opened = EmbeddedStorage::open(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
  EXPECT_NE(opened.error().what.find("/proc/freshet"), std::string::npos);
}

TEST_F(Directory, options_out_of_range_are_refused) {
  options_.threads = 0;
  EXPECT_EQ(EmbeddedStorage::open(options_).error().code, ErrorCode::invalid_argument);
  options_ = {};
  EXPECT_EQ(EmbeddedStorage::open(options_).error().code, ErrorCode::invalid_argument);
}

TEST_F(Directory, keeps_its_id_and_each_opening_has_a_start_of_its_own) {
  open();
  const auto first = calls().health()->identity;
  open();
  const auto second = calls().health()->identity;
  EXPECT_EQ(first.system, second.system);
  EXPECT_EQ(first.timeline, "1");
  EXPECT_NE(first.started_at, second.started_at);
}

TEST_F(Directory, opening_voids_every_guard) {
  open();
  const auto before = token_;
  storage_.reset();
  auto opened = EmbeddedStorage::open(options_);
  ASSERT_TRUE(opened);
  storage_ = *std::move(opened);
  const auto reply = calls().write(request_of({put("k", "v", before)}));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::guard_mismatch);
}

TEST_F(Directory, of_a_newer_layout_is_refused) {
  open();
  storage_.reset();
  {
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, options_.directory, {{"default", {}}, {"meta", {}}}, &handles, &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    EXPECT_TRUE(db->Put(rocksdb::WriteOptions(), handles[1], "format", "2").ok());
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  const auto opened = EmbeddedStorage::open(options_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);
}

TEST_F(Directory, a_damaged_record_is_reported_until_it_is_written_anew) {
  open();
  ASSERT_TRUE(write(put("good", "1")));
  store_raw("bad", "garbage");
  open();
  for (const auto& keys : {std::vector<std::string>{"bad"}, {"good", "bad"}}) {
    const auto read = calls().read(keys);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::corrupted);
  }
  const auto incremented = write(increment("bad", 1));
  ASSERT_FALSE(incremented);
  EXPECT_EQ(incremented.error().code, ErrorCode::corrupted);
  const auto scanned = calls().scan(0, 10);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().code, ErrorCode::corrupted);
  EXPECT_EQ(calls().count().error().code, ErrorCode::corrupted);
  EXPECT_EQ(value_of("good"), "1");
  ASSERT_TRUE(write(put("bad", "healed")));
  EXPECT_EQ(value_of("bad"), "healed");
  EXPECT_TRUE(calls().scan(0, 10));
}

TEST_F(Durable, an_acknowledged_write_survives_a_power_cut) {
  open_on_faulty_disk();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(write(put("k" + std::to_string(i), std::to_string(i))));
  freshet::testing::TemporaryDirectory left;
  disk_.copy_after_power_cut(options_.directory, left.path() + "/copy");
  storage_.reset();
  options_.directory = left.path() + "/copy";
  open();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(value_of("k" + std::to_string(i)), std::to_string(i));
}

TEST_F(Durable, relaxed_loses_only_the_newest_writes_and_draws_no_version_twice) {
  options_.durability = Durability::relaxed;
  open_on_faulty_disk();
  const int syncs_before = disk_.syncs();
  constexpr int kWrites = 200;
  Version last = 0;
  for (int i = 0; i < kWrites; ++i) {
    const auto reply = write(put("k" + std::to_string(i), "v"));
    ASSERT_TRUE(reply);
    last = reply->at(0)->after.version;
  }
  EXPECT_LT(disk_.syncs() - syncs_before, kWrites / 10) << "relaxed writes must not wait for syncs";
  freshet::testing::TemporaryDirectory left;
  disk_.copy_after_power_cut(options_.directory, left.path() + "/copy");
  storage_.reset();
  options_.directory = left.path() + "/copy";
  open();
  bool lost = false;
  for (int i = 0; i < kWrites; ++i) {
    const bool there = !value_of("k" + std::to_string(i)).empty();
    EXPECT_FALSE(there && lost) << "a write survived one that was acknowledged before it";
    lost = lost || !there;
  }
  const auto reply = write(put("new", "v"));
  ASSERT_TRUE(reply);
  EXPECT_GT(reply->at(0)->after.version, last);
}

TEST_F(Durable, relaxed_writes_are_synced_soon_and_at_the_end) {
  options_.durability = Durability::relaxed;
  open_on_faulty_disk();
  disk_.hold_syncs();
  ASSERT_TRUE(write(put("k", "v")));
  disk_.wait_for_held_sync();  // The keeper's, about kRelaxedSyncInterval later.
  disk_.release();
  storage_.reset();
  freshet::testing::TemporaryDirectory left;
  disk_.copy_after_power_cut(options_.directory, left.path() + "/copy");
  options_.directory = left.path() + "/copy";
  open();
  EXPECT_EQ(value_of("k"), "v");
}

TEST_F(Durable, writers_share_syncs) {
  open_on_faulty_disk();
  disk_.hold_syncs();
  constexpr int kWrites = 300;
  std::vector<std::future<Result<WriteReply>>> answers;
  answers.push_back(begin_write("first"));
  disk_.wait_for_held_sync();
  const int syncs_before = disk_.syncs();
  for (int i = 1; i < kWrites; ++i) answers.push_back(begin_write("k" + std::to_string(i)));
  disk_.release();
  for (auto& answer : answers) EXPECT_TRUE(answer.get());
  EXPECT_LE(disk_.syncs() - syncs_before, 2);
}

TEST_F(StuckDisk, nothing_unsynced_is_visible_or_acknowledged) {
  open_on_faulty_disk();
  ASSERT_TRUE(write(put("k", "old")));
  disk_.hold_syncs();
  auto answer = begin_write("k");
  disk_.wait_for_held_sync();
  EXPECT_EQ(value_of("k"), "old");
  EXPECT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  disk_.release();
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(value_of("k"), "v");
}

TEST_F(StuckDisk, deadlines_are_kept_and_say_whether_the_write_was_sent) {
  open_on_faulty_disk();
  disk_.hold_syncs();
  const auto deadline = base::now() + 300 * base::kMillisecond;
  auto sent = begin_write("sent", deadline);
  disk_.wait_for_held_sync();
  auto waiting = begin_write("waiting", deadline);
  auto patient = begin_write("patient");
  const auto late = sent.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unknown_outcome);
  EXPECT_EQ(late.error().retry, Retry::unsafe);
  const auto unsent = waiting.get();
  ASSERT_FALSE(unsent);
  EXPECT_EQ(unsent.error().code, ErrorCode::deadline_exceeded);
  disk_.release();
  EXPECT_TRUE(patient.get());
  EXPECT_EQ(value_of("sent"), "v") << "the outcome was unknown: here it was applied";
  EXPECT_EQ(value_of("waiting"), "");
}

TEST_F(StuckDisk, a_full_queue_refuses_writes_but_not_guards) {
  options_.writes_queued_max = 5;
  open_on_faulty_disk();
  disk_.hold_syncs();
  auto in_flight = begin_write("in flight");
  disk_.wait_for_held_sync();
  std::vector<std::future<Result<WriteReply>>> queued;
  for (int i = 0; i < 5; ++i) queued.push_back(begin_write("k" + std::to_string(i)));
  const auto refused = begin_write("one too many").get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  std::promise<Result<void>> guarded;
  storage_->set_guard(kAllSlots, Token::make(), base::kForever, [&](auto result) { guarded.set_value(std::move(result)); });
  disk_.release();
  EXPECT_TRUE(in_flight.get());
  for (auto& answer : queued) EXPECT_TRUE(answer.get());
  EXPECT_TRUE(guarded.get_future().get());
  EXPECT_EQ(value_of("one too many"), "");
  EXPECT_EQ(write(put("k", "v")).error().code, ErrorCode::guard_mismatch);
}

TEST_F(StuckDisk, the_queue_is_bounded_in_bytes_but_takes_one_large_write_alone) {
  options_.write_bytes_queued_max = 100'000;
  open_on_faulty_disk();
  const std::string large(200'000, 'x');
  EXPECT_TRUE(write(put("large", large)));
  disk_.hold_syncs();
  auto in_flight = begin_write("in flight");
  disk_.wait_for_held_sync();
  auto queued = begin_write("small");
  const auto refused = write(put("large", large));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  disk_.release();
  EXPECT_TRUE(in_flight.get());
  EXPECT_TRUE(queued.get());
}

TEST_F(StuckDisk, a_failed_sync_is_an_unknown_outcome_and_ends_writing_until_opened_again) {
  open_on_faulty_disk();
  ASSERT_TRUE(write(put("k", "old")));
  disk_.fail_syncs(true);
  const auto failed = write(put("k", "new"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unknown_outcome);
  disk_.fail_syncs(false);
  const auto refused = write(put("other", "v"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_NE(refused.error().what.find("the faulty disk fails this sync"), std::string::npos) << refused.error().what;
  const auto guarded = calls().set_guard(kAllSlots, Token::make());
  ASSERT_FALSE(guarded) << "a guard cannot fence a write that may still be in the log";
  EXPECT_EQ(guarded.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(calls().health()->writable);
  EXPECT_EQ(value_of("k"), "old");
  open();
  EXPECT_TRUE(calls().health()->writable);
  EXPECT_TRUE(write(put("other", "v")));
}

TEST_F(EmbeddedStorageTest, a_callback_may_call_again_without_end) {
  open();
  ASSERT_TRUE(write(put("k", "v")));
  std::promise<void> finished;
  int left = 20'000;
  std::function<void()> again = [&] {
    if (--left == 0) return finished.set_value();
    storage_->read({"k"}, base::kForever, [&](auto reply) {
      EXPECT_TRUE(reply);
      again();
    });
  };
  again();
  finished.get_future().wait();
  EXPECT_EQ(left, 0);
}

TEST_F(EmbeddedStorageTest, callbacks_that_call_back_while_it_ends_are_answered_too) {
  open_on_faulty_disk();
  disk_.hold_syncs();
  std::atomic<int> answers = 0;
  auto* storage = storage_.get();  // reset() empties the owner before the object ends.
  auto first = begin_write("first");
  disk_.wait_for_held_sync();
  for (int i = 0; i < 10; ++i) {
    storage->write(request_of({put("k", "v", token_)}), [&](auto) {
      ++answers;
      storage->read({"k"}, base::kForever, [&](auto) { ++answers; });
      storage->scan(0, 10, base::kForever, [&](auto) { ++answers; });
      storage->write(request_of({put("k", "v", token_)}), [&](auto) { ++answers; });
    });
  }
  std::thread releases([&] { disk_.release(); });
  storage_.reset();
  releases.join();
  EXPECT_EQ(answers, 40);
  EXPECT_TRUE(first.get());
}

#if FRESHET_PROTECTION_SWITCHES
TEST_F(EmbeddedStorageTest, the_guard_check_can_be_taken_away_for_the_checkers_tests) {
  options_.skip_guard_check = true;
  open();
  EXPECT_TRUE(calls().write(request_of({put("k", "v", Token::make())})));
  EXPECT_EQ(value_of("k"), "v");
}
#endif

}  // namespace
}  // namespace freshet::storage::embedded
