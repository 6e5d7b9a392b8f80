// From a violating history to the shortest offending one.
//
// An operation may be left out if the rest is contradictory whatever the operation did. Reads, and writes whose condition
// did not hold, change nothing and are simply dropped; other writes become hidden ones (register_model.h), which may take
// effect at any time: what still contradicts the model is contradictory with the real ones too. So the history printed is
// an offence by itself, and never an artefact of the shrinking.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "checker/history/linearizability.h"

namespace freshet::checker {
namespace {

using Operations = std::vector<const Operation*>;

// What a history that begins at a checkpoint costs beside its operations: its reader must believe where it starts.
constexpr std::size_t kCheckpointCost = 2;

struct Shrunk {
  Operations operations;
  const Operation* refuted = nullptr;
  std::string before;
  std::size_t cost() const { return operations.size() + (before.empty() ? 0 : kCheckpointCost); }
};

class Shrinker {
 public:
  Shrinker(Operations all, SearchStart start, std::uint64_t& budget)
      : all_(std::move(all)), start_(std::move(start)), budget_(budget) {}

  // The shrunk history, or nothing if all operations together violate nothing (or the budget is gone).
  std::optional<Shrunk> run() {
    if (!violates(all_)) return std::nullopt;
    Operations kept = shortest_suffix();
    for (std::size_t chunk = std::max<std::size_t>(kept.size() / 2, 1); chunk > 0; chunk /= 2) {
      while (drop_chunks(kept, chunk) && chunk == 1) {
      }
    }
    violates(kept);
    return Shrunk{std::move(kept), refuted_, {}};
  }

 private:
  bool violates(const Operations& kept) {
    if (budget_ == 0) return false;
    const std::unordered_set<const Operation*> shown(kept.begin(), kept.end());
    SearchStart start = start_;
    for (const Operation* operation : all_) {
      if (!shown.contains(operation)) start.hidden.add(*operation);
    }
    const SearchOutcome outcome = find_order(kept, start, budget_);
    budget_ -= std::min(budget_, outcome.transitions + all_.size());
    if (outcome.verdict != Verdict::violation) return false;
    refuted_ = outcome.refuted;
    return true;
  }

  // The last operations to return that suffice, their number doubled until they do.
  Operations shortest_suffix() {
    Operations by_return = all_;
    std::ranges::stable_sort(by_return, {}, [](const Operation* operation) {
      return operation->outcome == Outcome::unknown ? operation->invoked_ns : operation->returned_ns;
    });
    for (std::size_t count = 1; count < by_return.size(); count *= 2) {
      Operations kept(by_return.end() - static_cast<std::ptrdiff_t>(count), by_return.end());
      std::ranges::stable_sort(kept, {}, [](const Operation* operation) { return operation->invoked_ns; });
      if (violates(kept)) return kept;
    }
    return all_;
  }

  // Leaves out every run of `chunk` operations that can be. Returns whether there was one.
  bool drop_chunks(Operations& kept, std::size_t chunk) {
    bool dropped = false;
    for (std::size_t from = 0; from < kept.size() && kept.size() > 1;) {
      Operations without = kept;
      const auto first = without.begin() + static_cast<std::ptrdiff_t>(from);
      without.erase(first, first + static_cast<std::ptrdiff_t>(std::min(chunk, kept.size() - from)));
      if (!without.empty() && violates(without)) {
        kept = std::move(without);
        dropped = true;
      } else {
        from += chunk;
      }
    }
    return dropped;
  }

  Operations all_;
  SearchStart start_;
  std::uint64_t& budget_;
  const Operation* refuted_ = nullptr;
};

Operations sorted(const std::vector<Operation>& history) {
  Operations operations;
  for (const Operation& operation : history) operations.push_back(&operation);
  std::ranges::stable_sort(operations, {}, [](const Operation* operation) { return operation->invoked_ns; });
  return operations;
}

std::string text_of(const Checkpoint& checkpoint) {
  if (!checkpoint.value) return "the key was absent";
  const std::string version =
      checkpoint.state.version == 0 ? ""
      : fmt::format(" at {} {}", checkpoint.state.moved ? "a version above" : "version", checkpoint.state.version);
  return fmt::format("the key held '{}'{}", *checkpoint.value, version);
}

std::optional<Shrunk> shrink_from(const Checkpoint& checkpoint, const Operations& prefix, std::uint64_t& budget) {
  Operations rest = checkpoint.in_flight;
  rest.insert(rest.end(), prefix.begin() + static_cast<std::ptrdiff_t>(checkpoint.next), prefix.end());
  std::ranges::stable_sort(rest, {}, [](const Operation* operation) { return operation->invoked_ns; });
  const SearchStart start{checkpoint.value, checkpoint.state.moved, checkpoint.state.version, {}};
  std::optional<Shrunk> shrunk = Shrinker(std::move(rest), start, budget).run();
  if (shrunk) shrunk->before = text_of(checkpoint);
  return shrunk;
}

// The shortest of what can be reached from the key's beginning and from some of the checkpoints, the latest ones first.
Shrunk shortest(const Operations& prefix, const Operation* refuted, const CheckLimits& limits) {
  std::vector<Checkpoint> checkpoints;
  find_order(prefix, {}, limits.transitions_max, &checkpoints);
  std::uint64_t budget = limits.shrink_transitions_max;
  Shrunk best{prefix, refuted, {}};
  std::uint64_t half = budget / 2;
  budget -= half;
  if (auto shrunk = Shrinker(prefix, {}, half).run()) best = std::move(*shrunk);
  budget += half;
  for (std::size_t back = 1; back <= checkpoints.size() && best.cost() > 1 + kCheckpointCost; back *= 2) {
    auto shrunk = shrink_from(checkpoints[checkpoints.size() - back], prefix, budget);
    if (shrunk && shrunk->cost() < best.cost()) best = std::move(*shrunk);
  }
  return best;
}

}  // namespace

KeyVerdict check_key(const std::vector<Operation>& history, const CheckLimits& limits) {
  Operations operations = sorted(history);
  const SearchOutcome outcome = find_order(operations, {}, limits.transitions_max);
  if (outcome.verdict == Verdict::legal) return {};
  if (outcome.verdict == Verdict::inconclusive) {
    return {Verdict::inconclusive, fmt::format("key {}: {}", history.front().key, outcome.limit), {}, {}};
  }
  const base::Nanoseconds end = outcome.refuted->returned_ns;
  std::erase_if(operations, [end](const Operation* operation) { return operation->invoked_ns > end; });
  const Shrunk best = shortest(operations, outcome.refuted, limits);
  KeyVerdict verdict{Verdict::violation, {}, {}, best.before};
  verdict.reason = fmt::format("no order of these operations explains the answer of: {}", describe(*best.refuted));
  for (const Operation* operation : best.operations) verdict.offending.push_back(*operation);
  return verdict;
}

}  // namespace freshet::checker
