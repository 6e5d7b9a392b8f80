// Write guards in memory: which token guards each slot. Not thread-safe: it belongs to the thread that orders the writes, so
// that a check and the write it allows cannot be parted by a replacement.
//
// A map from the first slot of a run to the run's token; a run reaches to the next entry. Slots without a guard carry the
// nil token, which no write may match. Neighbouring runs never carry the same token, so the table has never more than one
// entry a slot.
//
// May use base only.
#pragma once

#include <cassert>
#include <map>

#include "base/random.h"
#include "base/slot.h"

namespace freshet::storage::embedded {

class GuardTable {
 public:
  using Token = base::UniqueId;

  GuardTable() { runs_.emplace(0, Token{}); }

  // The token that guards `slot`; nil if none does.
  Token token_of(base::Slot slot) const {
    assert(slot < base::kSlots);
    return std::prev(runs_.upper_bound(slot))->second;
  }

  // Whether a write under `token` may touch `slot`.
  bool allows(base::Slot slot, Token token) const { return !token.is_nil() && token_of(slot) == token; }

  // Replaces the tokens of `range`; runs that it cuts keep what lies outside.
  void set(base::SlotRange range, Token token) {
    assert(range.first <= range.last && range.last < base::kSlots);
    const int after = range.last + 1;
    if (after < base::kSlots) runs_.insert({after, token_of(static_cast<base::Slot>(after))});
    runs_.erase(runs_.lower_bound(range.first), runs_.lower_bound(after));
    const auto run = runs_.emplace(range.first, token).first;
    if (const auto next = std::next(run); next != runs_.end() && next->second == token) runs_.erase(next);
    if (run != runs_.begin() && std::prev(run)->second == token) runs_.erase(run);
  }

  // How many runs the table holds.
  std::size_t runs() const { return runs_.size(); }

 private:
  std::map<int, Token> runs_;
};

}  // namespace freshet::storage::embedded
