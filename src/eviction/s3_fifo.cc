// See eviction/s3_fifo.h.
#include "eviction/s3_fifo.h"

namespace freshet::eviction {

using memory::Entry;

void S3Fifo::on_insert(Entry& entry) {
  if (ghosts_.take(fingerprint_of(entry))) {
    enter_main(entry);
  } else {
    entry.queue() = kSmall;
    small_.push_front(entry);
  }
}

void S3Fifo::on_replace(Entry& earlier, Entry& replacement) {
  replacement.queue() = earlier.queue();
  set_frequency(replacement, earlier.frequency());
  queue_of(earlier).replace(earlier, replacement);
}

void S3Fifo::on_erase(Entry& entry) {
  const bool earned = entry.queue() == kMain || entry.frequency() >= kFrequencyToMove;
  queue_of(entry).remove(entry);
  if (earned) remember(entry);
}

Entry* S3Fifo::take_victim() {
  while (!small_.empty() || !main_.empty()) {
    const bool from_small = !small_.empty() && (small_.bytes() >= small_bytes_ || main_.empty());
    Entry* const tail = (from_small ? small_ : main_).pop_back();
    if (from_small && tail->frequency() < kFrequencyToMove) {
      remember(*tail);
      return tail;
    }
    if (!from_small && tail->frequency() == 0) return tail;
    set_frequency(*tail, from_small ? 0 : static_cast<std::uint8_t>(tail->frequency() - 1));
    enter_main(*tail);
  }
  ghosts_.trim(0);
  return nullptr;
}

void S3Fifo::set_capacity(std::size_t bytes) { small_bytes_ = bytes / kSmallPart; }

void S3Fifo::enter_main(Entry& entry) {
  entry.queue() = kMain;
  main_.push_front(entry);
}

void S3Fifo::remember(const Entry& entry) {
  const std::size_t objects = small_.size() + main_.size() + 1;
  ghosts_.push(fingerprint_of(entry), objects * (kSmallPart - 1) / kSmallPart);
}

}  // namespace freshet::eviction
