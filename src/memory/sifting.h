// Who stays when memory is full: the interface between segments and a policy that does not choose single victims. It says
// from which queue records are sifted next, and of each of them whether it leaves, is written anew at the end of a queue, or
// stays where it is. The oldest segment of the queue is sifted, front to back; where records stayed, the next one.
// May use the standard library.
//
// Each shard has a policy of its own, called under the shard's lock. It keeps what it knows of a record in the record's own
// byte, and must not block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace freshet::memory {

class SiftingPolicy {
 public:
  // In a record's byte: a hit would change nothing, so that it need not be told. The other bits are the policy's own.
  static constexpr std::uint8_t kSettled = 0x80;
  static constexpr int kLeaves = -1;
  static constexpr int kStays = -2;

  virtual ~SiftingPolicy() = default;

  // The queue of a new key, of four at most; and its byte, which is 0 unless the policy says otherwise.
  virtual std::size_t queue_for(std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) = 0;
  // A read found the record, and took the lock for it: its byte from now on.
  virtual std::uint8_t on_hit(std::uint8_t byte) = 0;
  // The queue that is sifted next, one that has entries, by the bytes that the entries of each have.
  virtual std::size_t queue_to_sift(std::span<const std::size_t> queue_bytes) = 0;
  // Room is needed: kLeaves, kStays, or the queue at whose end it is written anew; with `byte` as its byte. Who is judged
  // again and again without a hit must leave at last.
  virtual int sift(std::size_t queue, std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) = 0;
  // The record leaves for another reason than room.
  virtual void on_erase(std::size_t /*queue*/, std::uint64_t /*hash*/, std::uint8_t /*byte*/) {}
  // What the entries may take together.
  virtual void set_capacity(std::size_t /*bytes*/) {}
  // What the policy keeps beside the records: counted in the shard's bytes.
  virtual std::size_t overhead_bytes() const = 0;
  // No record is left: what the policy remembers of others goes too.
  virtual void forget() {}
};

}  // namespace freshet::memory
