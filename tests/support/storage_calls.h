// Storage for tests: each asynchronous call as one that waits, and short ways to build mutations.
// May use storage's interface and base; knows no implementation.
#pragma once

#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/storage.h"

namespace freshet::testing {

// How long a call may take before the test gives up: a callback that never runs must fail the test, not hang it.
inline constexpr auto kCallSecondsMax = std::chrono::seconds(60);

// Starts a call and waits for its callback. A callback that never comes ends the test program with a message, since the
// call may still be running in objects that the test would otherwise destroy.
template <typename T, typename Start>
Result<T> await(Start start) {
  auto answer = std::make_shared<std::promise<Result<T>>>();
  auto future = answer->get_future();
  start([answer](Result<T> result) { answer->set_value(std::move(result)); });
  if (future.wait_for(kCallSecondsMax) != std::future_status::ready) {
    std::cerr << "a storage call was never answered" << std::endl;
    std::abort();
  }
  return future.get();
}

// The calls of a Storage, each waiting for its answer.
class BlockingStorage {
 public:
  explicit BlockingStorage(storage::Storage& storage) : storage_(&storage) {}

  Result<storage::ReadReply> read(std::vector<std::string> keys, base::Nanoseconds deadline = base::kForever) {
    return await<storage::ReadReply>([&](auto done) { storage_->read(std::move(keys), deadline, std::move(done)); });
  }
  Result<storage::WriteReply> write(storage::WriteRequest request) {
    return await<storage::WriteReply>([&](auto done) { storage_->write(std::move(request), std::move(done)); });
  }
  Result<void> set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline = base::kForever) {
    return await<void>([&](auto done) { storage_->set_guard(range, token, deadline, std::move(done)); });
  }
  Result<storage::ScanReply> scan(std::uint64_t position, std::size_t limit) {
    return await<storage::ScanReply>(
        [&](auto done) { storage_->scan(position, limit, base::kForever, std::move(done)); });
  }
  Result<storage::KeyCount> count() {
    return await<storage::KeyCount>([&](auto done) { storage_->count(base::kForever, std::move(done)); });
  }
  Result<std::vector<base::Slot>> split_points(base::SlotRange range, int parts) {
    return await<std::vector<base::Slot>>(
        [&](auto done) { storage_->split_points(range, parts, base::kForever, std::move(done)); });
  }
  Result<storage::Health> health() {
    return await<storage::Health>([&](auto done) { storage_->health(base::kForever, std::move(done)); });
  }
  storage::Storage& storage() { return *storage_; }

 private:
  storage::Storage* storage_;
};

// The whole key space.
inline constexpr base::SlotRange kAllSlots{0, base::kSlots - 1};

inline storage::Mutation put(std::string_view key, std::string_view value, storage::Token token = {}) {
  storage::Mutation mutation;
  mutation.kind = storage::MutationKind::put;
  mutation.key = key;
  mutation.value = value;
  mutation.token = token;
  return mutation;
}

inline storage::Mutation put_hash(std::string_view key, std::string_view value, storage::Token token = {}) {
  storage::Mutation mutation = put(key, value, token);
  mutation.value_kind = storage::ValueKind::hash;
  return mutation;
}

inline storage::Mutation erase(std::string_view key, storage::Token token = {}) {
  storage::Mutation mutation = put(key, {}, token);
  mutation.kind = storage::MutationKind::erase;
  return mutation;
}

inline storage::Mutation increment(std::string_view key, std::int64_t delta, storage::Token token = {}) {
  storage::Mutation mutation = put(key, {}, token);
  mutation.kind = storage::MutationKind::increment;
  mutation.delta = delta;
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  return mutation;
}

inline storage::Mutation append(std::string_view key, std::string_view value, storage::Token token = {}) {
  storage::Mutation mutation = put(key, value, token);
  mutation.kind = storage::MutationKind::append;
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  return mutation;
}

inline storage::Mutation touch(std::string_view key, storage::Expiry expiry, storage::Token token = {}) {
  storage::Mutation mutation = put(key, {}, token);
  mutation.kind = storage::MutationKind::touch;
  mutation.expiry = expiry;
  return mutation;
}

inline storage::Mutation expire(std::string_view key, storage::Token token = {}) {
  storage::Mutation mutation = put(key, {}, token);
  mutation.kind = storage::MutationKind::expire;
  return mutation;
}

inline storage::Mutation on(storage::Condition condition, storage::Mutation mutation, storage::Version version = 0) {
  mutation.condition = condition;
  mutation.version = version;
  return mutation;
}

inline storage::Mutation expiring(storage::Mutation mutation, storage::Expiry::Mode mode, std::int64_t ms = 0) {
  mutation.expiry = {mode, ms};
  return mutation;
}

inline storage::Mutation wanting_before(storage::Mutation mutation) {
  mutation.want_before = true;
  return mutation;
}

inline storage::WriteRequest request_of(std::vector<storage::Mutation> mutations) {
  storage::WriteRequest request;
  request.mutations = std::move(mutations);
  request.operation = base::UniqueId::make();
  return request;
}

}  // namespace freshet::testing
