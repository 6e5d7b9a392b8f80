// See eviction/gl_cache/settings.h.
#include "eviction/gl_cache/settings.h"

#include <algorithm>
#include <bit>

namespace freshet::eviction::gl_cache {

Settings for_shard(Settings settings, std::uint64_t shard_bytes) {
  constexpr std::uint64_t kEighths = 8;
  const std::uint64_t eighths = std::clamp<std::uint64_t>(shard_bytes / (kFullLearningBytes / kEighths), 1, kEighths);
  const auto part_of = [eighths](std::uint32_t whole) { return static_cast<std::uint32_t>(whole * eighths / kEighths); };
  settings.adopt_part = 0;
  settings.snapshot_requests_min /= kRequestsAMiss;
  settings.snapshot_requests_max /= kRequestsAMiss;
  settings.snapshot_rows = part_of(settings.snapshot_rows);
  settings.rows_max = part_of(settings.rows_max);
  settings.watches_max = std::min(settings.watches_max, settings.snapshot_rows * kRowObjects);
  settings.trial_victims = std::bit_floor(part_of(settings.trial_victims));
  return settings;
}

Settings within_limits(Settings settings) {
  settings.group_objects = std::clamp(settings.group_objects, 1U, kGroupObjectsMax);
  settings.groups_min = std::max(settings.groups_min, 1U);
  const std::uint32_t merged_min = settings.keeping == Keeping::neighbours ? 2 : 1;  // One of one would keep everything.
  settings.merge_groups = std::clamp(settings.merge_groups, merged_min, kMergeGroupsMax);
  settings.rerank_part = std::clamp(settings.rerank_part, 0.0, 1.0);
  settings.size_classes = settings.keeping == Keeping::sifted ? std::clamp(settings.size_classes, 1U, kSizeClassesMax) : 1;
  settings.generations = settings.keeping == Keeping::sifted ? std::clamp(settings.generations, 1U, kGenerationsMax) : 0;
  settings.snapshot_requests_min = std::max<std::uint64_t>(settings.snapshot_requests_min, 1);
  settings.snapshot_requests_max = std::max(settings.snapshot_requests_max, settings.snapshot_requests_min);
  settings.rows_max = std::clamp(settings.rows_max, 1U, kRowsMax);
  settings.snapshot_rows = std::clamp(settings.snapshot_rows, 1U, settings.rows_max);
  settings.rows_min = std::clamp(settings.rows_min, 1U, settings.snapshot_rows);
  settings.watches_max = std::clamp(settings.watches_max, 1U, kWatchesMax);
  settings.trial_victims = std::bit_floor(std::clamp(settings.trial_victims, kTrialVictimsMin, kTrialVictimsMax));
  settings.adopt_part = std::clamp(settings.adopt_part, 0.0, 1.0);
  return settings;
}

}  // namespace freshet::eviction::gl_cache
