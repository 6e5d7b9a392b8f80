// Group commits: admission by deadline and guard, one read of all states needed, evaluation in order, one write.
#include "storage/embedded/group.h"

#include <cassert>
#include <span>

#include "storage/embedded/reader.h"
#include "storage/embedded/record.h"

namespace freshet::storage::embedded {
namespace {

Error guard_error(base::Slot slot, bool guarded) {
  const auto what = "slot " + std::to_string(slot) +
                    (guarded ? ": the write's guard has been replaced" : ": no guard is set since the storage was opened");
  return Error::of(ErrorCode::guard_mismatch, what, "Renew the guard (set_guard) and send the write again.");
}

}  // namespace

Result<void> Group::commit(Tickets& tickets) {
  for (auto& ticket : tickets) admit(*ticket);
  load();
  now_ms_ = state_.clock.now_ms();
  for (auto* ticket : admitted_) evaluate(*ticket);
  auto written = write();
  if (!written) {
    const auto unknown = Error::of(ErrorCode::unknown_outcome, written.error().what, written.error().remedy);
    for (auto* ticket : dependent_) ticket->refuse(unknown);
  }
  return written;
}

// Deadlines and guards are judged in the order of the queue: a guard counts for every write behind it.
void Group::admit(Ticket& ticket) {
  if (ticket.deadline <= base::now()) {
    ticket.refuse(Error::of(ErrorCode::deadline_exceeded, "the deadline passed before the call was begun"));
    return;
  }
  if (auto* guard = ticket.guard()) {
    state_.guards.set(guard->range, guard->token);
  } else if (auto* forget = ticket.forget()) {
    for (const auto& tombstone : forget->tombstones) want(tombstone.key);
  } else {
    const auto& request = ticket.write()->request;
    const auto passes = [&](const std::string& key, Token token) {
      const auto slot = base::slot_of(key);
      if (state_.skip_guard_check || state_.guards.allows(slot, token)) return true;
      ticket.refuse(guard_error(slot, !state_.guards.token_of(slot).is_nil()));
      return false;
    };
    for (const auto& mutation : request.mutations) {
      if (!passes(mutation.key, mutation.token)) return;
    }
    for (const auto& checked : request.also) {
      if (!passes(checked.key, checked.token)) return;
    }
    for (const auto& mutation : request.mutations) {
      if (request.all_or_nothing || needs_state(mutation)) want(mutation.key);
    }
  }
  admitted_.push_back(&ticket);
}

void Group::want(const std::string& key) {
  if (overlay_.try_emplace(key, KeyState{}).second) wanted_.push_back(key);
}

void Group::load() {
  for (std::size_t from = 0; from < wanted_.size(); from += kBatchKeysMax) {
    const auto some = std::span(wanted_).subspan(from, std::min(kBatchKeysMax, wanted_.size() - from));
    auto states = read_each(state_.database, some);
    for (std::size_t i = 0; i < some.size(); ++i) overlay_.insert_or_assign(some[i], std::move(states[i]));
  }
}

void Group::evaluate(Ticket& ticket) {
  if (auto* call = ticket.write()) {
    evaluate_write(ticket, *call);
  } else if (auto* forget = ticket.forget()) {
    evaluate_forget(*forget);
  } else {
    dependent_.push_back(&ticket);  // Writes ordered before it are in this batch.
  }
}

// The effect of each mutation, none of them staged yet. An error: a state that is needed could not be read.
Result<std::vector<Result<Effect>>> Group::effects_of(const WriteRequest& request) {
  std::vector<Result<Effect>> effects;
  effects.reserve(request.mutations.size());
  static const KeyState kNotNeeded;
  for (const auto& mutation : request.mutations) {
    const auto known = overlay_.find(mutation.key);
    if (known != overlay_.end() && !known->second && (request.all_or_nothing || needs_state(mutation))) {
      return known->second.error();
    }
    const auto& current = known != overlay_.end() && known->second ? *known->second : kNotNeeded;
    effects.push_back(effect_of(mutation, current, request.operation, now_ms_));
  }
  return effects;
}

void Group::evaluate_write(Ticket& ticket, WriteCall& call) {
  const auto& mutations = call.request.mutations;
  auto effects = effects_of(call.request);
  if (!effects) return ticket.refuse(effects.error());
  bool apply = true;
  if (call.request.all_or_nothing) {
    for (const auto& effect : *effects) apply = apply && effect && effect->applied;
  }
  WriteReply reply;
  reply.reserve(mutations.size());
  for (std::size_t i = 0; i < mutations.size(); ++i) {
    auto& effect = (*effects)[i];
    if (!effect) {
      reply.emplace_back(std::move(effect).error());
      continue;
    }
    MutationOutcome outcome;
    if (mutations[i].want_before) outcome.before = as_seen(*overlay_.at(mutations[i].key), now_ms_);
    outcome.applied = effect->applied && apply;
    if (outcome.applied) {
      outcome.after = std::move(effect->after);
      outcome.after.version = state_.versions.draw();
      stage(mutations[i].key, outcome.after);
    } else {
      outcome.after = effect->applied ? *overlay_.at(mutations[i].key) : std::move(effect->after);
    }
    reply.emplace_back(std::move(outcome));
  }
  call.reply = std::move(reply);
  dependent_.push_back(&ticket);
}

void Group::evaluate_forget(const ForgetCall& call) {
  for (const auto& tombstone : call.tombstones) {
    auto& state = overlay_.at(tombstone.key);
    if (!state || state->present || state->version == 0 || state->version != tombstone.version) continue;
    batch_.Delete(state_.database.records(), encode_key(tombstone.key));
    state = KeyState{};
  }
}

void Group::stage(const std::string& key, KeyState state) {
  batch_.Put(state_.database.records(), encode_key(key), encode_record(state));
  overlay_.insert_or_assign(key, std::move(state));
}

Result<void> Group::write() {
  if (batch_.Count() == 0) return {};
  rocksdb::WriteOptions options;
  options.sync = state_.durability == Durability::synced;
  if (state_.versions.needs_mark()) {
    // The mark must outlive a power cut even where writes may not, or versions would be drawn twice.
    state_.database.stage_version_mark(batch_, state_.versions.extend_mark());
    options.sync = true;
  }
  const auto status = state_.database.db().Write(options, &batch_);
  if (!status.ok()) {
    return error_of(ErrorCode::unavailable, "writing to the data directory", status,
                    "Check the disk (space, errors), then open the storage again; it takes no writes until then.");
  }
  left_unsynced_ = !options.sync;
  return {};
}

}  // namespace freshet::storage::embedded
