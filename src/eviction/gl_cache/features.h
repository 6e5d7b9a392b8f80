// What is known of a group when its utility is guessed. May use the standard library.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace freshet::eviction::gl_cache {

// The first seven are the paper's, the first three only if the settings say so. Rates are relative to their mean since the
// start (eviction/gl_cache/rates.h); ages and times count requests to the cache, as utilities do, but over segments
// (eviction/segment_gl_cache.h) new objects.
enum Feature : std::size_t {
  kRequestRate,   // Of the cache, when the group was begun; and so are the next two.
  kWriteRate,
  kMissRatio,
  kMeanSize,
  kAge,           // Since the group was begun.
  kRequests,      // For its objects, since then.
  kActive,        // Its objects that were requested since then: their share of all that it has.
  kGeneration,    // Merges that its objects have survived.
  kRequestsPerAge,  // Requests an object, over the group's age.
  kRecency,       // Since any of its objects was requested.
  kFeatures
};

// As describe() names the part of the model's gain that each is good for.
inline constexpr std::array<std::string_view, kFeatures> kGainNames{
    "gain_request_rate", "gain_write_rate", "gain_miss_ratio", "gain_mean_size", "gain_age", "gain_requests", "gain_active",
    "gain_generation", "gain_requests_per_age", "gain_recency"};

using Features = std::array<float, kFeatures>;

// What a group has counted.
struct Counts {
  std::uint64_t bytes;
  std::uint32_t objects;
  std::uint32_t requests;
  std::uint32_t active;
  std::uint16_t generation;
};

// All but the cache's circumstances. `age`: since the group was begun, at least 1.
inline Features features_of(float age, float recency, const Counts& counts) {
  const auto objects = static_cast<float>(std::max(1U, counts.objects));
  Features features{};
  features[kMeanSize] = static_cast<float>(counts.bytes) / objects;
  features[kAge] = age;
  features[kRequests] = static_cast<float>(counts.requests);
  features[kActive] = static_cast<float>(counts.active) / objects;
  features[kGeneration] = counts.generation;
  features[kRequestsPerAge] = static_cast<float>(counts.requests) / (age * objects);
  features[kRecency] = recency;
  return features;
}

}  // namespace freshet::eviction::gl_cache
