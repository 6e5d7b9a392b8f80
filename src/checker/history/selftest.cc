// The corrupted and the tricky histories.
#include "checker/history/selftest.h"

#include "checker/history/history_builder.h"
#include "checker/history/linearizability.h"
#include "checker/history/value_history.h"

namespace freshet::checker {
namespace {

SelfTestCase stale_read() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(1, 20, 30, "b");
  h.get(2, 40, 50, "a");
  return {"stale read", h.take(), false, true};
}

SelfTestCase stale_after_seen() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(1, 20, 90, "b");
  h.get(2, 30, 40, "b");
  h.get(3, 50, 60, "a");
  return {"old value read after the new one was seen, its write still in flight", h.take(), false, true};
}

SelfTestCase lost_update() {
  HistoryBuilder h;
  h.increment(1, 0, 30, 1);
  h.increment(2, 10, 40, 1);
  return {"lost update", h.take(), false, false};
}

SelfTestCase lost_append() {
  HistoryBuilder h;
  h.write(Kind::append, 1, 0, 30, "x");
  h.write(Kind::append, 2, 10, 40, "y");
  h.get(3, 50, 60, "y");
  return {"lost append", h.take(), false, false};
}

SelfTestCase double_increment() {
  HistoryBuilder h;
  h.increment(1, 0, 10, 1);
  h.lost_increment(2, 20, 30);
  h.get(3, 40, 50, "3");
  return {"increment applied twice", h.take(), false, false};
}

SelfTestCase too_many_effects() {
  HistoryBuilder h;
  h.lost_increment(1, 0, 10);
  h.increment(2, 20, 30, 1);
  h.lost_increment(1, 40, 50);
  h.increment(2, 60, 70, 3);
  h.erase(2, 80, 90);
  h.get(2, 100, 110, "2");
  return {"three effects of two unknown increments", h.take(), false, false};
}

SelfTestCase resurrected_delete() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.erase(1, 20, 30);
  h.get(2, 40, 50, "a");
  return {"resurrected delete", h.take(), false, true};
}

SelfTestCase never_written() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.get(2, 20, 30, "b");
  return {"a value that nobody wrote", h.take(), false, true};
}

SelfTestCase read_of_refused() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.write(Kind::set_if_absent, 2, 20, 30, "b", Outcome::ok, false);
  h.get(3, 40, 50, "b");
  return {"a value whose write was refused", h.take(), false, true};
}

SelfTestCase version_back() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.get(2, 20, 30, "a", 7);
  h.set(1, 40, 60, "b");
  h.get(2, 70, 80, "b", 5);
  return {"version going back", h.take(), false, true};
}

SelfTestCase phantom() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(1, 20, 30, "b", Outcome::unknown);
  h.get(2, 40, 50, "b");
  h.get(3, 60, 70, "a");
  return {"an unknown write seen, then unseen", h.take(), false, true};
}

SelfTestCase flicker() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 30, "b", Outcome::unknown);
  h.get(3, 40, 50, "b");
  h.set(1, 60, 70, "c");
  h.get(3, 80, 90, "b");
  return {"1, 2, 1: a write sent again after another", h.take(), false, true};
}

SelfTestCase vanished() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.get(2, 20, 30, std::nullopt);
  return {"an acknowledged write lost", h.take(), false, true};
}

SelfTestCase double_claim() {
  HistoryBuilder h;
  h.write(Kind::set_if_absent, 1, 0, 30, "a");
  h.write(Kind::set_if_absent, 2, 10, 40, "b");
  return {"two set-if-absent that both succeed", h.take(), false, false};
}

SelfTestCase both_swap() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a").version = 3;
  h.write(Kind::compare_version, 2, 20, 50, "b").expected_version = 3;
  h.write(Kind::compare_version, 3, 30, 60, "c").expected_version = 3;
  return {"two compare-and-set on one version that both succeed", h.take(), false, false};
}

SelfTestCase lost_exchange() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.write(Kind::exchange, 2, 20, 50, "b").result = "a";
  h.write(Kind::exchange, 3, 30, 60, "c").result = "a";
  return {"two exchanges that both found the same value", h.take(), false, false};
}

SelfTestCase both_first() {
  HistoryBuilder h;
  h.set(1, 0, 30, "a").found = false;
  h.set(2, 10, 40, "b").found = false;
  return {"two sets that both found the key absent", h.take(), false, false};
}

SelfTestCase set_of_nothing() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.erase(1, 20, 30);
  h.write(Kind::set_if_present, 2, 40, 50, "b");
  return {"set-if-present after an erase", h.take(), false, false};
}

// The legal ones.

SelfTestCase overlapping_reads() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(1, 20, 100, "b");
  h.get(2, 30, 90, "b");
  h.get(3, 40, 80, "a");
  return {"reads on either side of a write in flight", h.take(), true};
}

SelfTestCase late_unknown() {
  HistoryBuilder h;
  h.set(1, 0, 10, "a");
  h.set(2, 20, 30, "b", Outcome::unknown);
  h.get(3, 40, 50, "a");
  h.set(1, 60, 70, "c");
  h.get(3, 80, 90, "c");
  h.get(3, 100, 110, "b");
  return {"an unknown write that takes effect late", h.take(), true};
}

SelfTestCase unknown_increments() {
  HistoryBuilder h;
  h.lost_increment(1, 0, 10);
  h.increment(2, 20, 30, 1);
  h.lost_increment(1, 40, 50);
  h.increment(2, 60, 70, 3);
  h.increment(2, 80, 90, 5);
  return {"unknown increments that take effect late", h.take(), true};
}

SelfTestCase concurrent_writes() {
  HistoryBuilder h;
  h.set(1, 0, 100, "a");
  h.set(2, 0, 100, "b");
  h.get(3, 10, 40, "b");
  h.get(3, 50, 110, "a");
  return {"two writes in flight, in the order of what was read", h.take(), true};
}

SelfTestCase erase_and_claim() {
  HistoryBuilder h;
  h.write(Kind::set_if_absent, 1, 0, 10, "a");
  h.erase(2, 20, 60);
  h.write(Kind::set_if_absent, 1, 30, 70, "b");
  h.get(3, 40, 80, std::nullopt);
  h.get(3, 90, 100, "b");
  return {"set-if-absent beside an erase", h.take(), true};
}

SelfTestCase exchanges_in_turn() {
  HistoryBuilder h;
  h.set(1, 0, 40, "a").found = false;
  h.write(Kind::exchange, 2, 10, 50, "b").result = "a";
  h.write(Kind::exchange, 3, 20, 60, "c").result = "b";
  h.set(2, 70, 80, "d").found = true;
  h.write(Kind::set_if_present, 3, 70, 90, "e");
  h.get(1, 100, 110, "d");
  return {"exchanges that found each other's values", h.take(), true};
}

}  // namespace

std::vector<SelfTestCase> self_test_cases() {
  return {stale_read(),       stale_after_seen(),   lost_update(),     lost_append(),       double_increment(),
          too_many_effects(), resurrected_delete(), never_written(),   read_of_refused(),   version_back(),
          phantom(),          flicker(),            vanished(),        double_claim(),      both_swap(),
          lost_exchange(),    both_first(),         set_of_nothing(),  exchanges_in_turn(),
          overlapping_reads(), late_unknown(),      unknown_increments(), concurrent_writes(), erase_and_claim()};
}

std::vector<SelfTestResult> run_self_test() {
  std::vector<SelfTestResult> results;
  for (const SelfTestCase& test : self_test_cases()) {
    SelfTestResult result{test.name, test.legal, false, true, {}};
    KeyVerdict verdict = check_key(test.history);
    result.search_agrees = verdict.verdict == (test.legal ? Verdict::legal : Verdict::violation);
    result.offending = std::move(verdict.offending);
    if (has_unique_values(test.history)) {
      const bool rejected = replay(test.history).has_value();
      result.online_agrees = test.legal ? !rejected : rejected || !test.online;
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace freshet::checker
