// Keys from a file, a line each.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <unordered_map>

#include "load/replayed_keys.h"

namespace freshet::load {
namespace {

class ListedKeys final : public ReplayedKeys {
 public:
  // Takes a line; false if there are too many.
  bool add(std::string&& line) {
    if (requests_.size() >= kReplayedRequestsMax) return false;
    const auto found = numbers_.find(line);
    if (found != numbers_.end()) {
      requests_.push_back(found->second);
      return true;
    }
    const auto number = static_cast<std::uint32_t>(keys_.size());
    keys_.push_back(std::move(line));
    numbers_.emplace(keys_.back(), number);
    requests_.push_back(number);
    return true;
  }
  // After the last line.
  void close() { numbers_ = {}; }

  std::uint64_t size() const override { return keys_.size(); }
  std::string to_text() const override { return fmt::format("{} keys in a list of {}", keys_.size(), requests_.size()); }

 private:
  std::string_view name(std::uint64_t number, std::string&) const override { return keys_[number]; }

  std::deque<std::string> keys_;  // Never moved: numbers_ holds views of them.
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};

}  // namespace

Result<std::shared_ptr<KeySet>> listed_keys(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("cannot read {}: {}", path, std::strerror(errno)),
                     "name a file with a key on each line");
  }
  auto list = std::make_shared<ListedKeys>();
  std::uint64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    if (line.size() > kKeyBytesMax) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("{}:{}: a key of {} bytes", path, number, line.size()),
                       fmt::format("keys have at most {} bytes", kKeyBytesMax));
    }
    if (!list->add(std::move(line))) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("{} has more than {} lines", path, kReplayedRequestsMax),
                       "use a part of it");
    }
  }
  if (list->size() == 0) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} holds no keys", path), "write a key on each line");
  }
  list->close();
  return std::shared_ptr<KeySet>(std::move(list));
}

}  // namespace freshet::load
