// Counting which operations met.
#include "checker/history/contention.h"

#include <fmt/format.h>

#include <algorithm>

namespace freshet::checker {

Contention& Contention::operator+=(const Contention& other) {
  operations += other.operations;
  reads += other.reads;
  unknown += other.unknown;
  overlapped += other.overlapped;
  hits += other.hits;
  hits_during_write += other.hits_during_write;
  reads_during_write += other.reads_during_write;
  return *this;
}

std::string Contention::shortfall(bool tells_source) const {
  if (overlapped < kOverlappedMin) {
    return fmt::format("only {} operations overlapped another client's on their key (at least {} wanted)", overlapped,
                       kOverlappedMin);
  }
  const std::uint64_t seen = tells_source ? hits_during_write : reads_during_write;
  if (seen < kReadsDuringWriteMin) {
    return fmt::format("only {} {} were served while another client's write on the key was in flight (at least {} wanted)",
                       seen, tells_source ? "hits" : "reads", kReadsDuringWriteMin);
  }
  return {};
}

Contention contention_of(const std::vector<Operation>& history) {
  std::vector<const Operation*> sorted;
  for (const Operation& operation : history) {
    if (operation.outcome != Outcome::failed) sorted.push_back(&operation);
  }
  std::ranges::stable_sort(sorted, {}, [](const Operation* operation) { return operation->invoked_ns; });
  Contention total;
  struct InFlight {
    const Operation* operation;
    bool counted;
  };
  std::vector<InFlight> in_flight;
  for (const Operation* operation : sorted) {
    std::erase_if(in_flight, [&](const InFlight& other) { return other.operation->returned_ns < operation->invoked_ns; });
    InFlight self{operation, false};
    bool during_write = false;
    for (InFlight& other : in_flight) {
      if (other.operation->client == operation->client) continue;
      total.overlapped += other.counted ? 0 : 1;
      other.counted = self.counted = true;
      during_write |= !is_read(*other.operation) && other.operation->returned_ns >= operation->returned_ns;
    }
    total.overlapped += self.counted ? 1 : 0;
    in_flight.push_back(self);
    ++total.operations;
    total.unknown += operation->outcome == Outcome::unknown ? 1 : 0;
    if (!is_read(*operation)) continue;
    const bool hit = operation->source == Source::memory;
    ++total.reads;
    total.hits += hit ? 1 : 0;
    total.reads_during_write += during_write ? 1 : 0;
    total.hits_during_write += hit && during_write ? 1 : 0;
  }
  return total;
}

}  // namespace freshet::checker
