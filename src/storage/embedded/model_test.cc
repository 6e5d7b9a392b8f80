// The embedded storage against a model of a few lines: random histories of writes, batches, guards, forgotten tombstones and
// openings, each step's answer and the state after it compared. The model is written anew from storage.h, not
// shared with the code under test.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <ostream>

#include "../../../tests/support/storage_calls.h"
#include "../../../tests/support/temporary_directory.h"
#include "storage/embedded/embedded_storage.h"

namespace freshet::storage::embedded {
namespace {

using freshet::testing::BlockingStorage;
using freshet::testing::kAllSlots;
using freshet::testing::request_of;

// Deadlines are long passed or far away, so that the model needs no clock.
constexpr std::int64_t kPassed = 1'000;
constexpr std::int64_t kFarAway = 9'000'000'000'000;
constexpr int kKeys = 5;

struct ModelState {
  bool present = false;
  std::string value;
  std::int64_t expires_at_ms = 0;
  Version version = 0;
  OperationId operation;
  ValueKind kind = ValueKind::string;
};

class Model {
 public:
  // Whether `mutation` is applied, and what it makes of the state; an error instead of both.
  struct Step {
    std::optional<ErrorCode> error;
    bool applied = false;
    ModelState after;
  };
  Step step(const Mutation& m) const {
    const auto current = state(m.key);
    const bool passed = current.present && current.expires_at_ms == kPassed;
    const bool live = current.present && !passed;
    const bool for_strings = m.kind == MutationKind::increment || m.kind == MutationKind::append || m.want_before;
    if (live && current.kind != ValueKind::string && for_strings) return {ErrorCode::wrong_type, false, current};
    const bool wanted = m.condition == Condition::none || (m.condition == Condition::if_absent && !live) ||
                        (m.condition == Condition::if_present && live) ||
                        (m.condition == Condition::if_version &&
                         (m.version == 0 ? !live : live && current.version == m.version));
    if (!wanted || (m.kind == MutationKind::touch && !live) || (m.kind == MutationKind::expire && !passed)) {
      return {std::nullopt, false, current};
    }
    if (m.kind == MutationKind::erase || m.kind == MutationKind::expire) return {std::nullopt, true, {}};
    Step out{std::nullopt, true, {true, live ? current.value : "", 0, 0, {}}};
    if (m.expiry.mode == Expiry::Mode::keep && live) out.after.expires_at_ms = current.expires_at_ms;
    if (m.expiry.mode == Expiry::Mode::at) out.after.expires_at_ms = m.expiry.ms;
    if (m.kind == MutationKind::put) out.after.value = m.value;
    if (m.kind == MutationKind::put) out.after.kind = m.value_kind;
    if (m.kind == MutationKind::touch) out.after.kind = current.kind;
    if (m.kind == MutationKind::append) out.after.value += m.value;
    if (m.kind == MutationKind::increment) increment(m, live, out);
    return out;
  }
  ModelState state(const std::string& key) const {
    const auto known = states.find(key);
    return known == states.end() ? ModelState{} : known->second;
  }

  std::map<std::string, ModelState> states;

 private:
  static void increment(const Mutation& m, bool live, Step& out) {
    std::int64_t number = 0;
    if (live) {
      try {
        number = std::stoll(out.after.value);
      } catch (const std::exception&) {
        out.error = ErrorCode::wrong_type;
        return;
      }
      if (std::to_string(number) != out.after.value) {
        out.error = ErrorCode::wrong_type;
        return;
      }
    }
    const bool overflows = m.delta > 0 ? number > INT64_MAX - m.delta : number < INT64_MIN - m.delta;
    if (overflows) {
      out.error = ErrorCode::out_of_range;
    } else {
      out.after.value = std::to_string(number + m.delta);
    }
  }
};

rc::Gen<Mutation> any_mutation(std::string key) {
  return rc::gen::exec([key] {
    Mutation m;
    m.kind = *rc::gen::element(MutationKind::put, MutationKind::put, MutationKind::erase, MutationKind::increment,
                               MutationKind::append, MutationKind::touch, MutationKind::expire);
    m.key = key;
    m.value = *rc::gen::element<std::string>("", "0", "7", "-12", "x", "007", "9223372036854775807");
    m.delta = *rc::gen::element<std::int64_t>(1, -1, 0, 1000, INT64_MAX, INT64_MIN);
    m.condition = *rc::gen::element(Condition::none, Condition::none, Condition::if_absent, Condition::if_present,
                                    Condition::if_version);
    m.expiry.mode = *rc::gen::element(Expiry::Mode::keep, Expiry::Mode::clear, Expiry::Mode::at);
    m.expiry.ms = *rc::gen::element(kPassed, kFarAway);
    m.want_before = *rc::gen::arbitrary<bool>();
    m.value_kind = *rc::gen::element(ValueKind::string, ValueKind::string, ValueKind::hash);
    return m;
  });
}

// One storage for the whole test program; each case has keys of its own.
class StateMachine {
 public:
  StateMachine() {
    options_.directory = directory_.path();
    options_.durability = Durability::relaxed;
    reopen();
  }
  void begin_case() {
    model_ = {};
    prefix_ = "case" + std::to_string(++cases_) + ":";
  }
  void reopen() {
    storage_.reset();
    auto opened = EmbeddedStorage::open(options_);
    RC_ASSERT(opened.has_value());
    storage_ = *std::move(opened);
    renew_guard();
  }
  void renew_guard() {
    stale_ = token_;
    token_ = Token::make();
    RC_ASSERT(calls().set_guard(kAllSlots, token_).has_value());
  }
  // A write under a replaced token must change nothing: check_states() follows every step.
  void write_stale() {
    auto mutation = freshet::testing::put(key(0), "stale", stale_);
    const auto reply = calls().write(request_of({mutation}));
    RC_ASSERT(!reply.has_value());
    RC_ASSERT(reply.error().code == ErrorCode::guard_mismatch);
  }
  void write() {
    const auto chosen = *rc::gen::inRange(1, 1 << kKeys);  // A bit for each key.
    std::vector<Mutation> mutations;
    for (int number = 0; number < kKeys; ++number) {
      if ((chosen >> number & 1) == 0) continue;
      auto mutation = *any_mutation(key(number));
      // Mostly the right version or "absent"; the generator's 0 stays for absent keys.
      if (*rc::gen::inRange(0, 4) != 0) mutation.version = model_.state(mutation.key).version;
      mutation.token = token_;
      mutations.push_back(std::move(mutation));
    }
    auto request = request_of(std::move(mutations));
    request.all_or_nothing = *rc::gen::inRange(0, 3) == 0;
    const auto reply = calls().write(request);
    RC_ASSERT(reply.has_value());
    compare(request, *reply);
  }
  void forget() {
    const auto name = key(*rc::gen::inRange(0, kKeys));
    const auto known = model_.state(name);
    storage_->forget({{name, known.version}});
    renew_guard();  // Ordered behind it: when the guard is set, the forget has been done.
    if (!known.present) model_.states.erase(name);
  }
  void check_states() {
    std::vector<std::string> names;
    for (int i = 0; i < kKeys; ++i) names.push_back(key(i));
    const auto reply = calls().read(names);
    RC_ASSERT(reply.has_value());
    for (std::size_t i = 0; i < names.size(); ++i) check(model_.state(names[i]), reply->states[i]);
  }

 private:
  BlockingStorage calls() { return BlockingStorage(*storage_); }
  std::string key(int number) const { return prefix_ + std::to_string(number); }

  static void check(const ModelState& expected, const KeyState& found) {
    RC_ASSERT(found.present == expected.present);
    RC_ASSERT(found.value == expected.value);
    RC_ASSERT(found.expires_at_ms == expected.expires_at_ms);
    RC_ASSERT(found.version == expected.version);
    RC_ASSERT(found.operation == expected.operation);
    RC_ASSERT(found.kind == expected.kind);
  }
  void compare(const WriteRequest& request, const WriteReply& reply) {
    RC_ASSERT(reply.size() == request.mutations.size());
    std::vector<Model::Step> steps;
    bool all = true;
    for (const auto& mutation : request.mutations) {
      steps.push_back(model_.step(mutation));
      all = all && steps.back().applied && !steps.back().error;
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto& mutation = request.mutations[i];
      if (steps[i].error) {
        RC_ASSERT(!reply[i].has_value());
        RC_ASSERT(reply[i].error().code == *steps[i].error);
        continue;
      }
      RC_ASSERT(reply[i].has_value());
      check_before(mutation, *reply[i]);
      const bool applied = steps[i].applied && (all || !request.all_or_nothing);
      RC_ASSERT(reply[i]->applied == applied);
      if (applied) {
        RC_ASSERT(reply[i]->after.version > newest_);
        newest_ = steps[i].after.version = reply[i]->after.version;
        steps[i].after.operation = request.operation;
        model_.states[mutation.key] = steps[i].after;
      }
      check(model_.state(mutation.key), reply[i]->after);
    }
  }
  void check_before(const Mutation& mutation, const MutationOutcome& outcome) {
    RC_ASSERT(outcome.before.has_value() == mutation.want_before);
    if (!outcome.before) return;
    auto expected = model_.state(mutation.key);
    if (expected.present && expected.expires_at_ms == kPassed) {
      expected = {false, "", 0, expected.version, expected.operation};
    }
    check(expected, *outcome.before);
  }

  freshet::testing::TemporaryDirectory directory_;
  EmbeddedOptions options_;
  std::unique_ptr<EmbeddedStorage> storage_;
  Model model_;
  Token token_;
  Token stale_;
  Version newest_ = 0;
  std::string prefix_;
  int cases_ = 0;
};

TEST(EmbeddedModel, every_history_agrees_with_the_model) {
  StateMachine machine;
  EXPECT_TRUE(rc::check("every history agrees with the model", [&machine] {
    machine.begin_case();
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40));
    for (const int step : steps) {
      switch (step) {
        case 0: machine.reopen(); break;
        case 1: machine.renew_guard(); break;
        case 2: machine.write_stale(); break;
        case 3:
        case 4: machine.forget(); break;
        default: machine.write(); break;
      }
      machine.check_states();
    }
  }));
}

}  // namespace
}  // namespace freshet::storage::embedded
