// What can be set about GL-Cache (eviction/gl_cache/gl_cache.h): ours, and the paper's two. May use nothing.
#pragma once

#include <cstdint>

namespace freshet::eviction::gl_cache {

enum class Objective : std::uint8_t {
  objects,  // Miss few requests: a small object is worth more than a large one that is asked for as often.
  bytes,    // Fetch few bytes: sizes do not count.
};

// What is kept of the groups that are merged, and where it goes.
enum class Keeping : std::uint8_t {
  // As in the paper: the best objects, one group's worth, stay where the groups stood in write order.
  neighbours,
  // What was asked for often enough since it was written, in groups of its own, apart from what is new; the rest leaves. A
  // new object that was evicted lately is written there at once. S3-FIFO's idea, by groups.
  sifted,
};

struct Settings {
  Objective objective = Objective::objects;
  Keeping keeping = Keeping::sifted;

  // A group is closed when it has so many objects, or so many bytes. 0 bytes: they do not count. In a server's table it is
  // a segment.
  std::uint32_t group_objects = 60;
  std::uint64_t group_bytes = 0;
  // A small cache makes smaller groups, so many at least: else there is nothing to choose from.
  std::uint32_t groups_min = 64;
  std::uint32_t merge_groups = 1;  // n: so many neighbours are merged at a time.
  double rerank_part = 0.1;        // Ranked again once so many of the groups have been merged.

  // Sifted only. Objects of like sizes are written together: in so many classes, each twice as large as the one before.
  std::uint32_t size_classes = 4;
  // What is kept is written apart by the merges that it has survived: once, twice, so many times or more.
  std::uint32_t generations = 4;
  // Requests that a new object needs to be kept, if it is of the mean size; a kept one needs one to be kept again. A larger
  // one needs more in proportion, a smaller one fewer, unless the objective is bytes.
  std::uint32_t requests_to_keep = 3;

  // Whether the model sees how the cache did when a group was begun. Ours does not: the longer groups live, the more trees
  // that see it learn dates.
  bool circumstances = false;

  // The model must earn its trust (eviction/gl_cache/trial.h): by what becomes of so many victims at a time. A power of two.
  bool trial = true;
  std::uint32_t trial_victims = 8'192;

  // A snapshot's length, from its first rows to the training: requests_min at first, twice as many after each training, up
  // to requests_max. A day of trace time ends it early.
  std::uint64_t snapshot_requests_min = 1 << 14;
  std::uint64_t snapshot_requests_max = 1 << 20;
  std::uint32_t snapshot_time_s = 86'400;
  std::uint32_t snapshot_rows = 1'024;  // To sample in one; the rows of earlier ones are used again,
  std::uint32_t rows_max = 4'096;       // until there are so many. At most kRowsMax.
  std::uint32_t rows_min = 64;          // Fewer teach nothing: the snapshot goes on.
  std::uint32_t watches_max = 1 << 20;  // Objects that rows wait for, one for each row; then there are no more rows.

  // A trained model is put to use after so many requests, as a part of its snapshot's: waited for if need be, so that runs
  // repeat exactly. 0: as soon as it is there, without waiting.
  double adopt_part = 0.5;
};

inline constexpr std::uint32_t kRowsMax = 8'192;
inline constexpr std::uint32_t kWatchesMax = 1 << 20;
inline constexpr std::uint32_t kTrialVictimsMin = 64;
inline constexpr std::uint32_t kTrialVictimsMax = 1 << 16;
inline constexpr std::uint32_t kGroupObjectsMax = 65'536;
inline constexpr std::uint32_t kMergeGroupsMax = 64;
inline constexpr std::uint32_t kSizeClassesMax = 8;
inline constexpr std::uint32_t kGenerationsMax = 8;

inline Settings for_objects() { return {}; }
inline Settings for_bytes() {
  Settings settings;
  settings.objective = Objective::bytes;
  return settings;
}
// The paper's two: for the best hit ratio, and for speed.
inline Settings efficient() {
  Settings settings;
  settings.keeping = Keeping::neighbours;
  settings.merge_groups = 2;
  settings.rerank_part = 0.02;
  settings.circumstances = true;
  settings.trial = false;
  return settings;
}
inline Settings throughput() {
  Settings settings = efficient();
  settings.group_objects = 200;
  settings.merge_groups = 5;
  settings.rerank_part = 0.1;
  return settings;
}

// For a shard of a server's table, of so many bytes: a trained model is put to use as soon as it is there, for nobody may
// wait under a shard's lock. Periods are counted in misses, of which one in kRequestsAMiss requests is held to be. And what
// it learns from takes its part of the shard, about a thirtieth: the settings' own rows, watches and victims in a shard of
// kFullLearningBytes, an eighth of them in one of an eighth, and never fewer.
Settings for_shard(Settings settings, std::uint64_t shard_bytes);
inline constexpr std::uint64_t kFullLearningBytes = 32 << 20;
inline constexpr std::uint64_t kRequestsAMiss = 4;
inline constexpr std::uint32_t kRowObjects = 32;  // Of a group that is sampled, so many or a few more are watched.

// The settings with every value within its limits.
Settings within_limits(Settings settings);

}  // namespace freshet::eviction::gl_cache
