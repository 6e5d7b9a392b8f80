// Who turns a lesson into a model: the interface, and two of the three that there are (the third, for many caches, is in
// eviction/gl_cache/shared_learner.h). May use base, and this room's trees.h.
//
// A learner works on one lesson at a time. GL-Cache gives it one and goes on evicting by the model that it has; it takes the
// new one when it is there. The cache's own thread calls all of these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "eviction/gl_cache/trees.h"
#include "freshet/result.h"

namespace freshet::eviction::gl_cache {

// What was seen: features of groups, and what each turned out to be worth.
struct Lesson {
  std::vector<Features> rows;
  std::vector<float> labels;  // As many; from 0 to 1.
  std::uint64_t seed = 1;     // For the choice of the rows that validate.
  std::size_t bytes() const { return rows.capacity() * sizeof(Features) + labels.capacity() * sizeof(float); }
};

struct Training {
  Trees trees;
  std::uint32_t rows = 0;
  std::uint32_t rounds = 0;
  float error = 0;           // Root of the mean squared error over the rows that were kept apart.
  float error_of_mean = 0;   // The same, if the mean label were guessed each time: what there was to gain.
  base::Nanoseconds spent = 0;
};

// From scratch, on the calling thread, with one thread. Error: the library's.
Result<Training> train(const Lesson& lesson);

class Learner {
 public:
  virtual ~Learner() = default;
  // Whether it would take a lesson now. One that is at work for no other cache would.
  virtual bool ready() const { return true; }
  // Begins with the lesson; false: it is at work, or has no time for it yet.
  virtual bool teach(Lesson lesson) = 0;
  // What came of the lesson, once. Nothing: there was none, or it is not done.
  virtual std::optional<Result<Training>> take() = 0;
  // The same, but waits until it is done.
  virtual std::optional<Result<Training>> wait() = 0;
};

// Learns in teach(): for tests, and where one thread is all there is.
std::unique_ptr<Learner> make_synchronous_learner();

// Learns on a thread of its own. It is at work for at most `share` of the time, from 0 (excluded) to 1: after a lesson that
// took t it takes the next one t / share after it began with this one. Destroying it waits for the lesson in hand.
std::unique_ptr<Learner> make_background_learner(double share);

}  // namespace freshet::eviction::gl_cache
