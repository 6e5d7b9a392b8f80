// Streams over an order.
#include "load/replayed_keys.h"

namespace freshet::load {
namespace {

// Requests that a thread takes at a time.
constexpr std::uint64_t kRequestsATurn = 64;

}  // namespace

class ReplayedKeys::InOrder final : public KeySource {
 public:
  explicit InOrder(ReplayedKeys& keys) : keys_(keys) {}
  std::string_view next() override {
    if (next_ == end_) {
      next_ = keys_.place_.fetch_add(kRequestsATurn, std::memory_order_relaxed);
      end_ = next_ + kRequestsATurn;
    }
    return keys_.name(keys_.requests_[next_++ % keys_.requests_.size()], buffer_);
  }

 private:
  ReplayedKeys& keys_;
  std::string buffer_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
};

class ReplayedKeys::Each final : public KeySource {
 public:
  Each(const ReplayedKeys& keys, std::uint64_t first, std::uint64_t last) : keys_(keys), next_(first), last_(last) {}
  std::string_view next() override { return next_ < last_ ? keys_.name(next_++, buffer_) : std::string_view(); }

 private:
  const ReplayedKeys& keys_;
  std::string buffer_;
  std::uint64_t next_;
  const std::uint64_t last_;
};

std::unique_ptr<KeySource> ReplayedKeys::draws(std::uint64_t) { return std::make_unique<InOrder>(*this); }

std::unique_ptr<KeySource> ReplayedKeys::each(std::uint64_t first, std::uint64_t last) {
  return std::make_unique<Each>(*this, first, last);
}

}  // namespace freshet::load
