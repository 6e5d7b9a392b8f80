// The requests of a load, written as they go over the wire. May use protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "load/keys.h"
#include "load/values.h"
#include "protocol/buffer.h"

namespace freshet::load {

// Keys of one MGET.
inline constexpr std::uint32_t kBatchMax = 10'000;

// What a target speaks.
enum class Protocol : std::uint8_t { redis, memcached };

// One thread's stream of requests.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  // Appends one request; false if there are no more.
  virtual bool next(protocol::Buffer& out) = 0;
};

// Makes the stream of thread `thread` of `threads`, for a target that speaks `protocol`: the same requests for all of them.
using MakeRequests = std::function<std::unique_ptr<RequestSource>(Protocol protocol, int thread, int threads)>;

struct Mix {
  double writes = 0;         // Share of the requests that are SETs; the others read.
  std::uint32_t batch = 1;   // Keys a read asks for: 1: GET, more: MGET (memcached: get).
};

// Reads and writes of keys as they are drawn, without end. Round by round other draws, the same ones for the same seed;
// lists and traces go on where the round before stopped.
MakeRequests mixed_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, Mix mix, std::uint64_t seed);
// Every key written once, and every key read once.
MakeRequests filling_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values);
MakeRequests touching_requests(std::shared_ptr<KeySet> keys);

}  // namespace freshet::load
