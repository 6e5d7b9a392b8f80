// What the threads of a load share: the stop signal, and what they count and find. Thread-safe. May use the checker room.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "checker/clients/stop_signal.h"
#include "checker/history/value_history.h"

namespace freshet::checker {

// Kinds of errors told apart by their first word; the others count as "other".
inline constexpr std::size_t kErrorKindsMax = 32;

struct Findings {
  StopSignal stop;
  std::uint64_t operations_max = 0;  // 0: no limit.
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> reconnects{0};
  std::atomic<std::uint64_t> online_violations{0};

  void count_operations(std::uint64_t count) {
    const std::uint64_t total = operations.fetch_add(count, std::memory_order_relaxed) + count;
    if (operations_max != 0 && total >= operations_max) stop.request();
  }
  void count_error(std::string_view text) {
    const std::string kind(text.substr(0, text.find(' ')));
    std::lock_guard lock(mutex_);
    const bool known = errors_.contains(kind) || errors_.size() < kErrorKindsMax;
    ++errors_[known ? kind : "other"];
    last_error_ = text;
  }
  // The first violation stops the load.
  void report(std::string text) {
    if (online_violations.fetch_add(1) == 0) {
      std::lock_guard lock(mutex_);
      first_violation_ = std::move(text);
    }
    stop.request();
  }

  std::map<std::string, std::uint64_t> errors() const { return guarded(errors_); }
  std::string last_error() const { return guarded(last_error_); }
  std::string first_violation() const { return guarded(first_violation_); }

 private:
  template <typename T>
  T guarded(const T& value) const {
    std::lock_guard lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> errors_;
  std::string last_error_;
  std::string first_violation_;
};

}  // namespace freshet::checker
