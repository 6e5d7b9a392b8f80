// Sampling, training, and what is known of both. See eviction/gl_cache/gl_cache.h.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "eviction/gl_cache/gl_cache.h"

namespace freshet::eviction::gl_cache {

// The next request of an object that rows wait for.
void GlCache::answer(Slot slot) {
  Object& object = groups_.object(slot);
  object.watched = 0;
  snapshot_.requested(slot, object.size, now_);
}

// With every miss: what falls due is done.
void GlCache::study(std::uint32_t time_s) {
  if (teaching_ && now_ >= adopt_at_) adopt(settings_.adopt_part > 0);
  if (evictions_ == 0) return;  // Before, there is nothing to choose, and nothing has aged.
  if (period_.length == 0) begin_period(time_s);
  const std::uint64_t requests = now_ - period_.begun;
  if (static_cast<double>(requests) < kSamplingPart * static_cast<double>(period_.length)) {
    if (now_ >= period_.next_sample) sample();
    return;
  }
  const bool day_over = time_s - period_.begun_s >= settings_.snapshot_time_s && requests >= period_min_;
  if ((requests >= period_.length || day_over) && !teaching_) teach();
}

// At the miss ratio so far, so many requests bring in as many objects as are cached.
std::uint64_t GlCache::requests_to_refill() const {
  return static_cast<std::uint64_t>(groups_.objects() / rates_.miss_ratio_since_start(now_));
}

void GlCache::begin_period(std::uint32_t time_s) {
  const std::uint64_t turn = requests_to_refill();
  const auto length = static_cast<std::uint64_t>(settings_.snapshot_turns * static_cast<double>(turn));
  period_ = {std::clamp(length, period_min_, settings_.snapshot_requests_max), now_, now_, time_s};
  snapshot_.set_patience(kPatiencePart * static_cast<double>(turn));
}

// At each moment a few of the groups, chosen evenly: so that rows of every age come together.
void GlCache::sample() {
  const auto pause = kSamplingPart * static_cast<double>(period_.length) / kMoments;
  period_.next_sample = now_ + std::max<std::uint64_t>(1, static_cast<std::uint64_t>(pause));
  if (groups_.groups_closed() == 0) return;
  const double share = static_cast<double>(settings_.snapshot_rows) / kMoments / groups_.groups_closed();
  for (GroupId id = 1; id < groups_.ids(); ++id) {
    if (snapshot_.rows() >= settings_.snapshot_rows || snapshot_.full()) return;
    if (groups_.is_closed(id) && random_.chance(share)) sample(groups_.group(id));
  }
}

// Sifted, a merge would keep those that have earned it: the group's worth is that of the others.
void GlCache::sample(const Group& group) {
  snapshot_.add_row(features_of(group, now_), now_);
  for (const Slot slot : group.members) {
    if (slot == kNoSlot) continue;
    Object& object = groups_.object(slot);
    if (sifted() && earned(object, is_kept_lane(group.lane))) continue;
    snapshot_.watch(slot, object.watched == snapshot_.mark());
    object.watched = snapshot_.mark() & Snapshot::kMarkMax;
  }
}

void GlCache::teach() {
  if (snapshot_.rows() < settings_.rows_min) {
    period_.length = 0;  // Sampling goes on.
    return;
  }
  adopt_at_ = now_ + static_cast<std::uint64_t>(settings_.adopt_part * static_cast<double>(period_.length));
  teaching_ = learner_->teach(snapshot_.take_lesson(random_(), settings_.rows_max));
  if (snapshot_.mark() == 1) {  // Marks of long ago would count again.
    for (GroupId id = 0; id < groups_.ids(); ++id) {
      for (const Slot slot : groups_.group(id).members) {
        if (slot != kNoSlot) groups_.object(slot).watched = 0;
      }
    }
  }
  period_.length = 0;
  period_min_ = std::min(2 * period_min_, settings_.snapshot_requests_max);
}

void GlCache::adopt(bool waits) {
  auto outcome = waits ? learner_->wait() : learner_->take();
  if (!outcome) return;
  teaching_ = false;
  if (!*outcome) {
    fault_ = outcome->error().what;
    return;
  }
  training_ = std::move(**outcome);
  fault_.clear();
  ++trainings_;
  trained_at_ = now_;
  training_spent_ += training_->spent;
  ranking_.forget();
  trial_.set_reach(groups_.objects(), requests_to_refill());
}

std::vector<GlCache::Fact> GlCache::describe() const {
  const auto ms = [](base::Nanoseconds spent) {
    return fmt::format("{:.3f}", static_cast<double>(spent) / base::kMillisecond);
  };
  std::vector<Fact> facts{{"objects", fmt::format("{}", groups_.objects())},
                          {"groups", fmt::format("{}", groups_.groups_alive())},
                          {"evictions", fmt::format("{}", evictions_)},
                          {"merges", fmt::format("{}", merges_)},
                          {"snapshot_rows", fmt::format("{}", snapshot_.rows())},
                          {"snapshot_ghosts", fmt::format("{}", snapshot_.ghosts())},
                          {"trainings", fmt::format("{}", trainings_)},
                          {"training_ms", ms(training_spent_)},
                          {"rankings", fmt::format("{}", ranking_.count())},
                          {"ranking_ms", ms(ranking_.spent())}};
  if (!fault_.empty()) facts.push_back({"training_fault", fault_});
  if (!training_) {
    facts.push_back({"untrained", evictions_ == 0 ? "nothing has been evicted yet"
                                                  : fmt::format("for {} requests, since the first eviction; the next "
                                                                "training is due {} requests after a snapshot's begin",
                                                                now_ - first_eviction_, period_.length)});
    return facts;
  }
  facts.push_back({"trained_requests_ago", fmt::format("{}", now_ - trained_at_)});
  facts.push_back({"rows", fmt::format("{}", training_->rows)});
  facts.push_back({"rounds", fmt::format("{}", training_->rounds)});
  facts.push_back({"validation_error", fmt::format("{:.5f}", training_->error)});
  facts.push_back({"validation_error_of_mean", fmt::format("{:.5f}", training_->error_of_mean)});
  facts.push_back({"chooses_by", !settings_.trial || trial_.model_is_better() ? "model" : "rule"});
  const Features& gain = training_->trees.gain();
  float whole = 0;
  for (const float part : gain) whole += part;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    facts.push_back({kGainNames[i], fmt::format("{:.3f}", whole > 0 ? gain[i] / whole : 0)});
  }
  return facts;
}

}  // namespace freshet::eviction::gl_cache
