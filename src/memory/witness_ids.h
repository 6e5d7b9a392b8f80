// A shard's witnesses by small numbers, so that a record names its own in two bytes; and one reference counted for all of a
// shard's records instead of one each. 0 is no witness.
//
// Not thread-safe but for peek_all: the shard locks. A reader without the lock looks a number up once the shard's sequence
// has shown that the number and the place of the witnesses were so at one moment (memory/unlocked_reader.h). The table's
// memory comes from the block pool, and stays mapped. May use memory/mapped.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/mapped/unlocked_read.h"
#include "memory/witness.h"

namespace freshet::memory {

class WitnessIds {
 public:
  static constexpr std::size_t kWitnessesMax = UINT16_MAX;

  WitnessIds() = default;
  ~WitnessIds();
  WitnessIds(const WitnessIds&) = delete;
  WitnessIds& operator=(const WitnessIds&) = delete;

  // The witness's number, for one record more; 0 for none, and for one more than kWitnessesMax.
  std::uint16_t use(const WitnessRef& witness);
  // A record with that number has gone.
  void give_back(std::uint16_t id);

  const Witness* at(std::uint16_t id) const { return witnesses_[id]; }
  // For a reader without the lock: the witnesses by number, of which there are as many as the records of this moment name.
  const Witness* const* peek_all() const { return witnesses_.load(std::memory_order_relaxed); }
  std::size_t bytes() const;
  // Gives memory back if no record is left.
  void shrink_if_empty();

 private:
  void grow();
  void drop_table();

  static const Witness* none_;
  std::atomic<const Witness**> witnesses_{&none_};
  std::uint32_t count_ = 1;                   // Of the numbers that witnesses_ has room for.
  std::vector<std::uint32_t> records_ = {0};  // By number.
  std::vector<std::uint16_t> free_;
  boost::unordered_flat_map<const Witness*, std::uint16_t> ids_;
  const Witness* last_ = nullptr;             // Mostly the same one comes again.
  std::uint16_t last_id_ = 0;
};

}  // namespace freshet::memory
