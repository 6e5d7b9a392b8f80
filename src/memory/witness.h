// What proves that a cached entry is current. Memory only keeps it alive with the entry and hands it back; the consistency
// room gives it its meaning (a slice handle). A reader without the shard's lock may still look at a witness when it is gone,
// so its memory comes from the block pool, which keeps it mapped. May use the standard library and Boost's intrusive_ptr.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>

namespace freshet::memory {

// Whose witness it is: a key may pass from one kind of collection to another while its old entry is still there.
enum class WitnessKind : std::uint32_t {
  other,
  slice,  // ownership::SliceHandle: entries of guarded collections.
  epoch,  // consistency::CollectionEpoch: of observed ones.
};

// Reference-counted, thread-safe.
class Witness {
 public:
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  static void* operator new(std::size_t bytes);
  static void operator delete(void* witness, std::size_t bytes);

  WitnessKind kind() const { return kind_; }

 protected:
  Witness() = default;
  explicit Witness(WitnessKind kind) : kind_(kind) {}
  virtual ~Witness() = default;

 private:
  friend void intrusive_ptr_add_ref(const Witness* witness) { witness->references_.fetch_add(1, std::memory_order_relaxed); }
  friend void intrusive_ptr_release(const Witness* witness) {
    if (witness->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete witness;
  }
  mutable std::atomic<std::uint32_t> references_{0};
  const WitnessKind kind_ = WitnessKind::other;
};

using WitnessRef = boost::intrusive_ptr<const Witness>;

}  // namespace freshet::memory
