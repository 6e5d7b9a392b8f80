// A hit without a lock: copies an entry out of a shard that others may be changing, and finds out afterwards whether they
// were. No locked instruction and no fence that costs anything (on x86), so that the processor begins the next hit's reads
// of memory while this one's are still on their way.
//
// The protocol. Each step reads what the step before led to, and is taken only once the sequence has shown that the lead was
// a real one as of `begun_`:
//   the index's place and size  ->  still?  ->  a bucket's slots  ->  still?  ->  an entry's header  ->  still?  ->
//   its key, its witness, its value (copied into the caller's buffer)  ->  still?  ->  the answer
// Between a step's validation and its reads the memory may be given back and serve something else. The reads are harmless
// then: the pool keeps it mapped, the sizes are those of what stood there, and the last validation throws the copy away. An
// answer is therefore what the shard held at `begun_`, which is inside the call.
//
// Nothing is written. A hit that the policy wants to hear of, or a value that is not kept in the pool's memory, is `locked`:
// it takes the lock. May use base only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "memory/entry.h"
#include "memory/index.h"
#include "memory/sequence.h"

namespace freshet::memory {

// What is known of an entry whose value was copied; of a value larger than the buffer nothing is.
struct EntryCopy {
  bool present = false;
  std::size_t value_bytes = 0;
  std::uint64_t version = 0;
};

class UnlockedReader {
 public:
  UnlockedReader(const Index& index, const Sequence& sequence)
      : index_(index), sequence_(sequence), begun_(sequence.now()) {}

  // `is_current(witness, expires_at_ms)` may be asked about a witness that has ended: it reads of it by peek only. Found:
  // `copy` and `to` are filled in. Refused: there, but not current.
  template <typename IsCurrent>
  Sight copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copy, IsCurrent& is_current) const {
    if (Sequence::is_changing(begun_)) return Sight::changed;
    const auto still = [this] { return sequence_.is_still(begun_); };
    return index_.find_unlocked(hash, still, [&](const Entry& entry) {
      const Entry::Glimpse seen = entry.glimpse();
      if (!still()) return Sight::changed;
      if (seen.hash != hash || seen.key_bytes != key.size()) return Sight::absent;
      if (seen.outlined || !seen.settled) return Sight::locked;
      const bool same = peek_equal(entry.inline_payload(), key);
      const bool current = is_current(seen.witness, seen.expires_at_ms);
      if (seen.value_bytes <= to.size()) peek_bytes(entry.inline_payload() + seen.key_bytes, seen.value_bytes, to.data());
      if (!still()) return Sight::changed;
      if (!same) return Sight::absent;
      if (!current) return Sight::refused;
      copy = {seen.present, seen.value_bytes, seen.version};
      return Sight::found;
    });
  }

 private:
  const Index& index_;
  const Sequence& sequence_;
  const Sequence::Value begun_;
};

}  // namespace freshet::memory
