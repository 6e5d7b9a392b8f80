// See eviction/segment_gl_cache.h.
#include "eviction/segment_gl_cache.h"

#include <algorithm>
#include <utility>

namespace freshet::eviction {

using gl_cache::Way;
using memory::Group;
using memory::Groups;

namespace {

constexpr double kMeanEvictedShare = 1e-3;  // What one object that is evicted moves their mean size.

// Its requests so far come with it.
void join(Group& group, std::size_t bytes, std::uint8_t requests) {
  ++group.objects;
  group.bytes += bytes;
  group.active += requests > 0 ? 1 : 0;
  group.requests += requests;
}

}  // namespace

gl_cache::Study& SegmentGlCache::study() {
  if (!study_) {
    const auto settings = gl_cache::within_limits(gl_cache::for_shard(settings_, capacity_bytes_));
    study_ = std::make_unique<gl_cache::Study>(settings, make_learner_(), random_());
  }
  return *study_;
}

std::size_t SegmentGlCache::queue_of(std::size_t bytes, bool kept) const {
  const bool large = static_cast<double>(bytes) > mean_size_.value();
  return (kept ? kKeptSmall : kNewSmall) + (large ? 1 : 0);
}

std::size_t SegmentGlCache::queue_for(std::uint64_t hash, std::size_t bytes, std::uint8_t&) {
  ++now_;
  ++objects_;
  mean_size_.add(bytes);
  const exact::Access access{.key = exact_key(hash), .size = exact_size(bytes), .time_s = exact_time_s()};
  if (study().missed(access, now_, objects_, objects_)) to_hand_out_ = 0;
  return queue_of(bytes, ghosts_.take(static_cast<std::uint32_t>(hash)));
}

std::uint8_t SegmentGlCache::on_request(Group& group, std::uint64_t hash, std::size_t bytes, std::uint8_t byte) {
  const std::uint8_t count = count_in(byte);
  ++group.requests;
  group.requested = static_cast<std::uint32_t>(now_);
  if (count == 0) ++group.active;
  if (byte & kWatched) study().requested(exact_key(hash), exact_size(bytes), now_);
  const auto counted = static_cast<std::uint8_t>(std::min(count + 1, int{kCountMax}));
  return counted == kCountMax ? counted | kSettled : counted;
}

void SegmentGlCache::on_write(Group& group, std::size_t queue, std::size_t bytes, std::uint8_t byte) {
  if (group.begun == 0) {
    group.begun = group.requested = static_cast<std::uint32_t>(now_);
    group.generation = is_kept(queue) ? 1 : 0;
  }
  join(group, bytes, count_in(byte));
}

void SegmentGlCache::on_move(const Group& from, Group& to, std::size_t bytes, std::uint8_t byte) {
  if (to.begun == 0) {
    to.begun = from.begun;
    to.requested = from.requested;
    to.generation = from.generation;
    to.utility = from.utility;
  } else if (idle(from) < idle(to)) {
    to.requested = from.requested;
  }
  join(to, bytes, count_in(byte));
}

void SegmentGlCache::on_leave(Group& group, std::size_t bytes, std::uint8_t byte) {
  --group.objects;
  group.bytes -= bytes;
  if (count_in(byte) > 0) --group.active;
}

// Being outdated does not make it cold.
void SegmentGlCache::on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) {
  --objects_;
  if (is_kept(queue) || count_in(byte) >= settings_.requests_to_keep) remember(hash);
}

void SegmentGlCache::remember(std::uint64_t hash) {
  const double mean_ghost = evictions_ > 0 ? mean_evicted_ : mean_size_.value();
  const double limit = static_cast<double>(capacity_bytes_) / kGhostPart / std::max(1.0, mean_ghost);
  ghosts_.push(static_cast<std::uint32_t>(hash), static_cast<std::size_t>(limit));
}

// Whether the object's requests, since it was written, make up for its size.
bool SegmentGlCache::earned(std::uint8_t byte, std::size_t bytes, bool kept_before) const {
  return gl_cache::has_earned(settings_, mean_size_, count_in(byte), kCountMax, bytes, kept_before);
}

int SegmentGlCache::sift(std::size_t queue, std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) {
  if (earned(byte, bytes, is_kept(queue))) {
    byte &= kWatched;
    return static_cast<int>(queue_of(bytes, true));
  }
  --objects_;
  mean_evicted_ += (static_cast<double>(bytes) - mean_evicted_) * (evictions_++ == 0 ? 1 : kMeanEvictedShare);
  remember(hash);
  study().evicted(exact_key(hash), exact_size(bytes), way_, now_);
  return kLeaves;
}

void SegmentGlCache::look(Groups& groups) {
  study().begin_look(now_, groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (study().is_chosen()) sample(groups, i);
  }
}

// A sifting would keep those that have earned it: the group's worth is that of the others.
void SegmentGlCache::sample(Groups& groups, std::size_t index) {
  const Group& group = groups.at(index);
  const std::size_t step = std::max<std::size_t>(1, group.objects / gl_cache::kRowObjects);
  if (!study().add_row(features_of(group), now_, group.objects / step + 1)) return;
  const bool kept = group.generation > 0;
  groups.sample(index, random_.below(step), step, [&](std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) {
    if (earned(byte, bytes, kept)) return;
    study().watch(exact_key(hash));
    byte |= kWatched;
  });
}

std::size_t SegmentGlCache::choose(Groups& groups) {
  way_ = study().choose();
  const std::size_t chosen = way_ == Way::model ? choose_by_model(groups) : choose_by_rule(groups);
  if (to_hand_out_ > 0) --to_hand_out_;
  ++siftings_;
  return chosen;
}

// The oldest of what is new, or of what was kept.
std::size_t SegmentGlCache::choose_by_rule(Groups& groups) const {
  constexpr std::size_t kNone = SIZE_MAX;
  std::size_t oldest[2] = {kNone, kNone};
  std::uint64_t bytes[2] = {};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::size_t kept = groups.at(i).generation > 0 ? 1 : 0;
    bytes[kept] += groups.at(i).bytes;
    if (oldest[kept] == kNone || age(groups.at(i)) > age(groups.at(oldest[kept]))) oldest[kept] = i;
  }
  const std::size_t from = bytes[0] < (bytes[0] + bytes[1]) / kNewPart ? 1 : 0;
  return oldest[from] != kNone ? oldest[from] : oldest[1 - from];
}

std::size_t SegmentGlCache::choose_by_model(Groups& groups) {
  const auto least = [&] {
    std::size_t found = 0;
    for (std::size_t i = 1; i < groups.size(); ++i) {
      if (groups.at(i).utility < groups.at(found).utility) found = i;
    }
    return found;
  };
  if (to_hand_out_ == 0 || groups.at(least()).utility == Group::kUnranked) rank(groups);
  return least();
}

void SegmentGlCache::rank(Groups& groups) {
  const auto begin = base::now();
  features_.clear();
  for (std::size_t i = 0; i < groups.size(); ++i) features_.push_back(features_of(groups.at(i)));
  study().training()->trees.predict(features_, utilities_);
  for (std::size_t i = 0; i < groups.size(); ++i) groups.at(i).utility = utilities_[i];
  to_hand_out_ = 1 + static_cast<std::size_t>(settings_.rerank_part * static_cast<double>(groups.size()));
  ++rankings_;
  ranking_spent_ += base::now() - begin;
}

gl_cache::Features SegmentGlCache::features_of(const Group& group) const {
  return gl_cache::features_of(static_cast<float>(age(group)) + 1, static_cast<float>(idle(group)),
                               {group.bytes, group.objects, group.requests, group.active, group.generation});
}

std::size_t SegmentGlCache::overhead_bytes() const {
  return (study_ ? study_->bytes() : 0) + ghosts_.bytes() + exact::bytes_of(features_) + exact::bytes_of(utilities_);
}

void SegmentGlCache::forget() {
  study_.reset();
  ghosts_.trim(0);
  features_ = std::vector<gl_cache::Features>();
  utilities_ = std::vector<float>();
}

std::vector<memory::PolicyFact> SegmentGlCache::describe() const {
  if (!study_) return {};
  const auto number = [](auto count) { return static_cast<double>(count); };
  std::vector<memory::PolicyFact> facts{{"policies", 1},
                                        {"objects", number(objects_)},
                                        {"siftings", number(siftings_)},
                                        {"rankings", number(rankings_)},
                                        {"ranking_us", number(ranking_spent_ / base::kMicrosecond)},
                                        {"overhead_bytes", number(overhead_bytes())},
                                        {"learning_bytes", number(study_->bytes())}};
  study_->describe(now_, facts);
  return facts;
}

}  // namespace freshet::eviction
