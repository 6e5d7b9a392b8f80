// A storage that passes every call on to another, shared one: the base of the doubles that hold calls back or delay them.
// Like every storage it ends only when each call that it passed on has been answered.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

#include "storage/storage.h"

namespace freshet::testing {

class ForwardingStorage : public storage::Storage {
 public:
  explicit ForwardingStorage(std::shared_ptr<storage::Storage> inner) : inner_(std::move(inner)) {}
  ~ForwardingStorage() override { wait_for_answers(); }

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, storage::Callback<storage::ReadReply> done) override {
    inner_->read(std::move(keys), deadline, counted(std::move(done)));
  }
  void write(storage::WriteRequest request, storage::Callback<storage::WriteReply> done) override {
    inner_->write(std::move(request), counted(std::move(done)));
  }
  void set_guard(base::SlotRange range, storage::Token token, base::Nanoseconds deadline,
                 storage::Callback<void> done) override {
    inner_->set_guard(range, token, deadline, counted(std::move(done)));
  }
  void scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline,
            storage::Callback<storage::ScanReply> done) override {
    inner_->scan(position, limit, deadline, counted(std::move(done)));
  }
  void count(base::Nanoseconds deadline, storage::Callback<storage::KeyCount> done) override {
    inner_->count(deadline, counted(std::move(done)));
  }
  void split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                    storage::Callback<std::vector<base::Slot>> done) override {
    inner_->split_points(range, parts, deadline, counted(std::move(done)));
  }
  void forget(std::vector<storage::Tombstone> tombstones) override { inner_->forget(std::move(tombstones)); }
  Result<std::string> guard_statement(const std::vector<storage::CheckedKey>& keys) const override {
    return inner_->guard_statement(keys);
  }
  void pass_requests(const storage::PassRequests& known, bool standing, base::Nanoseconds deadline,
                     storage::Callback<storage::PassRequests> done) override {
    inner_->pass_requests(known, standing, deadline, counted(std::move(done)));
  }
  void acknowledge_passes(const storage::PassesHeard& heard, base::Nanoseconds deadline,
                          storage::Callback<void> done) override {
    inner_->acknowledge_passes(heard, deadline, counted(std::move(done)));
  }
  const storage::RowCollections* rows() const override { return inner_->rows(); }
  Result<std::function<void()>> guard_rows(const RowChange& change) override { return inner_->guard_rows(change); }
  Result<void> unseal_rows(const storage::CollectionSpec& spec, std::uint64_t period) override {
    return inner_->unseal_rows(spec, period);
  }
  void on_rows_outdated(std::function<bool()> listener) override { inner_->on_rows_outdated(std::move(listener)); }
  void health(base::Nanoseconds deadline, storage::Callback<storage::Health> done) override {
    inner_->health(deadline, counted(std::move(done)));
  }

 protected:
  // A callback for the inner storage; wait_for_answers() waits until it has run. Derived classes whose members their
  // callbacks use call that first in their destructors.
  template <typename T>
  storage::Callback<T> counted(storage::Callback<T> done) {
    std::lock_guard lock(open_mutex_);
    ++open_;
    return [this, done = std::move(done)](Result<T> reply) {
      done(std::move(reply));
      std::lock_guard end(open_mutex_);
      if (--open_ == 0) answered_.notify_all();
    };
  }
  void wait_for_answers() {
    std::unique_lock lock(open_mutex_);
    answered_.wait(lock, [this] { return open_ == 0; });
  }

  const std::shared_ptr<storage::Storage> inner_;

 private:
  std::mutex open_mutex_;
  std::condition_variable answered_;
  int open_ = 0;
};

}  // namespace freshet::testing
