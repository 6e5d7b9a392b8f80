// See eviction/lru.h.
#include "eviction/lru.h"

namespace freshet::eviction {

void Lru::on_hit(memory::Entry& entry) {
  queue_.remove(entry);
  queue_.push_front(entry);
}

std::unique_ptr<memory::EvictionPolicy> make_lru(std::size_t) { return std::make_unique<Lru>(); }

}  // namespace freshet::eviction
