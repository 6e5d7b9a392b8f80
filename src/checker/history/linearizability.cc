// The search for an order that explains a history.
#include "checker/history/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "base/slot.h"

namespace freshet::checker {
namespace {

// A set of slots of operations in flight.
using Slots = std::uint64_t;

constexpr Slots bit_of(int slot) { return Slots{1} << slot; }

struct Configuration {
  State state;
  Slots done = 0;  // In flight, and has taken effect.
};

struct Event {
  base::Nanoseconds at_ns;
  bool returns;
  std::uint32_t index;
};

// Configurations grouped by what must agree; within a group only those that no other one dominates: the sets of unknown
// operations used that contain none of the others.
class ConfigurationSet {
 public:
  explicit ConfigurationSet(Slots unknown) : unknown_(unknown) {}

  bool insert(const Configuration& configuration) {
    const Slots used = configuration.done & unknown_;
    std::vector<Slots>& group = groups_[{configuration.state, configuration.done & ~unknown_}];
    for (const Slots other : group) {
      if ((other & ~used) == 0) return false;
    }
    std::erase_if(group, [used](Slots other) { return (used & ~other) == 0; });
    group.push_back(used);
    return true;
  }

  std::vector<Configuration> take() const {
    std::vector<Configuration> all;
    for (const auto& [key, group] : groups_) {
      for (const Slots used : group) all.push_back({key.state, key.done | used});
    }
    return all;
  }

 private:
  struct Hash {
    std::size_t operator()(const Configuration& key) const {
      const std::uint64_t words[] = {key.state.value, key.state.moved, key.state.version, key.done};
      return base::hash_of({reinterpret_cast<const char*>(words), sizeof words});
    }
  };
  struct Equal {
    bool operator()(const Configuration& a, const Configuration& b) const { return a.state == b.state && a.done == b.done; }
  };

  Slots unknown_;
  std::unordered_map<Configuration, std::vector<Slots>, Hash, Equal> groups_;
};

// Two operations of unknown outcome with the same effect: it does not matter which of them takes effect first.
bool same_effect(const Step& a, const Step& b) {
  const Operation& first = *a.operation;
  const Operation& second = *b.operation;
  return first.kind == second.kind && a.argument == b.argument && a.expected == b.expected && first.delta == second.delta &&
         first.expected_version == second.expected_version;
}

class Search {
 public:
  Search(const std::vector<const Operation*>& operations, const SearchStart& start, std::uint64_t transitions_max,
         std::vector<Checkpoint>* checkpoints)
      : operations_(operations), transitions_max_(transitions_max), checkpoints_(checkpoints), model_(start.hidden) {
    steps_.reserve(operations.size());
    for (const Operation* operation : operations) steps_.push_back(model_.prepare(*operation));
    State state{start.value ? model_.number_of(*start.value) : kAbsent, start.moved, start.version};
    configurations_.push_back({state, 0});
    slot_of_.assign(operations.size(), -1);
  }

  SearchOutcome run() {
    for (const Event& event : events()) {
      if (!event.returns) {
        if (!invoke(event.index)) return inconclusive(fmt::format("more than {} operations in flight", kInFlightMax));
        continue;
      }
      if (!force(slot_of_[event.index])) {
        return inconclusive(fmt::format("more than {} transitions tried", transitions_max_));
      }
      if (configurations_.empty()) {
        return {Verdict::violation, operations_[event.index], transitions_, {}};
      }
      retire(slot_of_[event.index]);
      free_settled();
      if (checkpoints_) note_checkpoint(event);
    }
    return {Verdict::legal, nullptr, transitions_, {}};
  }

 private:
  SearchOutcome inconclusive(std::string limit) const {
    return {Verdict::inconclusive, nullptr, transitions_, std::move(limit)};
  }

  // Invocations and returns by time. At the same time invocations come first: such operations count as concurrent.
  std::vector<Event> events() const {
    std::vector<Event> events;
    for (std::uint32_t index = 0; index < operations_.size(); ++index) {
      const Operation& operation = *operations_[index];
      if (operation.outcome == Outcome::failed) continue;
      if (operation.outcome == Outcome::unknown && is_read(operation)) continue;
      events.push_back({operation.invoked_ns, false, index});
      if (operation.outcome == Outcome::ok) events.push_back({operation.returned_ns, true, index});
    }
    std::ranges::stable_sort(events, [](const Event& a, const Event& b) {
      return a.at_ns != b.at_ns ? a.at_ns < b.at_ns : a.returns < b.returns;
    });
    return events;
  }

  bool invoke(std::uint32_t index) {
    const int slot = std::countr_one(taken_);
    if (slot == kInFlightMax) return false;
    taken_ |= bit_of(slot);
    slot_of_[index] = slot;
    index_at_[slot] = index;
    if (operations_[index]->outcome == Outcome::unknown) unknown_ |= bit_of(slot);
    if (!may_have_written(*operations_[index])) pure_ |= bit_of(slot);
    return true;
  }

  // The operations in flight that may come next: of several unknown ones with the same effect only the first.
  bool may_come_next(int slot, Slots done) const {
    if (done & bit_of(slot)) return false;
    if (!(unknown_ & bit_of(slot))) return true;
    for (Slots rest = unknown_ & ~done & (bit_of(slot) - 1); rest != 0; rest &= rest - 1) {
      if (same_effect(steps_[index_at_[std::countr_zero(rest)]], steps_[index_at_[slot]])) return false;
    }
    return true;
  }

  // Lets operations in flight that write nothing and answer what the state is take effect at once: it can only help. (Not
  // so a write that happens to leave the state as it is: it may be needed later.)
  void settle_reads(Configuration& configuration) {
    for (Slots rest = pure_ & ~configuration.done; rest != 0; rest &= rest - 1) {
      const int slot = std::countr_zero(rest);
      ++transitions_;
      if (model_.apply(steps_[index_at_[slot]], configuration.state) == configuration.state) {
        configuration.done |= bit_of(slot);
      }
    }
  }

  // Extends every configuration until the operation at `slot` has taken effect, and drops those that cannot be.
  // Configurations are visited by how many unknown operations they have used, so that the dominating ones come first.
  bool force(int slot) {
    ConfigurationSet reached(unknown_);
    ConfigurationSet visited(unknown_);
    std::vector<std::vector<Configuration>> layers(kInFlightMax + 1);
    const auto add = [&](Configuration configuration) {
      settle_reads(configuration);
      if (configuration.done & bit_of(slot)) {
        reached.insert(configuration);
      } else if (visited.insert(configuration)) {
        layers[static_cast<std::size_t>(std::popcount(configuration.done & unknown_))].push_back(configuration);
      }
    };
    for (const Configuration& configuration : configurations_) add(configuration);
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      while (!layers[layer].empty()) {
        const Configuration configuration = layers[layer].back();
        layers[layer].pop_back();
        if (transitions_ > transitions_max_) return false;
        extend(configuration, add);
      }
    }
    configurations_ = reached.take();
    return true;
  }

  template <typename Add>
  void extend(const Configuration& configuration, const Add& add) {
    for (Slots rest = taken_ & ~configuration.done; rest != 0; rest &= rest - 1) {
      const int slot = std::countr_zero(rest);
      if (!may_come_next(slot, configuration.done)) continue;
      ++transitions_;
      if (const auto after = model_.apply(steps_[index_at_[slot]], configuration.state)) {
        add({*after, configuration.done | bit_of(slot)});
      }
    }
    for (const State& state : model_.hidden_moves(configuration.state)) {
      ++transitions_;
      if (!(state == configuration.state)) add({state, configuration.done});
    }
  }

  void retire(int slot) {
    for (Configuration& configuration : configurations_) configuration.done &= ~bit_of(slot);
    taken_ &= ~bit_of(slot);
    unknown_ &= ~bit_of(slot);
    pure_ &= ~bit_of(slot);
  }

  // An operation of unknown outcome that has taken effect in every configuration is in flight no more.
  void free_settled() {
    if (unknown_ == 0) return;
    Slots settled = unknown_;
    for (const Configuration& configuration : configurations_) settled &= configuration.done;
    for (; settled != 0; settled &= settled - 1) retire(std::countr_zero(settled));
  }

  void note_checkpoint(const Event& event) {
    if (configurations_.size() != 1) return;
    const Configuration& only = configurations_.front();
    Checkpoint checkpoint;
    checkpoint.state = only.state;
    if (only.state.value != kAbsent) checkpoint.value = model_.text_of(only.state.value);
    checkpoint.at_ns = event.at_ns;
    for (Slots rest = taken_ & ~only.done; rest != 0; rest &= rest - 1) {
      checkpoint.in_flight.push_back(operations_[index_at_[std::countr_zero(rest)]]);
    }
    checkpoint.next = static_cast<std::size_t>(
        std::ranges::upper_bound(operations_, event.at_ns, {}, [](const Operation* o) { return o->invoked_ns; }) -
        operations_.begin());
    checkpoints_->push_back(std::move(checkpoint));
  }

  const std::vector<const Operation*>& operations_;
  std::uint64_t transitions_max_;
  std::vector<Checkpoint>* checkpoints_;
  RegisterModel model_;
  std::vector<Step> steps_;
  std::vector<Configuration> configurations_;
  std::vector<int> slot_of_;
  std::uint32_t index_at_[kInFlightMax] = {};
  Slots taken_ = 0;
  Slots unknown_ = 0;
  Slots pure_ = 0;  // They write nothing.
  std::uint64_t transitions_ = 0;
};

}  // namespace

SearchOutcome find_order(const std::vector<const Operation*>& operations, const SearchStart& start,
                     std::uint64_t transitions_max, std::vector<Checkpoint>* checkpoints) {
  return Search(operations, start, transitions_max, checkpoints).run();
}

}  // namespace freshet::checker
