// See eviction/gl_cache/snapshot.h.
#include "eviction/gl_cache/snapshot.h"

#include <algorithm>
#include <cmath>

namespace freshet::eviction::gl_cache {

void Snapshot::count(std::uint32_t watch, std::uint32_t size, std::uint64_t now) {
  const double worth = objective_ == Objective::objects ? std::max(1U, size) : 1;
  for (; watch != kNone; watch = watches_[watch].earlier) {
    Row& row = rows_[watches_[watch].row];
    const auto requests = static_cast<double>(std::max<std::uint64_t>(1, now - row.at));
    row.label += 1 / ((requests + patience_) * worth);
  }
}

Lesson Snapshot::take_lesson(std::uint64_t seed, std::size_t rows_max) {
  std::erase_if(rows_, [](const Row& row) { return row.objects == 0; });
  const std::size_t fresh = std::min(rows_.size(), rows_max);
  const std::size_t earlier = std::min(earlier_rows_.size(), rows_max - fresh);
  earlier_rows_.erase(earlier_rows_.begin(), earlier_rows_.end() - static_cast<std::ptrdiff_t>(earlier));
  earlier_rows_.reserve(earlier + fresh);  // And no more.
  for (Row& row : rows_) row.label /= row.objects;
  earlier_rows_.insert(earlier_rows_.end(), rows_.end() - static_cast<std::ptrdiff_t>(fresh), rows_.end());
  double greatest = 0;
  for (const Row& row : earlier_rows_) greatest = std::max(greatest, row.label);
  Lesson lesson;
  lesson.seed = seed;
  lesson.rows.reserve(earlier_rows_.size());
  lesson.labels.reserve(earlier_rows_.size());
  for (const Row& row : earlier_rows_) {
    lesson.rows.push_back(row.features);
    lesson.labels.push_back(greatest > 0 ? static_cast<float>(std::sqrt(row.label / greatest)) : 0);
  }
  rows_.clear();
  watches_.clear();
  watched_.clear();
  return lesson;
}

std::size_t Snapshot::bytes() const {
  return exact::bytes_of(rows_) + exact::bytes_of(earlier_rows_) + exact::bytes_of(watches_) +
         watched_.bucket_count() * (sizeof(decltype(watched_)::value_type) + 1);
}

}  // namespace freshet::eviction::gl_cache
