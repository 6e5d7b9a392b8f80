// Writes whose answer was lost. Sending them again blindly would apply an increment twice; taking them for lost would let
// them land later. So: fence the attempt with a fresh guard, hold the key's other writes back, and look whether it landed.
#include <algorithm>

#include "consistency/write.h"

namespace freshet::consistency {
namespace {

// Of a row's write that is known to have landed, with the transaction that it is part of. What it did by itself is known if
// it is the only thing that was done: no condition, nothing after it.
Result<storage::MutationOutcome> row_outcome(const storage::Mutation& mutation, const WritePart& part,
                                             const storage::KeyState& state, bool is_only) {
  const bool conditional =
      mutation.condition != storage::Condition::none ||
      std::any_of(mutation.cells.begin(), mutation.cells.end(),
                  [](const auto& cell) { return cell.kind == storage::Cell::Kind::set_if_null; });
  if (part.before && is_only && !conditional) {
    return storage::MutationOutcome{true, state, mutation.want_before ? part.before : std::nullopt};
  }
  return Error::of(ErrorCode::unknown_outcome, "the write was applied, but the answer with the row before was lost",
                   "do not send it again");
}

}  // namespace

void GuardedCollection::resolve(const WriteRef& write) {
  note_unknown(write);
  if (!protections_.fence_unknown) return find_out(write, true);
  for (const auto& part : write->parts) guards_.renew(part.slot, part.guard);
  await_fence(write, 0);
}

void GuardedCollection::note_unknown(const WriteRef& write) {
  counters_.unknown_outcomes.fetch_add(1, std::memory_order_relaxed);
  for (auto& part : write->parts) {
    auto& shard = shard_of(part.hash);
    std::lock_guard lock(shard.mutex);
    auto& operations = shard.at(part.key);
    ++operations.unknown;
    operations.group.cacheable = false;
  }
}

// The guard under which the lost attempt was sent has been dropped: any guard that comes now was asked for later, and once
// it is there the attempt is applied or never will be.
void GuardedCollection::await_fence(const WriteRef& write, std::size_t next_part) {
  if (next_part == write->parts.size()) return find_out(write, true);
  guards_.wait(write->parts[next_part].slot, write->deadline, [this, write, next_part](Result<GuardRef> guard) {
    if (guard) return await_fence(write, next_part + 1);
    if (guard.error().code == ErrorCode::not_owner) return find_out(write, false);
    give_up(write, "no fresh write guard within the deadline");
  });
}

void GuardedCollection::find_out(const WriteRef& write, bool owned) {
  std::vector<std::string> keys;
  for (const auto& part : write->parts) keys.push_back(part.key);
  storage_.read(std::move(keys), write->deadline, [this, write, owned](Result<storage::ReadReply> reply) {
    if (!reply) return give_up(write, "storage did not say whether it landed (" + reply.error().what + ")");
    if (!reply->faults.empty()) {
      return give_up(write, "storage did not say whether it landed (" + reply->faults.front().second.what + ")");
    }
    conclude(write, reply->states, owned);
  });
}

// A write is one transaction: what shows that one of its keys was written, or was not, decides for all. A key-value pair
// carries the write's id. A row shows it by being another than before the write, if nobody else could have changed it, and
// the table is what it was.
GuardedCollection::Landed GuardedCollection::has_landed(const Write& write, const std::vector<storage::KeyState>& states,
                                                        bool undisturbed) const {
  bool decided = false;
  bool rows_are_known = true;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto& part = write.parts[i];
    if (!is_row(part.key)) {
      if (states[i].operation == write.operation) return Landed::yes;
      decided = true;
      continue;
    }
    const auto* const rows = storage_.rows();
    const bool comparable = part.before && (!part.before->present || !states[i].present ||
                                            rows->of_value(part.key, part.before->value) ==
                                                rows->of_value(part.key, states[i].value));
    if (!comparable || !undisturbed) {
      rows_are_known = false;
      continue;
    }
    const auto& before = *part.before;
    const auto& now = states[i];
    if (now.present != before.present || now.version != before.version || now.value != before.value) return Landed::yes;
    decided |= before.version != 0;  // Every change would have drawn another.
  }
  return undisturbed && (decided || rows_are_known) ? Landed::no : Landed::unclear;
}

void GuardedCollection::conclude(const WriteRef& write, const std::vector<storage::KeyState>& states, bool owned) {
  bool alone = true;
  const auto now = base::now();
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto& part = write->parts[i];
    {
      // Writers outside may come at any time. One that comes after this was not there when the key was read.
      std::lock_guard lock(shard_of(part.hash).mutex);
      alone &= !part.overlapped;
    }
    // The attempt's own period, and now: had another node owned the key since, its write could hide ours.
    owned &= part.guard->slice()->is_still_assigned(now) || !protections_.lease_check;
  }
  const auto landed = has_landed(*write, states, owned && alone);
  if (landed == Landed::unclear) {
    return give_up(write, !owned   ? "this node lost the slot meanwhile"
                          : !alone ? "another write on the key was in flight with it"
                                   : "a row does not say who wrote it");
  }
  counters_.unknown_resolved.fetch_add(1, std::memory_order_relaxed);
  settle_all(write, false, true);
  if (landed == Landed::no) return start(write);  // Fenced and not there: it never happened.
  storage::WriteReply reply;
  for (std::size_t i = 0; i < write->mutations.size(); ++i) {
    const auto& part = write->parts[write->part_of[i]];
    const auto& state = states[write->part_of[i]];
    if (is_row(part.key)) {
      const bool is_only = std::count(write->part_of.begin(), write->part_of.end(), write->part_of[i]) == 1;
      reply.push_back(row_outcome(write->mutations[i], part, state, is_only));
    } else if (state.operation != write->operation) {
      reply.push_back(Error::of(ErrorCode::unknown_outcome, "the write may have been applied to this key, and was to others",
                                "read the key to see"));
    } else if (write->mutations[i].want_before) {
      reply.push_back(Error::of(ErrorCode::unknown_outcome,
                                "the write was applied, but the answer with the value before was lost",
                                "do not send it again"));
    } else {
      reply.push_back(storage::MutationOutcome{true, state, std::nullopt});
    }
  }
  write->done(std::move(reply));
}

void GuardedCollection::give_up(const WriteRef& write, std::string why) {
  settle_all(write, false, true);
  write->done(Error::of(ErrorCode::unknown_outcome, "the write may have been applied: its answer was lost and " + why,
                        "read the key before sending it again"));
}

}  // namespace freshet::consistency
