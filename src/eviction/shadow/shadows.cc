// See eviction/shadow/shadows.h.
#include "eviction/shadow/shadows.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace freshet::eviction::shadow {

Shadows::Shadows(ShadowsOptions options)
    : options_(std::move(options)), sample_(options_.rate),
      live_size_(static_cast<std::size_t>(std::ranges::find(options_.multiples, 1.0) - options_.multiples.begin())),
      period_requests_(std::max<std::uint64_t>(options_.half_life_requests / kPeriods, 1)) {
  assert(live_size_ < options_.multiples.size());
  assert(options_.half_life_requests > 0);
  start_anew();
}

void Shadows::read(const Access& access) {
  if (!takes(access.hash)) return;
  for (const Shadow& shadow : shadows_) shadow.cache.prefetch(access.hash);
  std::size_t most = 0;
  for (Shadow& shadow : shadows_) {
    shadow.cache.read(access);
    most = std::max(most, shadow.cache.objects());
  }
  for (Traffic* const traffic : {&sampled_, &not_told_}) {
    ++traffic->requests;
    traffic->bytes += std::max(access.size, 1U);
  }
  ++not_told_undecayed_;
  if (most > kSampledObjectsMax) sample_fewer();
  if (++requests_ % period_requests_ == 0) end_period();
}

void Shadows::write(const Access& access) {
  if (!takes(access.hash)) return;
  for (Shadow& shadow : shadows_) shadow.cache.write(access);
  if (objects() > kSampledObjectsMax) sample_fewer();
}

void Shadows::erase(std::uint64_t hash) {
  if (!takes(hash)) return;
  for (Shadow& shadow : shadows_) shadow.cache.erase(hash);
}

// What is told has decayed meanwhile, as much as what was sampled of it.
void Shadows::count_all(std::uint64_t requests, std::uint64_t bytes) {
  const double weight = not_told_undecayed_ > 0 ? not_told_.requests / not_told_undecayed_ : 1;
  const double mean_bytes = sampled_.requests > 0 ? sampled_.bytes / sampled_.requests : 1;
  const double due = static_cast<double>(requests) * sample_.rate() * weight;
  due_.requests += due;
  due_.bytes += bytes > 0 ? static_cast<double>(bytes) * sample_.rate() * weight : due * mean_bytes;
  not_told_ = {};
  not_told_undecayed_ = 0;
}

void Shadows::set_capacity(std::uint64_t bytes) {
  options_.capacity_bytes = bytes;
  apply_capacity();
}

std::vector<double> Shadows::object_miss_ratios() const {
  std::vector<double> ratios;
  for (std::size_t policy = 0; policy < policies(); ++policy) ratios.push_back(estimate(policy).object_miss_ratio);
  return ratios;
}

std::vector<CurvePoint> Shadows::curve(std::size_t policy) const {
  std::vector<CurvePoint> points;
  for (std::size_t size = 0; size < options_.multiples.size(); ++size) {
    const double bytes = static_cast<double>(options_.capacity_bytes) * options_.multiples[size];
    points.push_back({static_cast<std::uint64_t>(bytes), estimate(policy, size)});
  }
  return points;
}

std::size_t Shadows::objects() const {
  std::size_t most = 0;
  for (const Shadow& shadow : shadows_) most = std::max(most, shadow.cache.objects());
  return most;
}

std::size_t Shadows::overhead_bytes() const {
  std::size_t bytes = 0;
  for (const Shadow& shadow : shadows_) bytes += shadow.cache.overhead_bytes();
  return bytes;
}

Estimate Shadows::estimate(std::size_t policy, std::size_t size) const {
  const Shadow& shadow = shadows_[policy * options_.multiples.size() + size];
  const ShadowCache::Counts& fresh = shadow.cache.counts();
  const double requests = due_.requests + not_told_.requests, bytes = due_.bytes + not_told_.bytes;
  if (requests <= 0 || bytes <= 0) return {};
  return {std::min((shadow.missed.requests + static_cast<double>(fresh.misses)) / requests, 1.0),
          std::min((shadow.missed.bytes + static_cast<double>(fresh.missed_bytes)) / bytes, 1.0)};
}

std::uint64_t Shadows::miniature(double multiple) const {
  return static_cast<std::uint64_t>(static_cast<double>(options_.capacity_bytes) * multiple * sample_.rate());
}

void Shadows::start_anew() {
  shadows_.clear();
  for (const ShadowPolicy& policy : options_.policies) {
    for (const double multiple : options_.multiples) {
      shadows_.push_back({ShadowCache(policy.make(options_.seed), miniature(multiple), policy.beside_bytes), multiple});
    }
  }
  sampled_ = due_ = not_told_ = {};
  not_told_undecayed_ = 0;
}

void Shadows::apply_capacity() {
  for (Shadow& shadow : shadows_) shadow.cache.set_capacity(miniature(shadow.multiple));
}

// Half of the keys at half of the capacity. The capacity comes second: what has left the sample makes room first.
void Shadows::sample_fewer() {
  sample_.halve();
  for (Shadow& shadow : shadows_) shadow.cache.keep_only(sample_);
  apply_capacity();
}

void Shadows::end_period() {
  const double kept = std::exp2(-1.0 / static_cast<double>(kPeriods));
  const auto decay = [kept](Traffic& traffic) { traffic = {traffic.requests * kept, traffic.bytes * kept}; };
  for (Shadow& shadow : shadows_) {
    shadow.missed.requests += static_cast<double>(shadow.cache.counts().misses);
    shadow.missed.bytes += static_cast<double>(shadow.cache.counts().missed_bytes);
    shadow.cache.forget_counts();
    decay(shadow.missed);
  }
  for (Traffic* const traffic : {&sampled_, &due_, &not_told_}) decay(*traffic);
  if (overhead_bytes() <= kBytesMax) return;
  sample_.halve();
  start_anew();
}

}  // namespace freshet::eviction::shadow
