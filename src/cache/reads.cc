// Reads: memory first, on proof; else storage.
#include <algorithm>
#include <array>

#include "base/late_clock.h"
#include "cache/gathering.h"

namespace freshet::cache {
namespace {

// More than the processor has lines on their way at a time, and few enough to stay in its nearest cache.
constexpr std::size_t kCopiesTogether = 16;
// The same for lines that are wanted a little later: as many keys as the server brings at a time.
constexpr std::size_t kFetchedTogether = 32;
// Entries on their way while one is copied: three lines each.
constexpr std::size_t kEntriesAhead = 4;

}  // namespace

Engine::Lookup ComposedEngine::try_get(std::string_view key, base::Nanoseconds now,
                                       base::FunctionRef<void(const HitView&)> visit) {
  return observes(key) ? Lookup::miss : try_guarded(key, now, visit);
}

Engine::Lookup ComposedEngine::try_guarded(std::string_view key, base::Nanoseconds now,
                                           base::FunctionRef<void(const HitView&)> visit) {
  if (!collection_) return Lookup::miss;
  const auto hash = base::hash_of(key);
  const auto* rows = guarded_rows(key);
  if (now == kReadClock) {
    table_.prefetch(hash);
    now = base::LateClock::now();
  }
  const bool hit = table_.visit(key, hash, [&](const memory::Entry& entry) {
    if (!collection_->is_proven(entry, now)) return false;
    if (entry.expires_at_ms() != 0 && collection_->seems_due(entry.expires_at_ms())) return false;
    HitView view{entry.present(), entry.value(), entry.version(), entry.expires_at_ms()};
    view.kind = entry.kind();
    if (rows && entry.present()) {
      if (!rows->has_shape(view.value)) return false;
      view.value = rows->row_in(view.value);
      view.shape = rows->shape.get();
    }
    visit(view);
    return true;
  });
  if (!hit) return Lookup::miss;
  hits_.add();
  return Lookup::hit;
}

// What the table asks about an entry that it copies without a lock.
inline auto ComposedEngine::is_current_by(base::Nanoseconds now) const {
  return [this, now](const memory::Witness* witness, std::int64_t expires_at_ms) {
    return collection_->is_proven(witness, now) && !collection_->seems_due(expires_at_ms);
  };
}

// The clock is read between the index and the entry, where least waits for it: the entry of one hit and the index of the
// next are on their way from memory at once, if the processor sees both.
Engine::Lookup ComposedEngine::try_copy(std::string_view key, std::span<char> buffer, memory::EntryCopy& copied) {
  if (!collection_ || observes(key) || guarded_rows(key)) return Lookup::miss;
  const auto judge = [this] { return is_current_by(base::LateClock::now()); };
  if (!table_.copy_judged(key, base::hash_of(key), buffer, copied, judge)) return Lookup::miss;
  hits_.add();
  return Lookup::hit;
}

// Three passes, so that all the index's lines are on their way at once, and then all the entries'.
std::size_t ComposedEngine::try_copy_many(std::span<CopyRequest> requests) {
  std::size_t hits = 0;
  for (; collection_ && !requests.empty(); requests = requests.subspan(std::min(requests.size(), kCopiesTogether))) {
    const auto some = requests.first(std::min(requests.size(), kCopiesTogether));
    std::array<std::uint64_t, kCopiesTogether> hashes;
    for (std::size_t i = 0; i < some.size(); ++i) table_.prefetch(hashes[i] = base::hash_of(some[i].key));
    const auto is_current = is_current_by(base::LateClock::now());
    for (std::size_t i = 0; i < std::min(some.size(), kEntriesAhead); ++i) table_.prefetch_entry(hashes[i]);
    for (std::size_t i = 0; i < some.size(); ++i) {
      auto& one = some[i];
      if (i + kEntriesAhead < some.size()) table_.prefetch_entry(hashes[i + kEntriesAhead]);
      const bool is_pair = !observes(one.key) && !guarded_rows(one.key);
      one.hit = is_pair && table_.copy(one.key, hashes[i], one.buffer, one.copied, is_current);
      hits += one.hit ? 1 : 0;
    }
  }
  hits_.add(hits);
  return hits;
}

void ComposedEngine::prefetch_hits(std::span<const std::string_view> keys) {
  std::array<std::uint64_t, kFetchedTogether> hashes;
  for (; !keys.empty(); keys = keys.subspan(std::min(keys.size(), kFetchedTogether))) {
    const std::size_t some = std::min(keys.size(), kFetchedTogether);
    for (std::size_t i = 0; i < some; ++i) table_.prefetch(hashes[i] = base::hash_of(keys[i]));
    for (std::size_t i = 0; i < some; ++i) table_.prefetch_entry(hashes[i]);
  }
}

memory::EntryRef ComposedEngine::try_pin(std::string_view key, base::Nanoseconds now) {
  if (!collection_ || observes(key) || guarded_rows(key)) return nullptr;
  if (now == kReadClock) now = base::LateClock::now();
  auto entry = table_.pin(key, base::hash_of(key), [&](const memory::Entry& found) {
    return found.kind() == ValueKind::string && collection_->is_proven(found, now) &&
           !collection_->seems_due(found.expires_at_ms());
  });
  if (entry) hits_.add();
  return entry;
}

// A proven entry is fresh enough for every level. One whose lease has run out was current when it did, and is as old as
// that; one whose slice was taken away has left the table, or is about to.
bool ComposedEngine::is_fresh_enough(const memory::Entry& entry, const ReadOptions& options, base::Nanoseconds now,
                                     base::Nanoseconds& age) const {
  age = 0;
  if (collection_->seems_due(entry.expires_at_ms())) return false;
  if (collection_->is_proven(entry, now)) return true;
  if (entry.witness()->kind() != memory::WitnessKind::slice) return false;
  const auto level = options.level.value_or(Level::linearizable);
  if (level != Level::any && level != Level::bounded) return false;
  const auto proven_until = static_cast<const ownership::SliceHandle*>(entry.witness())->deadline();
  if (proven_until < 0) return false;
  age = now - proven_until;
  return level == Level::any || age <= options.bound;
}

// A row is shown by the shape under which its bytes were written, and no other.
void ComposedEngine::show(std::string_view key, storage::KeyState state, Reading& reading) const {
  reading.present = state.present;
  reading.value = std::move(state.value);
  reading.version = state.version;
  reading.expires_at_ms = state.expires_at_ms;
  reading.kind = state.kind;
  if (!state.present) return;
  const auto* const rows = rows_of_value(key, reading.value);
  if (!rows) return;
  reading.shape = rows->shape;
  reading.value = std::string(rows->row_in(reading.value));
}

bool ComposedEngine::serve_from_memory(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                                       Reading& reading) {
  const auto* rows = guarded_rows(key);
  const bool hit = table_.visit(key, base::hash_of(key), [&](const memory::Entry& entry) {
    base::Nanoseconds age;
    if (!is_fresh_enough(entry, options, now, age)) return false;
    if (rows && entry.present() && !rows->has_shape(entry.value())) return false;
    reading = {false, {}, 0, 0, Source::memory, age, nullptr, 0};
    show(key, {entry.present(), std::string(entry.value()), entry.version(), {}, entry.expires_at_ms(), entry.kind()},
         reading);
    return true;
  });
  if (hit) hits_.add();
  return hit;
}

void ComposedEngine::get(std::string_view key, const ReadOptions& options, Callback<Reading> done) {
  get_many({std::string(key)}, options, [done = std::move(done)](Result<std::vector<Reading>> readings) {
    if (!readings) return done(std::move(readings).error());
    done(std::move(readings->front()));
  });
}

void ComposedEngine::get_many(std::vector<std::string> keys, const ReadOptions& options,
                              Callback<std::vector<Reading>> done) {
  if (released_) return done(stopping());
  if (options.level == Level::snapshot) {
    return get_together(std::move(keys), read_deadline(options.deadline), std::move(done));
  }
  for (const auto& key : keys) table_.prefetch(base::hash_of(key));
  for (const auto& key : keys) table_.prefetch_entry(base::hash_of(key));
  const auto begun = collections_changed_.load();
  const auto now = base::now();
  auto gathering = std::make_shared<Gathering>();
  gathering->readings.resize(keys.size());
  std::vector<std::string> misses;
  ObservedMisses observed;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto id = collection_of(keys[i])) {
      if (auto error = gather_observed(keys[i], *id, i, options, now, *gathering, observed)) return done(*error);
      continue;
    }
    if (!guards(keys[i])) return done(no_key_value(keys[i]));
    if (serve_from_memory(keys[i], options, now, gathering->readings[i])) continue;
    gathering->places.push_back(i);
    misses.push_back(keys[i]);
  }
  gathering->missing = misses.size() + observed.groups.size();
  if (gathering->missing == 0) return done(std::move(gathering->readings));
  gathering->done = options_.collections.empty() ? std::move(done)
                                                 : asking_again(std::move(keys), options, begun, std::move(done));
  const auto deadline = read_deadline(options.deadline);
  read_observed(std::move(observed), deadline, gathering);
  if (!misses.empty()) read_guarded(std::move(misses), deadline, gathering, nullptr);
}

void ComposedEngine::read_guarded(std::vector<std::string> misses, base::Nanoseconds deadline,
                                  const std::shared_ptr<Gathering>& gathering,
                                  std::shared_ptr<consistency::KeyLocks> locks) {
  gathering->missed = misses;
  const auto take = [this, gathering](std::size_t index, const Result<consistency::ReadAnswer>& answer) {
    if (!answer) return gathering->fail(answer.error());
    // Where another node may write, nobody would tell the client of its next change: it must not keep what it reads.
    const auto& key = gathering->missed[index];
    if (watched_ && !collection_->guard_of(key)) on_changed(key);
    show(key, answer->state, gathering->readings[gathering->places[index]]);
    gathering->arrive();
  };
  collection_->read(std::move(misses), deadline, take, std::move(locks));
}

void ComposedEngine::prefetch(std::vector<std::string> keys) {
  if (released_ || !collection_) return;
  const auto now = base::now();
  std::erase_if(keys, [&](const std::string& key) {
    if (observes(key)) return true;
    bool proven = false;
    table_.inspect(key, base::hash_of(key),
                   [&](const memory::Entry& entry) { proven = collection_->is_proven(entry, now); });
    return proven;
  });
  if (keys.empty()) return;
  collection_->read(std::move(keys), read_deadline(base::kForever),
                    [](std::size_t, const Result<consistency::ReadAnswer>&) {});
}

}  // namespace freshet::cache
