// A key that the load uses: its name, what is done to it, the history recorded so far, and the online checker.
// May use the checker room.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checker/history/history.h"
#include "checker/history/value_history.h"

namespace freshet::checker {

// What kinds of operations a key sees. Registers and pairs have unique values; counters and texts are left to the search.
// A pair is a register that two rows hold: they are only ever written together.
enum class Family : std::uint8_t { registers, counter, text, pair };

// A key is retired, judged and replaced by a fresh one after so many operations, or so many unknown outcomes (each of them
// makes the search wider): memory stays bounded however long the load runs.
inline constexpr std::uint32_t kOperationsPerKey = 4000;
inline constexpr std::uint32_t kUnknownPerKey = 24;

class TrackedKey {
 public:
  TrackedKey(std::string name, Family family, std::size_t clients)
      : name_(std::move(name)), family_(family), logs_(clients) {}

  const std::string& name() const { return name_; }
  Family family() const { return family_; }

  // Counts an operation that is about to begin; false if the key is worn out and another one must be taken.
  bool admit() {
    return unknown_.load(std::memory_order_relaxed) < kUnknownPerKey &&
           admitted_.fetch_add(1, std::memory_order_relaxed) < kOperationsPerKey;
  }

  // A write of unknown outcome may yet take effect.
  bool has_unknown() const { return unknown_.load(std::memory_order_relaxed) > 0; }

  // Around each operation, on its client's thread: begin() stamps the invocation and announces a write, end() stamps nothing
  // (returned_ns is the caller's), judges, and records. end() gives what the online checker finds.
  void begin(Operation& operation);
  std::optional<ValueViolation> end(Operation operation);

  // Everything recorded. Only once no client uses the key any more.
  std::vector<Operation> take_history();

 private:
  bool has_unique_values() const { return family_ == Family::registers || family_ == Family::pair; }

  struct alignas(64) Log {
    std::uint64_t floor = 0;  // Of the operation in flight.
    std::vector<Operation> operations;
  };

  const std::string name_;
  const Family family_;
  std::vector<Log> logs_;  // By client: written by that client's thread only.
  ValueHistory values_;
  std::atomic<std::uint32_t> admitted_{0};
  std::atomic<std::uint32_t> unknown_{0};
};

}  // namespace freshet::checker
