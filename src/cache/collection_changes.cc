// Collections that change while the engine serves them: a table moves from observed to guarded or back, its definition in
// the catalog is another, its block in the configuration says something else. docs/CONSISTENCY-ROWS.md, "Moving a table",
// has the argument for the order of the steps.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cache/composed_engine.h"
#include "cache/gathering.h"
#include "cache/observed_options.h"

namespace freshet::cache {
namespace {

using Specs = std::vector<storage::CollectionSpec>;

// How long a change waits: for the change stream of what is to be observed (a new slot waits for all that runs in the
// database), and for the end of what is under way on rows that are no longer to be guarded (SQL that holds a guard may take
// 30 s). Then all is as it was before.
constexpr base::Nanoseconds kFollowPatience = 30 * base::kSecond;
constexpr base::Nanoseconds kClearPatience = 45 * base::kSecond;
constexpr std::size_t kChangesWaitingMax = 16;

const storage::CollectionSpec* named(const Specs& specs, std::string_view name) {
  const auto found = std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

// Names are what keys of the key-value table cannot begin with: they stay those of the start.
Result<void> check_names(const Specs& before, const Specs& after) {
  for (const auto& spec : before) {
    if (!named(after, spec.name)) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("collection \"{}\" is missing", spec.name),
                       "Collections leave, and come, with a restart.");
    }
  }
  for (const auto& spec : after) {
    const auto same_name = [&](const auto& other) { return other.name == spec.name; };
    if (std::count_if(after.begin(), after.end(), same_name) > 1) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("collection \"{}\" is there twice", spec.name));
    }
    if (!named(before, spec.name)) {
      return Error::of(ErrorCode::invalid_argument, fmt::format("collection \"{}\" is new", spec.name),
                       "Collections come, and leave, with a restart.");
    }
  }
  return {};
}

bool any_guarded(const Specs& specs) {
  return std::any_of(specs.begin(), specs.end(), [](const auto& spec) { return spec.guarded; });
}

}  // namespace

void ComposedEngine::start_guarding(GuardedParts parts) {
  auto collection =
      std::make_unique<consistency::GuardedCollection>(table_, *parts.storage, *loop_, parts_.protections, parts_.limits);
  collection->on_loss([this] { on_everything_changed(); });
  collection->on_outside_writes([this] { on_rows_changed(); });
  storage_.make(std::move(parts.storage));
  ownership_.make(std::move(parts.ownership));
  collection->follow(*ownership_);
  collection_.make(std::move(collection));
  storage_->on_rows_outdated([this] { return is_open_ && replan_rows(); });
}

void ComposedEngine::start_following(const Specs& specs) {
  follower_loop_ = std::make_unique<net::Loop>("freshet-follow");
  auto follower = std::make_unique<consistency::Follower>(table_, *follower_loop_, parts_.make_observed, specs,
                                                          parts_.observed_protections, parts_.observed_limits);
  follower->watch(this);
  follower_.make(std::move(follower));
}

void ComposedEngine::start_watching(const Specs& specs) {
  watch_loop_ = std::make_unique<net::Loop>("freshet-watch");
  watch_.make(std::make_unique<consistency::BypassWatch>(
      *watch_loop_, parts_.make_watched, specs,
      [this](const std::string& collection, const std::string& key) { drop_bypassed(collection, key); }));
}

// One change, from what was to what is to be. On the thread of changes.
class ComposedEngine::CollectionChange {
 public:
  CollectionChange(ComposedEngine& engine, Specs before, Specs after, bool lenient = false)
      : engine_(engine), before_(std::move(before)), after_(std::move(after)), lenient_(lenient) {}

  // Errors leave the collections as in_force() says.
  Result<void> run() {
    if (auto made = make_parts(); !made) return made;
    if (auto followed = follow_new(); !followed) return followed;
    if (auto guarded = guard(); !guarded) return guarded;
    in_force_ = after_;
    serve_observed(observed_specs(after_));
    watch(after_);
    return clear_and_unseal();
  }
  // Of which of the two every collection is now.
  const Specs& in_force() const { return in_force_.empty() ? before_ : in_force_; }

  std::vector<std::string> report() const {
    std::vector<std::string> lines;
    for (const auto& spec : after_) {
      const auto& old = *named(before_, spec.name);
      if (old.guarded != spec.guarded) {
        const bool still_sealed = std::count(sealed_.begin(), sealed_.end(), spec.name) > 0;
        const char* const but = still_sealed ? "; its table stays sealed until the lease's holder has moved it" : "";
        lines.push_back(fmt::format("{} is {} now{}", spec.name, spec.guarded ? "guarded" : "observed", but));
      } else if (!old.says_the_same_as(spec) || std::count(replanned_.begin(), replanned_.end(), spec.name) > 0) {
        lines.push_back(fmt::format("{} goes by another definition now", spec.name));
      }
    }
    return lines;
  }

 private:
  Result<void> make_parts() {
    if (any_guarded(after_) && !engine_.collection_) {
      if (!engine_.parts_.make_guarded) {
        return Error::of(ErrorCode::unsupported, "this engine cannot guard tables", "Use PostgreSQL as its storage.");
      }
      auto parts = engine_.parts_.make_guarded();
      if (!parts) return std::move(parts).error();
      engine_.start_guarding(std::move(*parts));
    }
    if (!observed_specs(after_).empty() && !engine_.follower_ && engine_.parts_.make_observed) engine_.start_following({});
    return {};
  }

  // What is to be observed is followed before anything else is touched; whoever reads it meanwhile reads it where it was.
  Result<void> follow_new() {
    Specs added;
    for (const auto& spec : observed_specs(after_)) {
      const auto& old = *named(before_, spec.name);
      if (old.guarded || !old.says_the_same_as(spec)) added.push_back(spec);
    }
    if (added.empty()) return {};
    const auto deadline = base::now() + kFollowPatience;
    auto followed = await([&](auto done) { engine_.follower_->follow(added, deadline, std::move(done)); });
    if (!followed) serve_observed(observed_specs(before_));
    return followed;
  }

  // Between the two every table is served by one of them: those that become guarded stay observed until they are.
  Result<void> guard() {
    auto served = observed_specs(after_);
    for (const auto& spec : observed_specs(before_)) {
      if (named(after_, spec.name)->guarded) served.push_back(spec);
    }
    serve_observed(served);
    if (!any_guarded(before_) && !any_guarded(after_)) return {};
    auto guarded = guard_rows();
    if (guarded) return {};
    serve_observed(observed_specs(before_));
    for (const auto& spec : observed_specs(before_)) unseal_left(spec);  // Some may have been sealed for it.
    return guarded;
  }

  Result<void> guard_rows() {
    const auto* const old = engine_.rows();
    auto planned = engine_.storage_->guard_rows({after_, period(), lenient_});
    if (!planned) return std::move(planned).error();
    engine_.collection_->change_rows(*planned);
    ++engine_.collections_changed_;
    for (const auto& rows : engine_.rows()->all()) {
      const auto* const was = old ? old->named(rows->spec.name) : nullptr;
      if (!was || was == rows.get()) continue;
      engine_.collection_->drop_outdated(rows->spec.name);
      engine_.on_collection_changed(rows->spec.name);
      replanned_.push_back(rows->spec.name);
    }
    return {};
  }

  // Nobody is told of a row's change any more by whoever served it before.
  void serve_observed(const Specs& specs) {
    if (engine_.follower_) engine_.follower_->serve(specs);
    ++engine_.collections_changed_;
    for (const auto& spec : after_) {
      if (!named(before_, spec.name)->says_the_same_as(spec)) engine_.on_collection_changed(spec.name);
    }
  }

  void watch(const Specs& specs) {
    const auto watched = watched_specs(specs);
    if (engine_.watch_) return engine_.watch_->watch(watched);
    if (!watched.empty() && engine_.parts_.make_watched) {
      engine_.start_watching({});
      engine_.watch_->watch(watched);
    }
  }

  // Of what is no longer guarded: writers of SQL are let in once nothing that was begun before can meet them.
  Result<void> clear_and_unseal() {
    for (const auto& spec : observed_specs(after_)) {
      if (!named(before_, spec.name)->guarded) {
        unseal_left(spec);
        continue;
      }
      auto cleared = engine_.collection_->clear_retired(spec.name, base::now() + kClearPatience);
      if (!cleared) return cleared;
      const auto held = period();
      if (held == 0) {
        sealed_.push_back(spec.name);
        continue;
      }
      if (auto unsealed = engine_.storage_->unseal_rows(spec, held); !unsealed) return unsealed;
    }
    return {};
  }

  // It was moved when this node did not hold the lease, perhaps, or sealed for a change that failed.
  void unseal_left(const storage::CollectionSpec& spec) {
    const auto held = period();
    if (held == 0 || spec.is_query()) return;
    const auto unsealed = engine_.storage_->unseal_rows(spec, held);
    if (unsealed) return;
    base::log_warning("cache", "{} may still be sealed: {}. {}", spec.table, unsealed.error().what,
                      unsealed.error().remedy);
  }

  std::uint64_t period() const { return engine_.ownership_ ? engine_.ownership_->status().period : 0; }

  // Waits for an answer, or for the engine's end.
  template <typename Ask>
  Result<void> await(Ask ask) {
    const auto answer = std::make_shared<std::optional<Result<void>>>();
    ask([this_engine = &engine_, answer](Result<void> result) {
      const std::lock_guard lock(this_engine->change_mutex_);
      *answer = std::move(result);
      this_engine->change_wake_.notify_all();
    });
    std::unique_lock lock(engine_.change_mutex_);
    engine_.change_wake_.wait(lock, [&] { return *answer || engine_.ending_; });
    return *answer ? **answer : Result<void>(stopping());
  }

  ComposedEngine& engine_;
  const Specs before_;
  const Specs after_;
  const bool lenient_;
  Specs in_force_;
  std::vector<std::string> replanned_;  // Guarded before and now, and planned otherwise.
  std::vector<std::string> sealed_;     // No longer guarded, and sealed all the same.
};

// What could not be finished is changed back, which is a change like any other: what had become guarded is retired, cleared
// and unsealed.
Result<std::vector<std::string>> ComposedEngine::change_now(const Specs& specs, bool lenient) {
  Specs before;
  {
    const std::lock_guard lock(specs_mutex_);
    before = specs_;
  }
  if (auto checked = check_names(before, specs); !checked) return checked.error();
  CollectionChange change(*this, before, specs, lenient);
  const auto changed = change.run();
  auto in_force = change.in_force();
  if (!changed && in_force != before) {
    CollectionChange back(*this, in_force, before);
    const auto gone_back = back.run();
    in_force = back.in_force();
    if (!gone_back) {
      base::log_error("cache", "collections could not be brought back to all that they were: {}. {}",
                      gone_back.error().what, gone_back.error().remedy);
    }
  }
  {
    const std::lock_guard lock(specs_mutex_);
    specs_ = in_force;
  }
  if (!changed) return changed.error();
  return change.report();
}

void ComposedEngine::change_collections(Specs specs, Callback<std::vector<std::string>> done) {
  begin_change(std::move(specs), false, std::move(done));
}

// One after the other, in the order in which they came.
void ComposedEngine::begin_change(Specs specs, bool lenient, Callback<std::vector<std::string>> done) {
  if (released_) return done(stopping());
  {
    const std::lock_guard lock(change_mutex_);
    if (!ending_ && changes_.size() < kChangesWaitingMax) {
      changes_.push_back({std::move(specs), lenient, std::move(done)});
      if (!changing_.exchange(true)) collections_change_.run([this] { make_changes(); });
      return;
    }
  }
  done(Error::of(ErrorCode::busy, "too many changes of the collections wait already", "Try again when they are over."));
}

void ComposedEngine::make_changes() {
  for (;;) {
    std::optional<WaitingChange> next;
    {
      const std::lock_guard lock(change_mutex_);
      if (changes_.empty()) {
        changing_ = false;
        return;
      }
      next = std::move(changes_.front());
      changes_.pop_front();
    }
    next->done(ending_ ? Result<std::vector<std::string>>(stopping()) : change_now(next->specs, next->lenient));
  }
}

// The catalog says something else of a guarded table than when it was planned, or its seal has gone. Who does not hold the
// lease has no say in what is sealed: the holder may have moved the table.
bool ComposedEngine::replan_rows() {
  if (!ownership_ || ownership_->status().period == 0 || changing_) return false;
  for (const auto& name : rows()->unsealed()) collection_->drop_outdated(name);
  Specs specs;
  {
    const std::lock_guard lock(specs_mutex_);
    specs = specs_;
  }
  begin_change(std::move(specs), true, [this](const Result<std::vector<std::string>>& changed) {
    if (!changed) {
      if (changed.error().code == ErrorCode::busy || released_) return;
      return base::log_warning("cache", "guarded tables go by what they were: {}. {}", changed.error().what,
                               changed.error().remedy);
    }
    for (const auto& line : *changed) base::log_info("cache", "{}: the catalog has changed", line);
  });
  return true;
}

// A read that finds that its collection is served elsewhere since it began (at `begun` changes) is made again, there.
// Whoever moves a collection all the time would keep it from its end; its deadline does not.
Callback<std::vector<Reading>> ComposedEngine::asking_again(std::vector<std::string> keys, const ReadOptions& options,
                                                            std::uint64_t begun, Callback<std::vector<Reading>> done) {
  auto again = options;
  again.deadline = read_deadline(options.deadline);
  return [this, keys = std::move(keys), again, begun, done = std::move(done)](Result<std::vector<Reading>> readings) {
    const bool moved = !readings && collections_changed_ != begun && base::now() < again.deadline && !released_;
    moved ? get_many(keys, again, done) : done(std::move(readings));
  };
}

}  // namespace freshet::cache
