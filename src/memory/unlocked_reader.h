// A hit without a lock: copies an entry out of a shard that others may be changing, and finds out afterwards whether they
// were. No locked instruction and no fence that costs anything (on x86), so that the processor begins the next hit's reads
// of memory while this one's are still on their way.
//
// The protocol. Each step reads what the step before led to, and is taken only once the sequence has shown that the lead was
// a real one as of `begun_`:
//   the index's place and size  ->  still?  ->  a bucket's slots  ->  still?  ->  a record's head  ->  still?  ->
//   its key, where its witness is  ->  still?  ->  the witness, the value (copied into the caller's buffer)  ->  still?  ->
//   the answer
// Between a step's validation and its reads the memory may be given back and serve something else. The reads are harmless
// then: segments and index stay mapped (memory/mapped), the sizes are those of what stood there, and the last validation
// throws the copy away. An answer is therefore what the shard held at `begun_`, which is inside the call.
//
// Nothing is written. A hit that the policy wants to hear of, or a value that stands outside of the segments, is `locked`:
// it takes the lock.
//
// Nearly every hit finds a record of the usual shape at the first address that has its tag. `copy_usual` is for those alone:
// the same steps, in so few instructions that the next hit's reads are within the processor's sight (docs/BENCHMARKS.md,
// "Linked hits"). May use memory/segments and memory/mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "memory/entry.h"
#include "memory/mapped/sequence.h"
#include "memory/segments/index.h"
#include "memory/segments/record.h"
#include "memory/sifting.h"
#include "memory/witness_ids.h"

namespace freshet::memory {

class UnlockedReader {
 public:
  UnlockedReader(const segments::Index& index, const WitnessIds& witnesses, const Sequence& sequence)
      : index_(index), sequence_(sequence), begun_(sequence.now()), witnesses_(witnesses.peek_all()) {}

  // Found, and `copy` and `to` filled in; else nothing is said: ask `copy`. `judge()` returns what `is_current` is there; it
  // is called between the index and the entry.
  template <typename Judge>
  [[gnu::always_inline]] bool copy_usual(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copy,
                                         const Judge& judge) const {
    if (Sequence::is_changing(begun_)) return false;
    const auto still = [this] [[gnu::always_inline]] () { return sequence_.is_still(begun_); };
    const char* const at = index_.guess(hash, still);
    if (!at || !still()) return false;
    const auto is_current = judge();
    __builtin_prefetch(at + kLineBytes);  // A record seldom begins with a line.
    const auto head = segments::UsualHead::glimpse(at);
    if (!head.has(SiftingPolicy::kSettled) || head.key_bytes() != key.size() || !still()) return false;
    const char* const payload = at + segments::UsualHead::kBytes;
    const bool same = peek_equal(payload, key);
    const Witness* const witness = peek(witnesses_[head.witness()]);
    if (!same || !still() || !is_current(witness, kNever)) return false;
    if (head.value_bytes() <= to.size()) peek_bytes(payload + key.size(), head.value_bytes(), to.data());
    if (!still()) return false;
    copy = {head.present(), head.value_bytes(), head.version()};
    return true;
  }

  // `is_current(witness, expires_at_ms)` may be asked about a witness that has ended: it reads of it by peek only. It is
  // one that the entry had; null if it has none. Found:
  // `copy` and `to` are filled in. Refused: there, but not current, or no string.
  template <typename IsCurrent>
  Sight copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copy, IsCurrent& is_current) const {
    if (Sequence::is_changing(begun_)) return Sight::changed;
    const auto still = [this] { return sequence_.is_still(begun_); };
    return index_.find_unlocked(hash, still, [&](const char* at) {
      const segments::Head seen = segments::Record::glimpse(at);
      if (!still()) return Sight::changed;
      if (seen.key_bytes != key.size()) return Sight::absent;
      if (seen.outside || !(seen.policy & SiftingPolicy::kSettled)) return Sight::locked;
      const char* const payload = at + seen.head_bytes;
      const bool same = peek_equal(payload, key);
      const Witness* const witness = peek(witnesses_[seen.witness]);
      if (!still()) return Sight::changed;
      const bool current = same && seen.kind == base::ValueKind::string && is_current(witness, seen.expires_at_ms);
      if (seen.value_bytes <= to.size()) peek_bytes(payload + seen.key_bytes, seen.value_bytes, to.data());
      if (!still()) return Sight::changed;
      if (!same) return Sight::absent;
      if (!current) return Sight::refused;
      copy = {seen.present, seen.value_bytes, seen.version};
      return Sight::found;
    });
  }

 private:
  static constexpr std::size_t kLineBytes = 64;

  static constexpr std::int64_t kNever = 0;  // What has a deadline has not the usual shape.

  const segments::Index& index_;
  const Sequence& sequence_;
  const Sequence::Value begun_;
  const Witness* const* const witnesses_;  // By number; read after begun_.
};

}  // namespace freshet::memory
