// See memory/witness_ids.h.
#include "memory/witness_ids.h"

#include <algorithm>
#include <cassert>

#include "memory/mapped/block_pool.h"

namespace freshet::memory {
namespace {

constexpr std::size_t kFirstRoom = 8;

}  // namespace

constinit const Witness* WitnessIds::none_ = nullptr;

WitnessIds::~WitnessIds() {
  for (const auto& [witness, id] : ids_) intrusive_ptr_release(witness);
  drop_table();
}

void WitnessIds::drop_table() {
  if (count_ > 1) BlockPool::shared().free(witnesses_, count_ * sizeof(const Witness*));
}

void WitnessIds::shrink_if_empty() {
  if (!ids_.empty()) return;
  drop_table();
  witnesses_ = &none_;
  count_ = 1;
  records_ = std::vector<std::uint32_t>(1);
  free_ = std::vector<std::uint16_t>();
  ids_ = boost::unordered_flat_map<const Witness*, std::uint16_t>();
}

std::size_t WitnessIds::bytes() const {
  const std::size_t table = count_ > 1 ? BlockPool::footprint_of(count_ * sizeof(const Witness*)) : 0;
  return table + (records_.capacity() - 1) * sizeof(std::uint32_t) + free_.capacity() * sizeof(std::uint16_t) +
         ids_.bucket_count() * (sizeof(std::pair<const Witness*, std::uint16_t>) + 1);
}

void WitnessIds::grow() {
  const std::size_t before = count_;
  const std::size_t room = before == 1 ? kFirstRoom : before * 2;
  auto** const fresh = static_cast<const Witness**>(BlockPool::shared().allocate(room * sizeof(const Witness*)));
  std::copy_n(witnesses_.load(), before, fresh);
  std::fill_n(fresh + before, room - before, nullptr);
  drop_table();
  witnesses_ = fresh;
  count_ = static_cast<std::uint32_t>(room);
}

std::uint16_t WitnessIds::use(const WitnessRef& witness) {
  if (!witness) return 0;
  if (witness.get() != last_) {
    auto found = ids_.find(witness.get());
    if (found == ids_.end()) {
      if (free_.empty() && records_.size() > kWitnessesMax) return 0;
      if (free_.empty()) {
        if (records_.size() == count_) grow();
        free_.push_back(static_cast<std::uint16_t>(records_.size()));
        records_.push_back(0);
      }
      found = ids_.emplace(witness.get(), free_.back()).first;
      free_.pop_back();
      poke(witnesses_[found->second], witness.get());
      intrusive_ptr_add_ref(witness.get());
    }
    last_ = witness.get();
    last_id_ = found->second;
  }
  ++records_[last_id_];
  return last_id_;
}

void WitnessIds::give_back(std::uint16_t id) {
  if (id == 0) return;
  assert(records_[id] > 0);
  if (--records_[id] > 0) return;
  const Witness* const witness = witnesses_[id];
  if (witness == last_) last_ = nullptr;
  ids_.erase(witness);
  poke(witnesses_[id], static_cast<const Witness*>(nullptr));
  free_.push_back(id);
  intrusive_ptr_release(witness);
}

}  // namespace freshet::memory
