// Sampling, training, and what is known of both. See eviction/gl_cache/gl_cache.h.
#include <algorithm>
#include <string_view>
#include <utility>

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
  if ((requests >= period_.length || day_over) && !teaching_ && learner_->ready()) teach();
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
    if (snapshot_.rows() >= settings_.snapshot_rows) return;
    if (!groups_.is_closed(id) || !random_.chance(share)) continue;
    if (snapshot_.full(groups_.group(id).live)) return;
    sample(groups_.group(id));
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
  Lesson lesson = snapshot_.take_lesson(random_(), settings_.rows_max);
  lesson_bytes_ = lesson.bytes();
  teaching_ = learner_->teach(std::move(lesson));
  if (!teaching_) lesson_bytes_ = 0;
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
  lesson_bytes_ = 0;
  if (!*outcome) {
    ++failures_;
    return;
  }
  training_ = std::move(**outcome);
  ++trainings_;
  trained_at_ = now_;
  training_spent_ += training_->spent;
  ranking_.forget();
  trial_.set_reach(groups_.objects(), requests_to_refill());
}

std::vector<exact::PolicyFact> GlCache::describe() const {
  using Together = exact::PolicyFact::Together;
  const auto us = [](base::Nanoseconds spent) { return static_cast<double>(spent / base::kMicrosecond); };
  const auto number = [](auto count) { return static_cast<double>(count); };
  std::vector<exact::PolicyFact> facts{{"policies", 1},
                                 {"objects", number(groups_.objects())},
                                 {"groups", number(groups_.groups_alive())},
                                 {"evictions", number(evictions_)},
                                 {"merges", number(merges_)},
                                 {"snapshot_rows", number(snapshot_.rows())},
                                 {"snapshot_ghosts", number(snapshot_.ghosts())},
                                 {"trainings", number(trainings_)},
                                 {"training_failures", number(failures_)},
                                 {"training_us", us(training_spent_)},
                                 {"lessons_with_learner", teaching_ ? 1.0 : 0.0},
                                 {"rankings", number(ranking_.count())},
                                 {"ranking_us", us(ranking_.spent())},
                                 {"overhead_bytes", number(overhead_bytes())},
                                 {"learning_bytes", number(learning_bytes())}};
  describe_untrained(facts);
  if (!training_) return facts;
  facts.push_back({"trained_requests_ago", number(now_ - trained_at_), Together::greatest});
  describe_model(facts);
  return facts;
}

// One of the reasons holds, if it is untrained.
void GlCache::describe_untrained(std::vector<exact::PolicyFact>& facts) const {
  const bool untrained = !training_;
  const auto told = [&](std::string_view name, bool holds) { facts.push_back({name, untrained && holds ? 1.0 : 0.0}); };
  told("untrained", true);
  const bool evicts = evictions_ > 0, failed = failures_ > 0;
  told("untrained_nothing_evicted", !evicts);
  told("untrained_collecting_rows", evicts && !teaching_ && !failed);
  told("untrained_waiting_for_learner", evicts && teaching_ && !failed);
  told("untrained_trainings_failed", evicts && failed);
  if (untrained && evicts) {
    const auto requests = static_cast<double>(now_ - first_eviction_);
    facts.push_back({"untrained_requests", requests, exact::PolicyFact::Together::greatest});
  }
}

void GlCache::describe_model(std::vector<exact::PolicyFact>& facts) const {
  const auto mean = [&](std::string_view name, double value) {
    facts.push_back({name, value, exact::PolicyFact::Together::mean});
  };
  mean("rows", training_->rows);
  mean("rounds", training_->rounds);
  mean("validation_error", training_->error);
  mean("validation_error_of_mean", training_->error_of_mean);
  facts.push_back({"learned_nothing", training_->error < training_->error_of_mean ? 0.0 : 1.0});
  facts.push_back({"chooses_by_model", !settings_.trial || trial_.model_is_better() ? 1.0 : 0.0});
  const Features& gain = training_->trees.gain();
  float whole = 0;
  for (const float part : gain) whole += part;
  for (std::size_t i = 0; i < kFeatures; ++i) mean(kGainNames[i], whole > 0 ? gain[i] / whole : 0);
}

}  // namespace freshet::eviction::gl_cache
