// Keys as a trace asks for them.
#include <fmt/format.h>

#include <unordered_map>
#include <vector>

#include "load/replayed_keys.h"

namespace freshet::load {
namespace {

constexpr std::size_t kRecordsARead = 4096;

class TracedKeys final : public ReplayedKeys {
 public:
  // False if there are too many.
  bool add(std::uint64_t key) {
    if (requests_.size() >= kReplayedRequestsMax) return false;
    const auto [found, is_new] = numbers_.emplace(key, static_cast<std::uint32_t>(keys_.size()));
    if (is_new) keys_.push_back(key);
    requests_.push_back(found->second);
    return true;
  }
  // After the last one.
  void close() { numbers_ = {}; }

  std::uint64_t size() const override { return keys_.size(); }
  std::string to_text() const override { return fmt::format("{} keys in a trace of {}", keys_.size(), requests_.size()); }

 private:
  std::string_view name(std::uint64_t number, std::string& buffer) const override {
    buffer = "key:0000000000000000";
    auto key = keys_[number];
    for (auto digit = buffer.rbegin(); key > 0; ++digit, key >>= 4) *digit = "0123456789abcdef"[key & 15];
    return buffer;
  }

  std::vector<std::uint64_t> keys_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

}  // namespace

Result<std::shared_ptr<KeySet>> traced_keys(const std::string& path, const trace::ReadOptions& options) {
  auto reader = trace::open_trace(path, options);
  if (!reader) return std::move(reader).error();
  auto keys = std::make_shared<TracedKeys>();
  std::vector<trace::Record> records(kRecordsARead);
  while (true) {
    const auto count = (*reader)->read(records);
    if (!count) return count.error();
    for (std::size_t i = 0; i < *count; ++i) {
      if (records[i].operation == trace::Operation::erase || keys->add(records[i].key)) continue;
      return Error::of(ErrorCode::invalid_argument, fmt::format("{} has more than {} requests", path, kReplayedRequestsMax),
                       "use a part of it");
    }
    if (*count == 0) break;
  }
  if (keys->size() == 0) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} asks for no keys", path), "name a trace with reads in it");
  }
  keys->close();
  return std::shared_ptr<KeySet>(std::move(keys));
}

}  // namespace freshet::load
