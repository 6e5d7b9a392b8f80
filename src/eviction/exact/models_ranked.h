// For tests: models of the policies that rank: GDSF, Belady, Belady-size. May use this room's files.
#pragma once

#include <limits>

#include "eviction/exact/models.h"

namespace freshet::eviction::exact {

class GdsfModel final : public OneListModel {
 public:
  void on_insert(const Object& object) override {
    list_.push_back(object);
    list_.back().count = 1;
    rank(list_.back());
  }
  void on_hit(Slot slot, const Access&) override {
    auto& object = *find_slot(list_, slot);
    ++object.count;
    rank(object);
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    OneListModel::on_resize(slot, size);
    rank(*find_slot(list_, slot));
  }
  bool leaves(Slot victim) override {
    auto least = list_.begin();
    for (auto at = list_.begin(); at != list_.end(); ++at) {
      if (ranks_[at->slot] < ranks_[least->slot]) least = at;
    }
    inflation_ = ranks_[least->slot].first;
    return forget(least, victim);
  }

 private:
  void rank(const Object& object) {
    if (ranks_.size() <= object.slot) ranks_.resize(object.slot + 1);
    ranks_[object.slot] = {inflation_ + object.count / std::max(1.0, double{1} * object.size), order_++};
  }
  std::vector<std::pair<double, std::uint64_t>> ranks_;  // By slot: the priority, and when it was given.
  double inflation_ = 0;
  std::uint64_t order_ = 0;
};

// Whoever has the greatest value may leave: of equal ones, any.
class FarthestModel : public OneListModel {
 public:
  bool on_miss(const Access&) override { return ++requests_, true; }
  void on_hit(Slot slot, const Access& access) override {
    ++requests_;
    find_slot(list_, slot)->next = access.next;
  }
  bool leaves(Slot victim) override {
    const auto at = find_slot(list_, victim);
    if (at == list_.end()) return false;
    for (const auto& other : list_) {
      if (value_of(other) > value_of(*at)) return false;
    }
    return forget(at, victim);
  }

 protected:
  virtual std::pair<double, std::uint32_t> value_of(const Object& object) const = 0;
  std::uint64_t requests_ = 0;
};

class BeladyModel final : public FarthestModel {
  std::pair<double, std::uint32_t> value_of(const Object& object) const override { return {object.next, 0}; }
};

// Sizes below 128 have a class each, so that the choice is exact.
class BeladySizeModel final : public FarthestModel {
  std::pair<double, std::uint32_t> value_of(const Object& object) const override {
    if (object.next == kNever) return {std::numeric_limits<double>::infinity(), object.size};
    return {(double{1} * object.next - static_cast<double>(requests_)) * object.size, object.size};
  }
};

}  // namespace freshet::eviction::exact
