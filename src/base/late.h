// Something that is made once, perhaps long after others have begun to ask for it, and then stays. May use the standard
// library.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace freshet::base {

// Like a unique_ptr whose owner may set it while others read it.
template <typename T>
class Late {
 public:
  T* get() const { return made_.load(std::memory_order_acquire); }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  explicit operator bool() const { return get() != nullptr; }

  // Once, by one thread.
  void make(std::unique_ptr<T> made) {
    owned_ = std::move(made);
    made_.store(owned_.get(), std::memory_order_release);
  }
  // Nobody asks for it any more.
  void reset() {
    made_.store(nullptr, std::memory_order_release);
    owned_.reset();
  }

 private:
  std::unique_ptr<T> owned_;
  std::atomic<T*> made_{nullptr};
};

}  // namespace freshet::base
