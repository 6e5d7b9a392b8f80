// Reads of several keys as of one moment: observed collections by the follower, key-value keys by reading them twice, and
// both together by reading the observed ones in between.
#include <algorithm>
#include <utility>

#include "cache/gathering.h"

namespace freshet::cache {
namespace {

// Rounds of reading versions twice before a snapshot of key-value keys is given up: writers are always faster.
constexpr int kSnapshotRoundsMax = 16;

}  // namespace

// Values of one key-value key are ordered by their versions, which never repeat. If two readings of all keys, one after the
// other, give the same versions, then between them nothing changed: any moment between them will do. A key that storage
// does not remember has no version: it could come and go between the readings, so no write may have begun on it meanwhile.
//
// What the follower reads together is as of one moment while it reads. If that lies between two such readings, it is a
// moment of the key-value keys as well.
struct ComposedEngine::Collecting {
  using Marks = std::vector<std::optional<consistency::GuardedCollection::WriteMark>>;

  std::vector<std::string> keys;          // Of the key-value table,
  std::vector<std::size_t> places;        // and where each stands among the keys that were asked for.
  std::vector<consistency::ObservedKey> observed;
  std::vector<std::size_t> observed_places;
  base::Nanoseconds deadline = 0;
  Callback<std::vector<Reading>> done;
  std::vector<Reading> together = {};     // Of all keys; those of observed collections are of the newest reading.
  std::vector<Reading> before = {};       // The newest reading of the key-value keys, but for the one that goes on.
  Marks marks = {};                       // Taken before that reading began.
  int rounds = 0;

  bool same(std::size_t i, const Reading& now, const Marks& marks_now) const {
    if (now.version != before[i].version || now.present != before[i].present) return false;
    return now.version != 0 || (marks[i] && marks[i] == marks_now[i]);
  }
  bool same(const std::vector<Reading>& now, const Marks& marks_now) const {
    if (before.empty()) return false;
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (!same(i, now[i], marks_now)) return false;
    }
    return true;
  }
  void finish(std::vector<Reading> readings) {
    for (std::size_t i = 0; i < places.size(); ++i) together[places[i]] = std::move(readings[i]);
    done(std::move(together));
  }
};

std::vector<std::optional<consistency::GuardedCollection::WriteMark>> ComposedEngine::marks_of(
    const std::vector<std::string>& keys) {
  Collecting::Marks marks;
  marks.reserve(keys.size());
  for (const auto& key : keys) marks.push_back(collection_->write_mark(key));
  return marks;
}

void ComposedEngine::collect_observed(const std::shared_ptr<Collecting>& collecting, std::function<void()> then) {
  follower_->read(collecting->observed, {Level::snapshot, 0, {}}, collecting->deadline,
                  [collecting, then = std::move(then)](Result<std::vector<consistency::ObservedAnswer>> answers) {
                    if (!answers) return collecting->done(std::move(answers).error());
                    for (std::size_t i = 0; i < answers->size(); ++i) {
                      collecting->together[collecting->observed_places[i]] = reading_of(std::move((*answers)[i]));
                    }
                    then();
                  });
}

void ComposedEngine::collect_again(const std::shared_ptr<Collecting>& collecting) {
  auto began = marks_of(collecting->keys);
  if (std::any_of(collecting->keys.begin(), collecting->keys.end(), [&](const auto& key) { return observes(key); })) {
    return collecting->done(Error::of(ErrorCode::busy, "a collection has just become an observed one", "retry"));
  }
  get_many(collecting->keys, {Level::linearizable, 0, {}, collecting->deadline},
           [this, collecting, began = std::move(began)](Result<std::vector<Reading>> readings) mutable {
             if (!readings) return collecting->done(std::move(readings).error());
             if (collecting->same(*readings, marks_of(collecting->keys))) return collecting->finish(std::move(*readings));
             if (++collecting->rounds > kSnapshotRoundsMax) {
               return collecting->done(Error::of(ErrorCode::busy,
                                                 "the keys changed during every attempt to read them together",
                                                 "retry later, or read fewer keys together"));
             }
             collecting->before = std::move(*readings);
             collecting->marks = std::move(began);
             if (collecting->observed.empty()) return collect_again(collecting);
             collect_observed(collecting, [this, collecting] { collect_again(collecting); });
           });
}

void ComposedEngine::get_together(std::vector<std::string> keys, base::Nanoseconds deadline,
                                  Callback<std::vector<Reading>> done) {
  const auto collecting = std::make_shared<Collecting>(Collecting{{}, {}, {}, {}, deadline, std::move(done)});
  collecting->together.resize(keys.size());
  for (std::size_t place = 0; place < keys.size(); ++place) {
    if (const auto id = collection_of(keys[place])) {
      collecting->observed.push_back({*id, std::move(keys[place])});
      collecting->observed_places.push_back(place);
    } else {
      if (!guards(keys[place])) return collecting->done(no_key_value(keys[place]));
      collecting->keys.push_back(std::move(keys[place]));
      collecting->places.push_back(place);
    }
  }
  if (keys.empty()) return collecting->done(std::vector<Reading>());
  if (!collecting->keys.empty()) return collect_again(collecting);
  collect_observed(collecting, [collecting] { collecting->finish({}); });
}

}  // namespace freshet::cache
