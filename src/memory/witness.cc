// Where witnesses live. See memory/witness.h.
#include "memory/witness.h"

#include <cassert>

#include "memory/mapped/block_pool.h"

namespace freshet::memory {

void* Witness::operator new(std::size_t bytes) {
  assert(BlockPool::stays_mapped(bytes));
  return BlockPool::shared().allocate(bytes);
}

void Witness::operator delete(void* witness, std::size_t bytes) { BlockPool::shared().free(witness, bytes); }

}  // namespace freshet::memory
