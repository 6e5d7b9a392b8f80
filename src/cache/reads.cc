// Reads: memory first, on proof; else storage.
#include "cache/composed_engine.h"

#include <fmt/format.h>

namespace freshet::cache {

Engine::Lookup ComposedEngine::try_get(std::string_view key, base::Nanoseconds now,
                                       base::FunctionRef<void(const HitView&)> visit) {
  const auto hash = base::hash_of(key);
  if (now == kReadClock) {
    table_.prefetch(hash);
    now = base::now();
  }
  bool hit = false;
  table_.visit(key, hash, [&](const memory::Entry& entry) {
    if (!collection_->is_proven(entry, now)) return;
    if (entry.expires_at_ms() != 0 && collection_->seems_due(entry.expires_at_ms())) return;
    hit = true;
    visit(HitView{entry.present(), entry.value(), entry.version(), entry.expires_at_ms()});
  });
  if (!hit) return Lookup::miss;
  hits_.add();
  return Lookup::hit;
}

memory::EntryRef ComposedEngine::try_pin(std::string_view key, base::Nanoseconds now) {
  if (now == kReadClock) now = base::now();
  auto entry = table_.pin(key, base::hash_of(key));
  if (!entry || !collection_->is_proven(*entry, now) || collection_->seems_due(entry->expires_at_ms())) return nullptr;
  hits_.add();
  return entry;
}

// A proven entry is fresh enough for every level. One whose lease has run out was current when it did, and is as old as
// that; one whose slice was taken away has left the table, or is about to.
bool ComposedEngine::is_fresh_enough(const memory::Entry& entry, const ReadOptions& options, base::Nanoseconds now,
                                     base::Nanoseconds& age) const {
  age = 0;
  if (collection_->seems_due(entry.expires_at_ms())) return false;
  if (collection_->is_proven(entry, now)) return true;
  if (options.level == Level::linearizable) return false;
  const auto proven_until = static_cast<const ownership::SliceHandle*>(entry.witness())->deadline();
  if (proven_until < 0) return false;
  age = now - proven_until;
  return options.level == Level::any || age <= options.bound;
}

bool ComposedEngine::serve_from_memory(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                                       Reading& reading) {
  bool hit = false;
  table_.visit(key, base::hash_of(key), [&](const memory::Entry& entry) {
    base::Nanoseconds age;
    if (!is_fresh_enough(entry, options, now, age)) return;
    hit = true;
    reading = {entry.present(), std::string(entry.value()), entry.version(), entry.expires_at_ms(), Source::memory, age};
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

// The readings of one get_many, gathered until the last is there. The first error answers for all.
struct ComposedEngine::Gathering {
  std::vector<Reading> readings;
  std::vector<std::size_t> places;  // Of the keys that went to storage.
  std::atomic<std::size_t> missing{0};
  std::mutex mutex;
  std::optional<Error> error;
  Callback<std::vector<Reading>> done;
};

void ComposedEngine::get_many(std::vector<std::string> keys, const ReadOptions& options,
                              Callback<std::vector<Reading>> done) {
  if (released_) return done(stopping());
  for (const auto& key : keys) prefetch_hit(key);
  for (const auto& key : keys) table_.prefetch_entry(base::hash_of(key));
  const auto now = base::now();
  auto gathering = std::make_shared<Gathering>();
  gathering->readings.resize(keys.size());
  std::vector<std::string> misses;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (serve_from_memory(keys[i], options, now, gathering->readings[i])) continue;
    gathering->places.push_back(i);
    misses.push_back(std::move(keys[i]));
  }
  if (misses.empty()) return done(std::move(gathering->readings));
  gathering->missing = misses.size();
  gathering->done = std::move(done);
  collection_->read(std::move(misses), read_deadline(options.deadline),
                    [gathering](std::size_t index, const Result<consistency::ReadAnswer>& answer) {
                      if (answer) {
                        const auto& state = answer->state;
                        gathering->readings[gathering->places[index]] = {state.present, state.value, state.version,
                                                                         state.expires_at_ms, Source::storage, 0};
                      } else {
                        std::lock_guard lock(gathering->mutex);
                        gathering->error = answer.error();
                      }
                      if (gathering->missing.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
                      if (gathering->error) return gathering->done(std::move(*gathering->error));
                      gathering->done(std::move(gathering->readings));
                    });
}

void ComposedEngine::prefetch(std::vector<std::string> keys) {
  if (released_) return;
  const auto now = base::now();
  std::erase_if(keys, [&](const std::string& key) {
    bool proven = false;
    table_.visit(key, base::hash_of(key), [&](const memory::Entry& entry) { proven = collection_->is_proven(entry, now); });
    return proven;
  });
  if (keys.empty()) return;
  collection_->read(std::move(keys), read_deadline(base::kForever),
                    [](std::size_t, const Result<consistency::ReadAnswer>&) {});
}

}  // namespace freshet::cache
