// How much a history can prove. Operations that never met another client's operation on their key would look fine on a
// cache that is wrong, so a run without contention is inconclusive and not fine. May use the checker room's history.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checker/history/history.h"

namespace freshet::checker {

// Fewer than these make a run inconclusive.
inline constexpr std::uint64_t kOverlappedMin = 100;
inline constexpr std::uint64_t kReadsDuringWriteMin = 20;  // By source memory where the target tells the source.

struct Contention {
  std::uint64_t operations = 0;
  std::uint64_t reads = 0;
  std::uint64_t unknown = 0;             // Writes of unknown outcome.
  std::uint64_t overlapped = 0;          // Operations during which another client's operation on the key was in flight.
  std::uint64_t hits = 0;                // Reads served from memory, by the target's word,
  std::uint64_t hits_during_write = 0;   // and those with another client's write on the key in flight from their
                                         // invocation to their return, so that they were surely served during it.
  std::uint64_t reads_during_write = 0;  // The same for all reads, whoever served them.

  Contention& operator+=(const Contention& other);
  // Why this is too little to conclude from; empty if it is enough. `tells_source`: the target says where reads came from.
  std::string shortfall(bool tells_source) const;
};

// Counts one key's history; an operation of unknown outcome counts as in flight until its client gave up.
Contention contention_of(const std::vector<Operation>& history);

}  // namespace freshet::checker
