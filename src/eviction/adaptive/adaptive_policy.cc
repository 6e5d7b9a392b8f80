// See eviction/adaptive/adaptive_policy.h.
#include "eviction/adaptive/adaptive_policy.h"

#include <chrono>
#include <utility>

#include "base/log.h"

namespace freshet::eviction::adaptive {

AdaptivePolicy::AdaptivePolicy(memory::Table& table, Requests requests, Change change, const AdaptiveOptions& options)
    : table_(table), requests_(std::move(requests)), change_(std::move(change)), options_(options) {}

void AdaptivePolicy::start(const TablePolicy& in_office) {
  if (is_running()) return;
  thread_ = std::jthread([this, in_office = &in_office](const std::stop_token& stop) { run(stop, in_office); });
}

void AdaptivePolicy::stop() {
  if (!is_running()) return;
  thread_ = {};
  publish(nullptr);
}

std::shared_ptr<const Report> AdaptivePolicy::report() const {
  const std::lock_guard hold(mutex_);
  return report_;
}

void AdaptivePolicy::publish(std::shared_ptr<const Report> report) {
  const std::lock_guard hold(mutex_);
  report_.swap(report);
}

void AdaptivePolicy::run(const std::stop_token& stop, const TablePolicy* in_office) {
  if (!is_candidate(*in_office)) change_(*(in_office = table_policy(kDefaultPolicy)));
  Advisor advisor(table_, queue_, *in_office, options_.advisor);
  while (!stop.stop_requested()) {
    const TablePolicy& better = advisor.step(requests_());
    const auto report = std::make_shared<const Report>(advisor.report());
    publish(report);
    if (&better != in_office) {
      base::log_info("eviction", "the policy changes from {} to {}: sampled requests would miss {:.4f} instead of {:.4f}",
                     in_office->name, better.name, report->policy(better.name).miss_ratio,
                     report->policy(in_office->name).miss_ratio);
      change_(*(in_office = &better));
    }
    std::unique_lock hold(mutex_);
    stopping_.wait_for(hold, stop, std::chrono::nanoseconds(options_.interval), [] { return false; });
  }
}

}  // namespace freshet::eviction::adaptive
