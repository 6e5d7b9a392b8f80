// `freshet check --self-test`: can the checkers fail? They are fed corrupted histories that they must reject and legal,
// tricky ones that they must accept. May use the checker room.
#pragma once

#include <string>
#include <vector>

#include "checker/history/history.h"

namespace freshet::checker {

struct SelfTestCase {
  std::string name;
  std::vector<Operation> history;
  bool legal = false;
  bool online = false;  // The value-history checker must reject it too (it never rejects a legal one).
};

std::vector<SelfTestCase> self_test_cases();

struct SelfTestResult {
  std::string name;
  bool legal = false;           // What the case is,
  bool search_agrees = false;   // and whether the linearizability checker says so,
  bool online_agrees = false;   // and the value-history checker, where it applies.
  std::vector<Operation> offending;
  bool passed() const { return search_agrees && online_agrees; }
};

std::vector<SelfTestResult> run_self_test();

}  // namespace freshet::checker
