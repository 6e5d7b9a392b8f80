// Tells the address sanitizer which of the block pool's memory may be touched, and the leak sanitizer where to look for
// pointers. Without them nothing of this costs anything. May use nothing else.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define FRESHET_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FRESHET_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(FRESHET_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

namespace freshet::memory {

inline void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(FRESHET_ADDRESS_SANITIZER)
  __asan_poison_memory_region(memory, bytes);
#endif
}

inline void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(FRESHET_ADDRESS_SANITIZER)
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

// Memory that came from the system, and memory that is about to go back to it.
inline void announce_memory([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(FRESHET_ADDRESS_SANITIZER)
  __lsan_register_root_region(memory, bytes);
#endif
}

inline void renounce_memory([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(FRESHET_ADDRESS_SANITIZER)
  __lsan_unregister_root_region(memory, bytes);
  unpoison(memory, bytes);
#endif
}

}  // namespace freshet::memory
