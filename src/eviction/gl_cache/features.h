// What is known of a group when its utility is guessed. May use nothing.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace freshet::eviction::gl_cache {

// The first seven are the paper's, the first three only if the settings say so. Rates are relative to their mean since the
// start (eviction/gl_cache/rates.h); ages and times count requests to the cache, as utilities do.
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

}  // namespace freshet::eviction::gl_cache
