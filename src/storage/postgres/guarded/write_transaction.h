// A write of several statements: the statements of its transaction, in order, and what their answers mean. And several such
// writes that travel together, as one transaction.
//
// Made on any thread, everything else on the storage's loop. May use storage.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/postgres/guarded/row_steps.h"
#include "storage/postgres/options.h"
#include "storage/postgres/rows/row_plan.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// Times that a write is sent because rows came and went while it was under way.
inline constexpr int kRowAttemptsMax = 16;
// From this attempt on the row is looked at, too: a trigger may swallow what is written to it.
inline constexpr int kLookFromAttempt = 3;
// How long writes that travel together wait for a lock; then each travels alone.
inline constexpr std::int32_t kMergedWaitMs = 200;

class WriteTransaction {
 public:
  // `request` outlives it. Errors: invalid_argument, wrong_type, unsupported: what is wrong with a mutation.
  static Result<std::unique_ptr<WriteTransaction>> make(const WriteRequest& request, const RowPlans& plans);
  // Whether it may travel with others: nothing that it sets off can touch another's row, and its ordinary answers do not
  // take them back.
  bool may_travel() const { return may_travel_; }

  const WriteRequest& request() const { return request_; }
  // In ascending order of the keys.
  std::vector<RowWrite*> rows();

  std::vector<Step> steps(const PostgresOptions& options);

  // The answers of all steps: the reply, or nothing if it is to be sent again.
  std::optional<Result<WriteReply>> take(const Reply& reply);
  // The error of a step, of a transaction that was rolled back: what to tell; nothing if it is to be sent again. An outer
  // nothing: the error is none that rows explain.
  struct Refusal {
    std::optional<Result<WriteReply>> tell;
  };
  std::optional<Refusal> take_error(const Reply& reply);

 private:
  explicit WriteTransaction(const WriteRequest& request) : request_(request) {}
  void sort_keys();
  bool find_whether_it_may_travel() const;
  void add_pairs(std::vector<Step>& steps, const PostgresOptions& options);
  WriteReply decode_pairs(const PGresult* rows) const;
  Error swallowed(const RowWrite& write) const;
  Error explain(const RowWrite* write, const SqlError& error) const;
  WriteReply nothing_applied() const;

  const WriteRequest& request_;
  WriteRequest pairs_;                     // The key-value mutations among them,
  std::vector<std::size_t> pair_places_;   // and their places;
  bool are_plain_puts_ = false;            // all of them, unconditional.
  std::size_t pairs_step_ = 0;
  std::vector<RowWrite> rows_;             // In ascending order of the keys.
  RowSteps row_steps_;
  bool may_group_ = true;                  // False once a group has failed: each row's statement tells of itself.
  int attempts_ = 0;
  bool may_travel_ = false;
  // Something may run after one of the statements, and change any row whose key has passed.
  bool look_after_ = false;
};

// Writes that travel together. All of them are applied, and can be seen, at one moment, or none is. Each then takes its own
// answer from the reply. What the server refuses it refuses for all: none has happened, and each may be sent again alone.
class MergedTransactions {
 public:
  // Of those that may travel, with no key of one among the written ones of another. They outlive it.
  explicit MergedTransactions(std::vector<WriteTransaction*> transactions) : transactions_(std::move(transactions)) {}
  std::vector<Step> steps(const PostgresOptions& options);

 private:
  std::vector<WriteTransaction*> transactions_;
  RowSteps row_steps_;
};

}  // namespace freshet::storage::postgres
