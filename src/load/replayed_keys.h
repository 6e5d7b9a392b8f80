// Keys that are asked for in a given order, over and over: what lists and traces have in common. All threads share one place
// in the order, and take some neighbours at a time, so that neighbours stay neighbours in time. May use base only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/keys.h"

namespace freshet::load {

class ReplayedKeys : public KeySet {
 public:
  std::unique_ptr<KeySource> draws(std::uint64_t seed) override;
  std::unique_ptr<KeySource> each(std::uint64_t first, std::uint64_t last) override;

 protected:
  // A key's name; in `buffer`, unless it stands somewhere for good.
  virtual std::string_view name(std::uint64_t number, std::string& buffer) const = 0;

  // The keys' numbers (below size()) in the order in which they are asked for. Filled before the first draw.
  std::vector<std::uint32_t> requests_;

 private:
  class InOrder;
  class Each;

  std::atomic<std::uint64_t> place_{0};
};

}  // namespace freshet::load
