// See memory/grouping.h.
#include "memory/grouping.h"

#include <algorithm>

#include "base/slot.h"

namespace freshet::memory {

using segments::Segment;
using segments::SegmentLog;

Groups::Groups(SegmentLog& log) : log_(log) {
  take(false);
  if (segments_.empty()) take(written_to_ = true);
}

void Groups::take(bool written_to) {
  log_.for_each_segment([&](Segment& segment, bool is_newest) {
    if (is_newest != written_to) return;
    if (!SegmentLog::is_empty(segment)) return segments_.push_back(&segment);
    if (!written_to) empty_ = &segment;
  });
}

Segment* Groups::under_way() const {
  if (written_to_) return nullptr;
  const auto found = std::ranges::find_if(segments_, [](const Segment* s) { return s->sifted > SegmentLog::kHeaderBytes; });
  return found == segments_.end() ? nullptr : *found;
}

void Groups::sample(std::size_t index, std::size_t first, std::size_t step, Visit visit) {
  std::size_t to_skip = first;
  log_.for_each(*segments_[index], [&](segments::Record record, const segments::Head& head) {
    if (to_skip-- > 0) return;
    to_skip = step - 1;
    std::uint8_t byte = head.policy;
    visit(base::hash_of(record.key(head)), log_.cost_of(head), byte);
    if (byte != head.policy) record.set_policy(byte);
  });
}

}  // namespace freshet::memory
