// See eviction/gl_cache/study.h.
#include "eviction/gl_cache/study.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace freshet::eviction::gl_cache {

Study::Study(const Settings& settings, std::unique_ptr<Learner> learner, std::uint64_t seed)
    : settings_(settings), learner_(std::move(learner)), random_(seed),
      snapshot_(settings_.objective, settings_.watches_max), trial_(settings_.trial_victims),
      next_length_(settings_.snapshot_requests_min) {}

bool Study::missed(const exact::Access& access, std::uint64_t now, std::uint64_t turn, std::uint32_t objects) {
  snapshot_.requested(access.key, access.size, now);
  if (training_ && settings_.trial) {
    trial_.missed(access.key, settings_.objective == Objective::objects ? 1 : access.size, now);
  }
  const bool adopted = teaching_ && now >= adopt_at_ && adopt(now, turn, objects);
  if (evictions_ > 0) go_on(access.time_s, now, turn);
  return adopted;
}

void Study::evicted(std::uint64_t key, std::uint32_t size, Way way, std::uint64_t now) {
  if (training_ && settings_.trial) trial_.evicted(key, size, way, now);
  if (evictions_++ == 0) first_eviction_ = now;
}

void Study::go_on(std::uint32_t time_s, std::uint64_t now, std::uint64_t turn) {
  if (period_.length == 0) begin_period(time_s, now, turn);
  const std::uint64_t passed = now - period_.begun;
  if (static_cast<double>(passed) < kSamplingPart * static_cast<double>(period_.length)) {
    look_due_ = now >= period_.next_sample;
    return;
  }
  look_due_ = false;
  const bool day_over = time_s - period_.begun_s >= settings_.snapshot_time_s && passed >= settings_.snapshot_requests_min;
  if ((passed >= period_.length || day_over) && !teaching_ && learner_->ready()) teach(now);
}

void Study::begin_period(std::uint32_t time_s, std::uint64_t now, std::uint64_t turn) {
  period_ = {next_length_, now, now, time_s};
  snapshot_.set_patience(kPatiencePart * static_cast<double>(turn));
}

// At each moment a few of the groups, chosen evenly: so that rows of every age come together.
void Study::begin_look(std::uint64_t now, std::size_t groups) {
  look_due_ = false;
  const auto pause = kSamplingPart * static_cast<double>(period_.length) / kMoments;
  period_.next_sample = now + std::max<std::uint64_t>(1, static_cast<std::uint64_t>(pause));
  const double rows_now = static_cast<double>(settings_.snapshot_rows) / kMoments;
  look_share_ = rows_now / static_cast<double>(std::max<std::size_t>(1, groups));
}

bool Study::add_row(const Features& features, std::uint64_t now, std::size_t objects) {
  if (snapshot_.full(objects)) return false;
  snapshot_.add_row(features, now);
  return true;
}

void Study::teach(std::uint64_t now) {
  const auto period = static_cast<double>(std::exchange(period_.length, 0));
  if (snapshot_.rows() < settings_.rows_min) return;  // Sampling goes on.
  adopt_at_ = now + static_cast<std::uint64_t>(settings_.adopt_part * period);
  Lesson lesson = snapshot_.take_lesson(random_(), settings_.rows_max);
  lesson_bytes_ = lesson.bytes();
  teaching_ = learner_->teach(std::move(lesson));
  if (!teaching_) lesson_bytes_ = 0;
  next_length_ = std::min(2 * next_length_, settings_.snapshot_requests_max);
}

// Waits for the training if the settings say when it is to be put to use.
bool Study::adopt(std::uint64_t now, std::uint64_t turn, std::uint32_t objects) {
  auto outcome = settings_.adopt_part > 0 ? learner_->wait() : learner_->take();
  if (!outcome) return false;
  teaching_ = false;
  lesson_bytes_ = 0;
  if (!*outcome) {
    ++failures_;
    return false;
  }
  training_ = std::move(**outcome);
  ++trainings_;
  trained_at_ = now;
  training_spent_ += training_->spent;
  trial_.set_reach(objects, turn);
  return true;
}

std::size_t Study::bytes() const {
  return snapshot_.bytes() + lesson_bytes_ + (training_ ? training_->trees.bytes() : 0) + trial_.bytes();
}

void Study::describe(std::uint64_t now, std::vector<exact::PolicyFact>& facts) const {
  const auto sum = [&](std::string_view name, auto count) { facts.push_back({name, static_cast<double>(count)}); };
  sum("evictions", evictions_);
  sum("snapshot_rows", snapshot_.rows());
  sum("snapshot_watched", snapshot_.watched());
  sum("trainings", trainings_);
  sum("training_failures", failures_);
  sum("training_us", training_spent_ / base::kMicrosecond);
  sum("lessons_with_learner", teaching_ ? 1 : 0);
  describe_untrained(now, facts);
  if (!training_) return;
  facts.push_back({"trained_requests_ago", static_cast<double>(now - trained_at_), exact::PolicyFact::Together::greatest});
  describe_model(facts);
}

// One of the reasons holds, if it is untrained.
void Study::describe_untrained(std::uint64_t now, std::vector<exact::PolicyFact>& facts) const {
  const bool untrained = !training_;
  const auto told = [&](std::string_view name, bool holds) { facts.push_back({name, untrained && holds ? 1.0 : 0.0}); };
  told("untrained", true);
  const bool evicts = evictions_ > 0, failed = failures_ > 0;
  told("untrained_nothing_evicted", !evicts);
  told("untrained_collecting_rows", evicts && !teaching_ && !failed);
  told("untrained_waiting_for_learner", evicts && teaching_ && !failed);
  told("untrained_trainings_failed", evicts && failed);
  if (untrained && evicts) {
    const auto requests = static_cast<double>(now - first_eviction_);
    facts.push_back({"untrained_requests", requests, exact::PolicyFact::Together::greatest});
  }
}

void Study::describe_model(std::vector<exact::PolicyFact>& facts) const {
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
