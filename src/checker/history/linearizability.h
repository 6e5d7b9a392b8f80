// The linearizability checker: is there an order of a key's operations in which each takes effect between its invocation and
// its return, and every answer is the one that the order explains? Histories are judged key by key, which is enough
// (Herlihy and Wing, "Linearizability", 1990: it is a local property).
//
// The search is Wing and Gong's with Lowe's state caching and just-in-time linearization (Lowe, "Testing for
// linearizability", 2017): walking through the history by time, it carries the set of *configurations* (state, operations in
// flight that have already taken effect) that the past allows. An operation is forced to take effect only when it
// returns. At a quiescent point, with nothing in flight, what is carried is just the set of possible states, so that the
// cost of a history grows with its length and not with its orders.
//
// An operation of unknown outcome never returns: it may take effect at any later time, or never. A configuration that has
// used more of them than another that is otherwise equal is dropped, since whatever it can do the other can too.
//
// Exact in both directions, up to the limits below, for histories that begin with an absent key. Expiry is not modelled.
// Nothing is concluded from the distance of two versions. May use the checker room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checker/history/history.h"
#include "checker/history/register_model.h"

namespace freshet::checker {

enum class Verdict : std::uint8_t { legal, violation, inconclusive };

struct CheckLimits {
  std::uint64_t transitions_max = 50'000'000;  // Operations tried in states, for one key.
  std::uint64_t shrink_transitions_max = 20'000'000;
};

// Operations in flight at a time, those of unknown outcome included.
inline constexpr int kInFlightMax = 64;

// A point from which a history can be judged without its past: the past allows one configuration only.
struct Checkpoint {
  State state;                              // Its value is given as text below.
  std::optional<std::string> value;         // Nothing: absent.
  base::Nanoseconds at_ns = 0;              // Right after the return at this time.
  std::vector<const Operation*> in_flight;  // Invoked before, and yet to take effect.
  std::size_t next = 0;                     // The first operation invoked after it, in the order of invocation.
};

struct SearchOutcome {
  Verdict verdict = Verdict::legal;
  const Operation* refuted = nullptr;  // Violation: the operation whose return nothing explains any more.
  std::uint64_t transitions = 0;
  std::string limit;                   // Inconclusive: which limit.
};

// Where a search begins, and what it may assume.
struct SearchStart {
  std::optional<std::string> value;  // Of the key.
  bool moved = false;
  std::uint64_t version = 0;
  Hidden hidden;
};

// Judges operations of one key, sorted by invocation. Adds a checkpoint to `checkpoints`, if given, wherever there is one.
SearchOutcome find_order(const std::vector<const Operation*>& operations, const SearchStart& start,
                     std::uint64_t transitions_max, std::vector<Checkpoint>* checkpoints = nullptr);

struct KeyVerdict {
  Verdict verdict = Verdict::legal;
  std::string reason;                 // In one sentence, unless legal.
  std::vector<Operation> offending;   // The shrunk history, in the order of invocation.
  std::string before;                 // What the key held before `offending`, if that is not from the key's beginning.
};

// Judges the history of one key (any order of operations); a violation comes with the shortest offending history found:
// none of its operations can be left out.
KeyVerdict check_key(const std::vector<Operation>& history, const CheckLimits& limits = {});

}  // namespace freshet::checker
