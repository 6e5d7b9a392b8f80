// The observed collections by their ids: a list that grows and never moves, so that an id that was handed out is good for
// ever, on any thread. May use storage's words.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "storage/collection.h"

namespace freshet::consistency {

// In a process's life: those that have gone since, or read otherwise now, are counted.
inline constexpr std::size_t kObservedCollectionsMax = 4096;

class SpecList {
 public:
  explicit SpecList(const std::vector<storage::CollectionSpec>& first = {}) {
    for (const auto& spec : first) add(spec);
  }

  const storage::CollectionSpec& operator[](storage::CollectionId id) const { return *list_[id]; }
  std::size_t size() const { return size_.load(std::memory_order_acquire); }
  bool is_full() const { return size() == kObservedCollectionsMax; }
  // One thread only. The list is not full.
  storage::CollectionId add(const storage::CollectionSpec& spec) {
    const auto id = size();
    list_[id] = std::make_unique<const storage::CollectionSpec>(spec);
    size_.store(id + 1, std::memory_order_release);
    return static_cast<storage::CollectionId>(id);
  }
  // That of this very specification, which is added if it is not there. Nullopt: the list is full.
  std::optional<storage::CollectionId> find_or_add(const storage::CollectionSpec& spec) {
    const auto known = find(spec);
    return known || is_full() ? known : add(spec);
  }
  // The first `followed.size()` as ObservedStorage::describe() takes them: those that are not followed rest.
  std::vector<storage::CollectionSpec> described(const std::vector<bool>& followed) const {
    std::vector<storage::CollectionSpec> specs(followed.size());
    for (std::size_t id = 0; id < specs.size(); ++id) {
      if (followed[id]) {
        specs[id] = *list_[id];
      } else {
        specs[id].name = list_[id]->name;
      }
    }
    return specs;
  }
  // Which has this very specification.
  std::optional<storage::CollectionId> find(const storage::CollectionSpec& spec) const {
    for (std::size_t id = 0; id < size(); ++id) {
      if (list_[id]->says_the_same_as(spec)) return static_cast<storage::CollectionId>(id);
    }
    return std::nullopt;
  }

 private:
  std::unique_ptr<std::unique_ptr<const storage::CollectionSpec>[]> list_ =
      std::make_unique<std::unique_ptr<const storage::CollectionSpec>[]>(kObservedCollectionsMax);
  std::atomic<std::size_t> size_{0};
};

}  // namespace freshet::consistency
