// One open read, for reads.cc and snapshot_reads.cc. May use the reads.
#pragma once

#include <utility>

#include "consistency/observed/reads.h"

namespace freshet::consistency {

class Reads::Read final : public ProbeWaiter, public std::enable_shared_from_this<Read> {
 public:
  Read(Reads& reads, ReadRequest asked) : reads_(reads), request(std::move(asked)), answers(request.keys.size()) {}

  void on_proven(const ProofRef& proof) override { reads_.on_proven(shared_from_this(), proof); }
  void on_unprovable(const Error&) override { reads_.on_unprovable(shared_from_this()); }

  bool is_snapshot() const { return request.promise.level == storage::Level::snapshot && request.keys.size() > 1; }
  bool is_wait() const { return request.keys.empty(); }

 private:
  Reads& reads_;

 public:
  ReadRequest request;
  std::vector<std::uint64_t> hashes;
  std::vector<ObservedAnswer> answers;
  std::size_t open = 0;                 // Keys without an answer.
  std::vector<std::size_t> unproven;    // Keys whose entry waits for a probe.
  bool at_probe = false;                // Waits for one, or is parked.
  base::Nanoseconds joined_at = 0;
  bool over = false;
  base::Nanoseconds patience_at = 0;    // The stream has time until then.
  bool filled = false;                  // The database has answered; the token's transaction is still running.
  bool pausing = false;                 // The token's transaction runs; it is looked for again later.
  bool nudged = false;
  Timers::iterator timer;
  // Snapshot.
  int rounds = 0;
  bool uncached = false;                // A key could not be cached: memory cannot answer this read.
  bool together = false;
  int outdated = 0;                     // How often the schema was not as described.
  std::vector<Touch> touches;
};

}  // namespace freshet::consistency
