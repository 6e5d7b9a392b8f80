// Judging hits on the reader's own thread. See consistency/observed/published.h.
#include "consistency/observed/published.h"

#include <algorithm>

namespace freshet::consistency {
namespace {

// Readers note themselves at most so often, so that they do not fight for the line.
constexpr base::Nanoseconds kNoteEvery = 50 * base::kMillisecond;

}  // namespace

bool is_of(const SessionToken& token, const storage::Identity& identity) {
  return token.system == identity.system && token.timeline == identity.timeline;
}

bool satisfies(const Proof& proof, const SessionToken& token) {
  return token.position > 0 ? proof.complete_to >= token.position : proof.snapshot.shows(token.xid);
}

void Published::prove(ProofRef proof) {
  const base::Nanoseconds sent = proof->sent;
  {
    const std::lock_guard hold(proof_lock_);
    proof_.swap(proof);
  }
  clock_.store(std::max(sent, clock_.load(std::memory_order_relaxed)), std::memory_order_release);
}

void Published::forget_proof() {
  ProofRef old;
  const std::lock_guard hold(proof_lock_);
  proof_.swap(old);
}

ProofRef Published::proof() const {
  const std::lock_guard hold(proof_lock_);
  return proof_;
}

// Order matters twice.
//
// The entry and the clock. The follower does a probe's changes to the table first and advances the clock then (release). A
// reader that sees the new clock (acquire) and still holds the old entry would be wrong; it cannot: under the shard's lock
// the change has not happened yet, so neither has the clock's advance, which comes after it; without the lock the copy is
// validated after this call by the shard's sequence, which the change had moved before the clock moved.
//
// The clock and the epoch. A different fingerprint ends epochs before any later probe advances the clock. So the clock is
// read first: whoever reads the advanced clock sees the epoch ended.
std::optional<base::Nanoseconds> Published::age_if_fresh(const memory::Entry& entry, const ReadPromise& promise,
                                                         base::Nanoseconds now) const {
  // Of a time when the collection was guarded: nothing follows it.
  if (entry.witness()->kind() != memory::WitnessKind::epoch) return std::nullopt;
  const base::Nanoseconds proven = age(now);
  if (promise.needs_new_proof()) return std::nullopt;
  if (promise.level == storage::Level::bounded) {
    note_bounded_read(now);
    if (proven > promise.bound) return std::nullopt;
  }
  if (promise.level == storage::Level::session && !promise.token.system.empty()) {
    const ProofRef proof = this->proof();
    if (!proof || !is_of(promise.token, proof->identity) || !satisfies(*proof, promise.token)) return std::nullopt;
  }
  if (!static_cast<const CollectionEpoch*>(entry.witness())->is_live()) return std::nullopt;
  return proven;
}

base::Nanoseconds Published::age(base::Nanoseconds now) const {
  const base::Nanoseconds clock = this->clock();
  return clock == 0 ? base::kForever : std::max<base::Nanoseconds>(now - clock, 0);
}

void Published::note_bounded_read(base::Nanoseconds now) const {
  if (now - bounded_read_at() > kNoteEvery) bounded_read_at_.store(now, std::memory_order_relaxed);
}

void Published::set_shape(storage::CollectionId collection, storage::RowShapeRef shape) {
  const std::lock_guard hold(shapes_mutex_);
  if (shapes_.size() <= collection) shapes_.resize(collection + std::size_t{1});
  shapes_[collection] = std::move(shape);
}

storage::RowShapeRef Published::shape_of(storage::CollectionId collection) const {
  const std::lock_guard hold(shapes_mutex_);
  return collection < shapes_.size() ? shapes_[collection] : nullptr;
}

}  // namespace freshet::consistency
