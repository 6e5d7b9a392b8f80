// A request as the simulator keeps it in memory: 24 bytes; and blocks of them. May use nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simulator/huge_pages.h"

namespace freshet::simulator {

struct Request {
  static constexpr std::uint32_t kErase = UINT32_MAX;  // In place of a size: the object is deleted.
  static constexpr std::uint32_t kNever = UINT32_MAX;

  std::uint64_t key;     // The key's hash.
  std::uint32_t object;  // Objects are numbered from 0 in the order of their first request.
  std::uint32_t size;
  std::uint32_t time_s;
  std::uint32_t next;    // The number of the object's next request, if someone asked for it (Workload::find_next).
};

// A stretch of a trace.
struct Block {
  static constexpr std::size_t kRequests = kHugePageBytes / sizeof(Request);

  std::vector<Request, HugePages<Request>> requests;
  // Which of them put a value into the cache and ask for nothing: places in `requests`, ascending. Apart, so that traces
  // without them cost no bit and no branch.
  std::vector<std::uint32_t> stores;
};

}  // namespace freshet::simulator
