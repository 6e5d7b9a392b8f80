// Commands of a transaction over what it has read.
#include "cache/transaction_engine.h"

#include <algorithm>

#include "cache/transaction.h"
#include "storage/embedded/mutation.h"

namespace freshet::cache {
namespace {

using storage::Condition;
using storage::MutationKind;

Error not_here() {
  return Error::of(ErrorCode::unsupported, "this is not offered within a transaction", "call it before MULTI or after EXEC");
}

Error after_change(std::string_view key) {
  return Error::of(ErrorCode::unsupported,
                   "'" + std::string(key) + "' is a row that this transaction has changed: only the table knows what it is",
                   "read it first, or after EXEC");
}

// Of a row as it was read.
bool has_value(const Reading& row, std::string_view column) {
  if (!row.present || !row.shape) return false;
  const auto place = row.shape->find(column);
  return place && storage::column_of(row.value, *place);
}

}  // namespace

TransactionEngine::TransactionEngine(Engine& engine, std::map<std::string, Reading, std::less<>> readings)
    : engine_(engine), readings_(std::move(readings)) {}

const Reading* TransactionEngine::known(std::string_view key) const {
  const auto found = readings_.find(key);
  return found == readings_.end() || is_unknown(key) ? nullptr : &found->second;
}

KeyState TransactionEngine::state_of(const std::string& key) const {
  const auto* reading = known(key);
  if (!reading || !reading->present) return {};
  if (reading->expires_at_ms != 0 && reading->expires_at_ms <= database_now_ms()) return {};
  const auto* const rows = rows_of_shape(key, reading->shape.get());
  return {true, rows ? rows->value_of(reading->value) : reading->value, reading->version, {}, reading->expires_at_ms,
          reading->kind};
}

Reading TransactionEngine::reading_of(const std::string& key, const KeyState& state) const {
  Reading reading{state.present, state.value, state.version, state.expires_at_ms, Source::storage, 0, nullptr, 0,
                  state.kind};
  const auto* const rows = state.present ? rows_of_value(key, state.value) : nullptr;
  if (!rows) return reading;
  reading.value = std::string(rows->row_in(state.value));
  reading.shape = rows->shape;
  return reading;
}

Engine::Lookup TransactionEngine::try_get(std::string_view key, base::Nanoseconds,
                                          base::FunctionRef<void(const HitView&)> visit) {
  const auto* reading = ended_ ? nullptr : known(key);
  if (!reading) return Lookup::miss;
  const bool due = reading->expires_at_ms != 0 && reading->expires_at_ms <= database_now_ms();
  if (!reading->present || due) {
    visit(HitView{false, {}, reading->version, 0});
  } else {
    visit(HitView{true, reading->value, reading->version, reading->expires_at_ms, reading->shape.get(), reading->age,
                  reading->position, reading->kind});
  }
  return Lookup::hit;
}

Engine::Lookup TransactionEngine::try_get_at(std::string_view key, const ReadOptions&, base::Nanoseconds now,
                                             base::FunctionRef<void(const HitView&)> visit) {
  return try_get(key, now, visit);
}

void TransactionEngine::get(std::string_view key, const ReadOptions& options, Callback<Reading> done) {
  get_many({std::string(key)}, options, [done = std::move(done)](Result<std::vector<Reading>> readings) {
    if (!readings) return done(std::move(readings).error());
    done(std::move(readings->front()));
  });
}

// Rows that were changed are read out of the answers to the changes.
void TransactionEngine::get_many(std::vector<std::string> keys, const ReadOptions&, Callback<std::vector<Reading>> done) {
  if (ended_) return done(not_here());
  std::vector<Reading> readings(keys.size());
  std::vector<std::pair<std::size_t, std::size_t>> later;  // Places, and which write of a row tells.
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto changed = changed_rows_.find(keys[i]); changed != changed_rows_.end()) {
      later.emplace_back(i, changed->second);
      told_again_.insert(changed->second);
    } else if (const auto* reading = known(keys[i])) {
      readings[i] = *reading;
    } else {
      return done(not_here());
    }
  }
  if (later.empty()) return done(std::move(readings));
  pending_.push_back([this, keys = std::move(keys), readings = std::move(readings), later = std::move(later),
                          done = std::move(done)](storage::WriteReply& reply) mutable {
                        for (const auto& [place, write] : later) {
                          const auto& outcome = reply[pairs_ + write];
                          if (!outcome) return done(outcome.error());
                          readings[place] = reading_of(keys[place], outcome->after);
                        }
                        done(std::move(readings));
                      });
}

Result<MutationOutcome> TransactionEngine::change_pair(const Mutation& mutation) {
  auto& reading = readings_[mutation.key];
  const KeyState before = state_of(mutation.key);
  auto effect = storage::embedded::effect_of(mutation, before, {}, database_now_ms());
  if (!effect) return std::move(effect).error();
  MutationOutcome outcome;
  outcome.applied = effect->applied;
  outcome.after = effect->after;
  if (mutation.want_before) outcome.before = before;
  if (!effect->applied) return outcome;
  changed_pairs_.insert(mutation.key);
  reading = reading_of(mutation.key, effect->after);
  return outcome;
}

std::optional<MutationOutcome> TransactionEngine::decide_row(const Mutation& mutation) const {
  const auto is_conditional = [](const storage::Cell& cell) { return cell.kind == storage::Cell::Kind::set_if_null; };
  const bool asks = mutation.condition != Condition::none || std::ranges::any_of(mutation.cells, is_conditional);
  if (!asks || is_unknown(mutation.key)) return std::nullopt;
  const auto state = state_of(mutation.key);
  const bool holds = mutation.condition == Condition::none ||
                     (mutation.condition == Condition::if_absent && !state.present) ||
                     (mutation.condition == Condition::if_present && state.present) ||
                     (mutation.condition == Condition::if_version &&
                      mutation.version == (state.present ? state.version : 0));
  const bool only_nulls = std::ranges::none_of(mutation.cells, [&](const storage::Cell& cell) {
    return is_conditional(cell) && has_value(*known(mutation.key), cell.column);
  });
  if (holds && only_nulls) return std::nullopt;
  MutationOutcome outcome;
  outcome.after = state;
  if (mutation.want_before) outcome.before = state;
  return outcome;
}

// A cell that is to be set if it is NULL has been found to be: nobody else changes it before the end.
std::size_t TransactionEngine::add_row(Mutation mutation) {
  if (!is_unknown(mutation.key)) {
    for (auto& cell : mutation.cells) {
      if (cell.kind == storage::Cell::Kind::set_if_null) cell.kind = storage::Cell::Kind::set;
    }
  }
  if (rows_.empty()) rows_.reserve(readings_.size());
  changed_rows_[mutation.key] = rows_.size();
  rows_.push_back(std::move(mutation));
  return rows_.size() - 1;
}

bool TransactionEngine::all_hold(const std::vector<Mutation>& mutations) const {
  return std::all_of(mutations.begin(), mutations.end(), [&](const Mutation& mutation) {
    if (is_row(mutation.key)) return !decide_row(mutation);
    const auto effect = storage::embedded::effect_of(mutation, state_of(mutation.key), {}, database_now_ms());
    return effect && effect->applied;
  });
}

void TransactionEngine::write(std::vector<Mutation> mutations, bool all_or_nothing, base::Nanoseconds,
                              Callback<storage::WriteReply> done) {
  if (ended_) return done(not_here());
  for (const auto& mutation : mutations) {
    if (!readings_.contains(mutation.key)) return done(not_here());
    if (all_or_nothing && mutation.condition != Condition::none && is_unknown(mutation.key)) {
      return done(after_change(mutation.key));
    }
  }
  storage::WriteReply reply;
  reply.reserve(mutations.size());
  if (all_or_nothing && !all_hold(mutations)) {
    reply.assign(mutations.size(), MutationOutcome());
    return done(std::move(reply));
  }
  std::vector<std::pair<std::size_t, std::size_t>> later;  // Places, and which write of a row tells.
  for (std::size_t i = 0; i < mutations.size(); ++i) {
    auto& mutation = mutations[i];
    if (!is_row(mutation.key)) {
      reply.push_back(change_pair(mutation));
    } else if (auto known = decide_row(mutation)) {
      reply.push_back(std::move(*known));
    } else {
      reply.push_back(MutationOutcome());
      later.emplace_back(i, add_row(std::move(mutation)));
    }
  }
  if (later.empty()) return done(std::move(reply));
  pending_.push_back([this, reply = std::move(reply), later = std::move(later),
                          done = std::move(done)](storage::WriteReply& written) mutable {
                        for (const auto& [place, write] : later) {
                          auto& outcome = written[pairs_ + write];
                          reply[place] = told_again_.contains(write) ? outcome : std::move(outcome);
                        }
                        done(std::move(reply));
                      });
}

void TransactionEngine::update(std::string key, Decide decide, base::Nanoseconds deadline, Callback<UpdateOutcome> done) {
  if (ended_ || !readings_.contains(key)) return done(not_here());
  if (is_unknown(key)) return done(after_change(key));
  const auto before = state_of(key);
  auto decision = decide(before, database_now_ms());
  if (!decision) return done(std::move(decision).error());
  if (!*decision) return done(UpdateOutcome{false, before, before});
  Mutation mutation = std::move(**decision);
  mutation.key = std::move(key);
  std::vector<Mutation> mutations;
  mutations.push_back(std::move(mutation));
  write(std::move(mutations), false, deadline, [before, done = std::move(done)](Result<storage::WriteReply> reply) {
    if (!reply) return done(std::move(reply).error());
    auto& outcome = reply->front();
    if (!outcome) return done(std::move(outcome).error());
    done(UpdateOutcome{outcome->applied, before, std::move(outcome->after)});
  });
}

std::vector<Mutation> TransactionEngine::take_writes() {
  ended_ = true;
  std::vector<Mutation> writes;
  for (const auto& key : changed_pairs_) {
    const auto& reading = readings_[key];
    Mutation mutation;
    mutation.key = key;
    mutation.kind = reading.present ? MutationKind::put : MutationKind::erase;
    mutation.value = reading.value;
    mutation.value_kind = reading.kind;
    if (reading.present && reading.expires_at_ms != 0) mutation.expiry = {storage::Expiry::Mode::at, reading.expires_at_ms};
    writes.push_back(std::move(mutation));
  }
  pairs_ = writes.size();
  for (auto& row : rows_) writes.push_back(std::move(row));
  return writes;
}

void TransactionEngine::answer(storage::WriteReply reply) {
  for (auto& pending : std::exchange(pending_, {})) pending(reply);
}

void TransactionEngine::begin(std::vector<std::string>, base::Nanoseconds, Callback<std::shared_ptr<Transaction>> done) {
  done(not_here());
}
void TransactionEngine::scan(std::uint64_t, std::size_t, base::Nanoseconds, Callback<storage::ScanReply> done) {
  done(not_here());
}
void TransactionEngine::count(base::Nanoseconds, Callback<storage::KeyCount> done) { done(not_here()); }
void TransactionEngine::token(base::Nanoseconds, Callback<std::string> done) { done(not_here()); }
void TransactionEngine::wait(std::string, base::Nanoseconds, Callback<void> done) { done(not_here()); }

}  // namespace freshet::cache
