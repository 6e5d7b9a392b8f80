// See consistency/observed/collections.h.
#include "consistency/observed/collections.h"

#include <algorithm>

namespace freshet::consistency {

namespace {

storage::FullXid past(storage::FullXid first, const std::optional<storage::Xid>& newest) {
  return newest ? std::max(first, storage::Snapshot(first, first, {}).widen(*newest) + 1) : first;
}

}  // namespace

void StartRule::begin(storage::FullXid first, const Told& told) {
  over_ = false;
  told_ = told;
  first_ = first == 0 ? 0 : past(first, told.newest);
  delivered_.clear();
  finished_at_ = base::kForever;
}

void StartRule::learn(const storage::Snapshot& snapshot) {
  if (!over_ && first_ == 0) first_ = past(snapshot.xmax(), told_.newest);
}

void StartRule::delivered(storage::Xid xid) {
  if (!over_ && told_.arriving != xid) delivered_.insert(xid);
}

void StartRule::learn_newest(const storage::Snapshot& newest, base::Nanoseconds now) {
  if (is_over() || finished_at_ != base::kForever || concerns(newest)) return;
  finished_at_ = now;
}

void StartRule::end() {
  over_ = true;
  delivered_.clear();
  finished_at_ = base::kForever;
}

bool StartRule::concerns(const storage::Snapshot& snapshot) const {
  if (over_) return false;
  if (first_ == 0 || snapshot.xmax() < first_) return true;
  const auto& running = snapshot.in_progress();
  return std::any_of(running.begin(), running.end(), [&](storage::FullXid xid) {
    return xid < first_ && !delivered_.contains(static_cast<storage::Xid>(xid));
  });
}

Collections::Collections(Context& context) : context_(context), states_(context.specs.size()) {}

std::vector<storage::CollectionId> Collections::describe(const storage::Description& description) {
  std::vector<storage::CollectionId> changed;
  // It may be of a time when there were fewer.
  for (storage::CollectionId id = 0; id < std::min(states_.size(), description.collections.size()); ++id) {
    const storage::CollectionDescription& now = description.collections[id];
    State& state = states_[id];
    const bool same = described_ && !state.fault && !now.fault && state.fingerprint == now.fingerprint;
    if (same) continue;
    changed.push_back(id);
    const bool was_served = state.epoch != nullptr;
    if (state.epoch) state.epoch->end();
    if (was_served && state.used) {
      context_.host.sweep(state.epoch);
      ++context_.stats.collections_dropped;
    }
    state = State{now.fault ? nullptr : EpochRef(new CollectionEpoch(id, now.shape)), now.fault, now.fingerprint,
                  description.published, false};
    context_.published.set_shape(id, now.fault ? nullptr : now.shape);
  }
  description_ = description;
  described_ = true;
  doubted_ = false;
  return changed;
}

void Collections::end_epoch(storage::CollectionId id) {
  State& state = states_[id];
  if (!state.epoch || !state.used) return;
  state.epoch->end();
  context_.host.sweep(state.epoch);
  state.epoch = EpochRef(new CollectionEpoch(id, state.epoch->shape()));
  state.used = false;
  ++context_.stats.collections_dropped;
}

void Collections::end_all_epochs() {
  for (storage::CollectionId id = 0; id < states_.size(); ++id) end_epoch(id);
}

bool Collections::active(storage::CollectionId id) const {
  const State& state = states_[id];
  return described_ && !doubted_ && state.epoch && context_.received >= state.published;
}

bool Collections::all_active() const {
  for (storage::CollectionId id = 0; id < states_.size(); ++id) {
    if (states_[id].epoch && !active(id)) return false;
  }
  return true;
}

}  // namespace freshet::consistency
