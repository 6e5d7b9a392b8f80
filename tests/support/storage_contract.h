// The contract of storage::Storage as tests that any implementation must pass. A test program includes this header in one
// file and names its storage:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, StorageContract, ::testing::Values(ContractSubject{"rocksdb", make_database}));
//
// in the namespace freshet::testing. Knows no implementation; may use storage's interface and base.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "storage_calls.h"

namespace freshet::testing {

// A database of its own for one test, without keys, tombstones or guards. Destroyed after every Storage it opened.
class TestDatabase {
 public:
  virtual ~TestDatabase() = default;
  // Opens the database; called again only once the Storage before has been destroyed.
  virtual std::unique_ptr<storage::Storage> open() = 0;
};

struct ContractSubject {
  std::string name;
  std::function<std::unique_ptr<TestDatabase>()> make;

  friend std::ostream& operator<<(std::ostream& out, const ContractSubject& subject) { return out << subject.name; }
};

class StorageContract : public ::testing::TestWithParam<ContractSubject> {
 protected:
  void SetUp() override {
    database_ = GetParam().make();
    ASSERT_NE(database_, nullptr);
    reopen();
  }
  void TearDown() override {
    storage_.reset();
    database_.reset();
  }

  // Opens the database anew and guards all slots with a fresh token.
  void reopen() {
    storage_.reset();
    storage_ = database_->open();
    ASSERT_NE(storage_, nullptr);
    guard(kAllSlots);
  }
  // Puts a fresh guard on `range`; writes of this fixture carry it from now on.
  void guard(base::SlotRange range) {
    token_ = storage::Token::make();
    auto result = calls().set_guard(range, token_);
    ASSERT_TRUE(result) << result.error().what;
  }

  BlockingStorage calls() { return BlockingStorage(*storage_); }

  // The mutations in one write, each under the fixture's token.
  storage::WriteRequest guarded(std::vector<storage::Mutation> mutations) {
    for (auto& mutation : mutations) mutation.token = token_;
    return request_of(std::move(mutations));
  }
  // One mutation: its outcome, or the error of the call or of the key.
  Result<storage::MutationOutcome> apply(storage::Mutation mutation) { return apply(std::move(mutation), {}); }
  Result<storage::MutationOutcome> apply(storage::Mutation mutation, storage::OperationId operation) {
    auto request = guarded({std::move(mutation)});
    if (!operation.is_nil()) request.operation = operation;
    auto reply = calls().write(std::move(request));
    if (!reply) return reply.error();
    return std::move(reply->at(0));
  }
  // Applies a mutation that must succeed, and returns the state after it.
  storage::KeyState must(storage::Mutation mutation) {
    auto outcome = apply(std::move(mutation));
    EXPECT_TRUE(outcome) << outcome.error().what;
    if (!outcome) return {};
    EXPECT_TRUE(outcome->applied);
    return outcome->after;
  }
  // A mutation whose condition must fail: returns what storage holds.
  storage::KeyState must_not(storage::Mutation mutation) {
    auto outcome = apply(std::move(mutation));
    EXPECT_TRUE(outcome) << outcome.error().what;
    if (!outcome) return {};
    EXPECT_FALSE(outcome->applied);
    return outcome->after;
  }
  ErrorCode error_of(storage::Mutation mutation) {
    auto outcome = apply(std::move(mutation));
    EXPECT_FALSE(outcome);
    return outcome ? ErrorCode::internal : outcome.error().code;
  }

  storage::KeyState state_of(const std::string& key) {
    auto reply = calls().read({key});
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? reply->states.at(0) : storage::KeyState{};
  }
  std::optional<std::string> value_of(const std::string& key) {
    auto state = state_of(key);
    return state.present ? std::optional(state.value) : std::nullopt;
  }
  std::int64_t database_ms() {
    auto reply = calls().read({"clock"});
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? reply->database_ms : 0;
  }
  // A record that is present and whose deadline has passed.
  storage::KeyState put_expired(std::string_view key, std::string_view value) {
    return must(expiring(put(key, value), storage::Expiry::Mode::at, database_ms() - 1000));
  }

  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<storage::Storage> storage_;
  storage::Token token_;
};

inline void expect_same(const storage::KeyState& left, const storage::KeyState& right) {
  EXPECT_EQ(left.present, right.present);
  EXPECT_EQ(left.value, right.value);
  EXPECT_EQ(left.version, right.version);
  EXPECT_EQ(left.operation, right.operation);
  EXPECT_EQ(left.expires_at_ms, right.expires_at_ms);
  EXPECT_EQ(left.kind, right.kind);
}

}  // namespace freshet::testing

#include "storage_contract_batches.h"
#include "storage_contract_guards.h"
#include "storage_contract_kinds.h"
#include "storage_contract_mutations.h"
#include "storage_contract_scans.h"
