// Lending guards: a write that somebody else sends.
#include "consistency/lent_guards.h"
#include "consistency/write.h"

namespace freshet::consistency {

void GuardedCollection::lend(std::vector<std::string> keys, base::Nanoseconds deadline, base::Nanoseconds limit,
                             storage::Callback<std::shared_ptr<LentGuards>> done) {
  lock(std::move(keys), deadline, [this, deadline, limit, done = std::move(done)](Result<std::shared_ptr<KeyLocks>> locks) {
    if (!locks) return done(std::move(locks).error());
    register_lent(*locks, deadline, limit, done);
  });
}

void GuardedCollection::register_lent(const std::shared_ptr<KeyLocks>& locks, base::Nanoseconds deadline,
                                      base::Nanoseconds limit, storage::Callback<std::shared_ptr<LentGuards>> done) {
  auto write = std::make_shared<Write>();
  for (const auto& key : locks->keys()) write->parts.push_back(part_of_key(key));
  write->locks = locks;
  write->deadline = deadline;
  write->done = [done](Result<storage::WriteReply> reply) { done(std::move(reply).error()); };
  write->lent = [this, limit, done, weak = std::weak_ptr<Write>(write)] {
    auto lent = std::make_shared<LentGuards>(*this, weak.lock());
    loop_.after(limit, [late = std::weak_ptr<LentGuards>(lent)] {
      if (const auto still = late.lock()) still->end(LentGuards::Outcome::unknown);
    });
    done(std::move(lent));
  };
  start(write);
}

std::vector<storage::CheckedKey> LentGuards::keys() const {
  std::vector<storage::CheckedKey> keys;
  for (const auto& part : write_->parts) keys.push_back({part.key, part.guard->token()});
  return keys;
}

bool LentGuards::end(Outcome outcome) {
  if (ended_.exchange(true)) return false;
  // What it left behind is not known here: the next read asks.
  if (outcome != Outcome::unknown) {
    collection_.settle_all(write_, true, false);
    write_->locks.reset();
    return true;
  }
  collection_.note_unknown(write_);
  for (const auto& part : write_->parts) collection_.guards_.renew(part.slot, part.guard);
  collection_.fence_lent(write_, 0);
  return true;
}

// The guards that were lent have been dropped: once there are others, or the slot is another node's, no transaction can
// commit under them any more.
void GuardedCollection::fence_lent(const WriteRef& write, std::size_t next_part) {
  if (next_part == write->parts.size()) {
    settle_all(write, false, true);
    write->locks.reset();
    return;
  }
  guards_.wait(write->parts[next_part].slot, base::kForever,
               [this, write, next_part](const Result<GuardRef>&) { fence_lent(write, next_part + 1); });
}

}  // namespace freshet::consistency
