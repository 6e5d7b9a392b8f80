// One round: connections to one target, warm-up, a measured window, and what was seen in it. May use client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "client/connection.h"
#include "freshet/result.h"
#include "load/requests.h"
#include "load/schedule.h"
#include "load/tally.h"
#include "load/target_process.h"

namespace freshet::load {

inline constexpr int kConnectionsMax = 10'000;
inline constexpr int kThreadsMax = 256;
inline constexpr std::uint32_t kPipelineMax = 10'000;
inline constexpr base::Nanoseconds kConnectTime = 5 * base::kSecond;

struct LoadTarget {
  std::string name;                           // As it was given.
  client::Target address;
  std::string password;                       // Empty: no AUTH.
  std::optional<TargetProcess> process = {};  // Whose CPU time is measured.
  Protocol protocol = Protocol::redis;
};

struct Shape {
  int connections = 50;          // Of all threads together, at least one each.
  int threads = 1;
  std::uint32_t pipeline = 1;    // Requests of a connection that may be unanswered.
  double rate = 0;               // Requests a second of all threads together; 0: closed loop.
  Arrivals arrivals = Arrivals::poisson;
};

struct RoundPlan {
  Shape shape;
  MakeRequests requests;
  std::uint32_t batch = 1;                      // Keys of a read that asks for many.
  base::Nanoseconds warm_up = 0;
  base::Nanoseconds duration = base::kForever;  // kForever: until the requests are over.
  std::uint64_t seed = 0;                       // Of the arrivals.
  int interrupt = -1;                           // A descriptor: once it is readable the round ends. -1: none.
};

// A connected socket, not blocking, that has authenticated and answered a PING (memcached: "version"). The caller closes it.
// Errors say what the target lacks.
Result<int> connect(const LoadTarget& target);

// Errors: the target is out of reach, refuses, or closed every connection. Ends early at an interrupt, with what there is.
Result<Tally> run_round(const LoadTarget& target, const RoundPlan& plan);

// Waits until one of the descriptors (-1: none) is readable, or the time has come. True: one is readable.
bool wait_until(base::Nanoseconds time, int first, int second = -1);
// Whether the descriptor is readable.
bool is_interrupted(int descriptor);

}  // namespace freshet::load
