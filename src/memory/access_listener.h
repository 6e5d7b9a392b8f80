// Who hears of the table's accesses to a sample of the keys: the interface that memory owns, for shadow caches. May use
// base only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace freshet::memory {

enum class AccessKind : std::uint8_t {
  read,     // A read found the entry, or an entry came in for a read that had found none.
  written,  // An entry came in for a write or a change.
  erased,   // The key's entry left, for another reason than room.
};

struct KeyAccess {
  AccessKind kind;
  std::uint64_t hash;
  std::size_t bytes;  // Table::bytes_of the entry; 0 if it was erased.
};

class AccessListener {
 public:
  // On the thread that made the access, no lock held: must not block.
  virtual void on_access(const KeyAccess& access) = 0;

 protected:
  ~AccessListener() = default;
};

}  // namespace freshet::memory
