// See eviction/adaptive/advisor.h.
#include "eviction/adaptive/advisor.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace freshet::eviction::adaptive {
namespace {

// What entries may take, with what a policy keeps beside them.
std::uint64_t entries_capacity(const memory::TableStats& stats) {
  return stats.capacity_bytes - std::min(stats.index_bytes, stats.capacity_bytes / 2);
}

shadow::ShadowsOptions shadows_options(const std::vector<Candidate>& candidates, std::uint64_t capacity_bytes,
                                       const AdvisorOptions& options) {
  shadow::ShadowsOptions shadows;
  for (const Candidate& candidate : candidates) shadows.policies.push_back(candidate.shadow);
  shadows.capacity_bytes = capacity_bytes;
  shadows.rate = options.rate;
  shadows.half_life_requests = options.half_life_requests;
  shadows.seed = options.seed;
  return shadows;
}

std::size_t index_of(const std::vector<Candidate>& candidates, const TablePolicy& policy) {
  const auto found = std::ranges::find(candidates, &policy, &Candidate::policy);
  assert(found != candidates.end());
  return static_cast<std::size_t>(found - candidates.begin());
}

}  // namespace

Advisor::Advisor(memory::Table& table, AccessQueue& queue, const TablePolicy& in_office, const AdvisorOptions& options)
    : table_(table), queue_(queue), candidates_(candidates()), told_capacity_(entries_capacity(table.stats())),
      shadows_(shadows_options(candidates_, told_capacity_, options)),
      chooser_(candidates_.size(), index_of(candidates_, in_office)), told_rate_(shadows_.sample().rate()) {
  queue_.take();  // What an earlier advisor left.
  table_.listen(&queue_, shadows_.sample());
}

Advisor::~Advisor() { table_.listen(nullptr, shadows_.sample()); }

const TablePolicy& Advisor::step(std::uint64_t requests) {
  take_in();
  count(requests);
  follow_capacity();
  if (shadows_.windows() > windows_) {
    windows_ = shadows_.windows();
    const std::size_t before = chooser_.in_office();
    if (chooser_.next(shadows_.object_miss_ratios()) != before) ++changes_;
  }
  return *candidates_[chooser_.in_office()].policy;
}

void Advisor::take_in() {
  const auto time_s = static_cast<std::uint32_t>(base::now() / base::kSecond);
  for (const memory::KeyAccess& access : queue_.take()) {
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(access.bytes, UINT32_MAX));
    switch (access.kind) {
      case memory::AccessKind::read: shadows_.read({access.hash, size, time_s}); break;
      case memory::AccessKind::written: shadows_.write({access.hash, size, time_s}); break;
      case memory::AccessKind::erased: shadows_.erase(access.hash); break;
    }
  }
  // The shadows became too large for the rate: the table need not tell what they pass over.
  if (shadows_.sample().rate() == told_rate_) return;
  told_rate_ = shadows_.sample().rate();
  table_.listen(&queue_, shadows_.sample());
}

// Where the sample lacks some, the requests do not say how many it should have.
void Advisor::count(std::uint64_t requests) {
  const std::uint64_t dropped = queue_.dropped();
  if (counts_ && requests > requests_ && dropped == dropped_) shadows_.count_all(requests - requests_, 0);
  requests_ = requests;
  dropped_ = dropped;
  counts_ = true;
}

void Advisor::follow_capacity() {
  const std::uint64_t capacity = entries_capacity(table_.stats());
  const double change = std::abs(static_cast<double>(capacity) - static_cast<double>(told_capacity_));
  if (change < kCapacityStep * static_cast<double>(told_capacity_)) return;
  told_capacity_ = capacity;
  shadows_.set_capacity(capacity);
}

Report Advisor::report() const {
  Report report;
  report.in_office = candidates_[chooser_.in_office()].policy->name;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    report.policies.push_back({candidates_[i].policy->name, shadows_.estimate(i).object_miss_ratio, shadows_.curve(i)});
  }
  report.rate = shadows_.sample().rate();
  report.sampled_requests = shadows_.sampled_requests();
  report.dropped = queue_.dropped();
  report.windows = windows_;
  report.cool_down_windows = chooser_.cool_down_left();
  report.changes = changes_;
  report.bytes = shadows_.overhead_bytes();
  return report;
}

}  // namespace freshet::eviction::adaptive
