// Where to cut a range of slots, from how many keys each slot holds.
#include "storage/postgres/guarded/postgres_storage.h"

#include <algorithm>

namespace freshet::storage::postgres {

std::vector<base::Slot> split_evenly(base::SlotRange range, int parts,
                                     const std::vector<std::pair<base::Slot, std::uint64_t>>& counts) {
  std::uint64_t total = 0;
  for (const auto& [slot, keys] : counts) total += keys;
  std::vector<base::Slot> points;
  std::uint64_t before = 0;  // Keys in the slots before the present one.
  int part = 1;              // The cut looked for: where `part` parts of the keys lie before.
  for (const auto& [slot, keys] : counts) {
    const auto wanted = [&] { return total * static_cast<std::uint64_t>(part) / static_cast<std::uint64_t>(parts); };
    // Cut before this slot or after it, whichever is nearer.
    while (part < parts && before + keys >= wanted()) {
      const bool after = before + keys - wanted() < wanted() - std::min(before, wanted());
      const int point = slot + (after ? 1 : 0);
      const bool inside = point > range.first && point <= range.last && (points.empty() || point > points.back());
      if (inside) points.push_back(static_cast<base::Slot>(point));
      ++part;
    }
    before += keys;
  }
  return points;
}

}  // namespace freshet::storage::postgres
