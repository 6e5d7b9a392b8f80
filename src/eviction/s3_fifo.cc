// See eviction/s3_fifo.h.
#include "eviction/s3_fifo.h"

#include <algorithm>

namespace freshet::eviction {

std::size_t S3Fifo::queue_for(std::uint64_t hash, std::size_t, std::uint8_t&) {
  ++records_;
  return ghosts_.take(static_cast<std::uint32_t>(hash)) ? kMain : kSmall;
}

std::uint8_t S3Fifo::on_hit(std::uint8_t byte) {
  return with_frequency(static_cast<std::uint8_t>(std::min<unsigned>(frequency_in(byte) + 1U, kFrequencyMax)));
}

std::size_t S3Fifo::queue_to_sift(std::span<const std::size_t> queue_bytes) {
  const bool from_small = queue_bytes[kSmall] >= small_bytes_ || queue_bytes[kMain] == 0;
  return from_small && queue_bytes[kSmall] > 0 ? kSmall : kMain;
}

int S3Fifo::sift(std::size_t queue, std::uint64_t hash, std::size_t, std::uint8_t& byte) {
  const std::uint8_t frequency = frequency_in(byte);
  if (queue == kSmall) {
    if (frequency < kFrequencyToMove) {
      remember(hash);
      --records_;
      return kLeaves;
    }
    byte = 0;
    return kMain;
  }
  if (frequency == 0) {
    --records_;
    return kLeaves;
  }
  byte = with_frequency(static_cast<std::uint8_t>(frequency - 1));
  return kMain;
}

// Being outdated does not make it cold.
void S3Fifo::on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) {
  if (queue == kMain || frequency_in(byte) >= kFrequencyToMove) remember(hash);
  --records_;
}

void S3Fifo::remember(std::uint64_t hash) {
  ghosts_.push(static_cast<std::uint32_t>(hash), records_ * (kSmallPart - 1) / kSmallPart);
}

}  // namespace freshet::eviction
