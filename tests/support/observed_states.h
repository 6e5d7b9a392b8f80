// The states that one writer brings a few keys into, one after the other, and what a reader may therefore have seen: one of
// the states between the newest acknowledged before its read and the newest begun before its answer. Thread-safe: one
// writer, any number of readers.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace freshet::testing {

class ObservedStates {
 public:
  using State = std::map<std::string, std::string>;  // Key and value, as the test writes values; absent keys are left out.

  explicit ObservedStates(State first) : states_{std::move(first)} {}

  // The writer's. From begin() on readers may see `next`, from acknowledge() on they must not see what was before.
  void begin(State next);
  void acknowledge();
  void withdraw();  // It was rolled back for certain.

  // The reader's: called before the read, and after it with what it has shown ("" for an absent key). Empty: one state
  // explains all of it. Else what it is that nothing explains.
  std::size_t acknowledged() const;
  std::string unexplained(std::size_t acknowledged, const State& seen) const;
  // Reads that only one state could explain: without many of them nothing was tested.
  std::size_t sharp() const;

 private:
  static bool shows(const State& state, const State& seen);

  mutable std::mutex mutex_;
  std::vector<State> states_;
  std::size_t acknowledged_ = 0;
  mutable std::size_t sharp_ = 0;
};

}  // namespace freshet::testing
