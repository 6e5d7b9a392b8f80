// See memory/grouping.h.
#include "memory/grouping.h"

#include "base/slot.h"

namespace freshet::memory {

Groups::Groups(segments::SegmentLog& log) : log_(log) {
  const auto take = [&](bool written_to) {
    log_.for_each_segment([&](segments::Segment& segment, bool is_newest) {
      if (is_newest == written_to && !segments::SegmentLog::is_empty(segment)) segments_.push_back(&segment);
    });
  };
  take(false);
  if (segments_.empty()) take(true);
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
