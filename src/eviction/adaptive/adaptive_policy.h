// policy = auto: a thread that lets an Advisor (advisor.h) judge the table's traffic, and says when another policy should
// run. May use memory, eviction and eviction/shadow.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "eviction/adaptive/access_queue.h"
#include "eviction/adaptive/advisor.h"

namespace freshet::eviction::adaptive {

struct AdaptiveOptions {
  AdvisorOptions advisor;
  // How often the thread looks. Accesses that are sampled wait so long, and at most AccessQueue::kAccessesMax of them.
  base::Nanoseconds interval = 20 * base::kMillisecond;
};

// Thread-safe, but that start() and stop() are called by one thread at a time.
class AdaptivePolicy {
 public:
  // So many hits and fills the table has had: asked by the thread, as is...
  using Requests = std::function<std::uint64_t()>;
  // ...this called when another policy should run. It may take its time.
  using Change = std::function<void(const TablePolicy&)>;

  // The table outlives it, and no access of the table's is under way when it goes.
  AdaptivePolicy(memory::Table& table, Requests requests, Change change, const AdaptiveOptions& options);
  ~AdaptivePolicy() { stop(); }

  // The table runs `in_office` now; if it is no candidate, the default policy is changed to first.
  void start(const TablePolicy& in_office);
  // From the return on nothing is changed any more.
  void stop();
  bool is_running() const { return thread_.joinable(); }

  // As of the last look; null while it does not run.
  std::shared_ptr<const Report> report() const;

 private:
  void run(const std::stop_token& stop, const TablePolicy* in_office);
  void publish(std::shared_ptr<const Report> report);

  memory::Table& table_;
  const Requests requests_;
  const Change change_;
  const AdaptiveOptions options_;
  AccessQueue queue_;
  mutable std::mutex mutex_;  // Of what follows.
  std::condition_variable_any stopping_;
  std::shared_ptr<const Report> report_;
  std::jthread thread_;
};

}  // namespace freshet::eviction::adaptive
