// A write of several statements: the statements of its transaction, in order, and what their answers mean.
// Whether a row is there decides between UPDATE and INSERT; a guess that was wrong is made again, as a transaction of its
// own. Updates of the same columns of several rows of one table are one statement.
//
// Made on any thread, everything else on the storage's loop. May use storage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/postgres/connection.h"
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
  // Of writes of one row each that have nothing to do with each other, and travel together: see take_each(). Every one of
  // them has been made a transaction of its own before. `request`: all of their mutations.
  static std::unique_ptr<WriteTransaction> make_merged(const WriteRequest& request, const RowPlans& plans);
  // Whether it may be one of those: nothing that it sets off can touch another's row.
  bool is_one_row() const {
    return parts_.size() == 1 && request_.mutations.size() == 1 && request_.also.empty() && !look_after_;
  }
  // And is the same update, of another row.
  bool is_alike(const WriteTransaction& other) const;

  std::vector<Step> steps(const PostgresOptions& options);

  // The answers of all steps: the reply, or nothing if it is to be sent again.
  std::optional<Result<WriteReply>> take(const Reply& reply);
  // Of a merged one: each write's, in the request's order; nothing for those whose guess was wrong.
  std::vector<std::optional<Result<MutationOutcome>>> take_each(const Reply& reply);
  // The error of a step, of a transaction that was rolled back: what to tell; nothing if it is to be sent again. An outer
  // nothing: the error is none that rows explain.
  struct Refusal {
    std::optional<Result<WriteReply>> tell;
  };
  std::optional<Refusal> take_error(const Reply& reply);

 private:
  // A mutation of a row.
  struct Part {
    std::size_t place = 0;                 // In the request.
    const RowPlan* plan = nullptr;
    std::vector<std::string> key;          // Its parts.
    bool plainly_canonical = false;
    std::vector<const Cell*> cells;        // Those that are written,
    std::vector<std::size_t> columns;      // and their columns in the plan.
    bool expects_row = true;
    // Places of its statements in the transaction.
    std::size_t first_step = 0;
    std::size_t main_step = 0;
    std::optional<std::size_t> look_step;
    RowStatement statement;                // Of the attempt under way, the main one.
    std::optional<std::size_t> group;
    int place_in_group = 0;
  };
  // Rows of one table that are updated by one statement.
  using Group = std::vector<Part*>;

  explicit WriteTransaction(const WriteRequest& request) : request_(request) {}
  std::optional<Error> add(std::size_t place, const RowPlan& plan);
  std::optional<Error> add_cells(Part& part);
  const Mutation& mutation_of(const Part& part) const { return request_.mutations[part.place]; }
  bool inserts(const Part& part) const;
  bool needs_look(const Part& part) const;
  bool is_last_of_key(const Part& part) const;
  // Whether the row is there, as an unconditional mutation needs it: a guess that can be wrong.
  bool guesses(const Part& part) const;
  WriteReply decode_pairs(const PGresult* rows) const;
  RowStatement main_statement(const Part& part) const;
  void add_pass(std::vector<Step>& steps, const PostgresOptions& options) const;
  // Tells whoever follows the tables' changes that these have passed.
  void add_told(std::vector<Step>& steps) const;
  bool may_group(const Part& part, const RowStatement& statement) const;
  void make_groups();
  void add_group(std::vector<Step>& steps, const Group& group);
  void add_step(std::vector<Step>& steps, const Part& part, const RowStatement& statement);
  void add_part(std::vector<Step>& steps, Part& part);
  Parameters parameters_of(const Part& part, const RowStatement& statement) const;
  // Nothing: the guess was wrong.
  std::optional<Result<MutationOutcome>> outcome_of(Part& part, const Reply& reply) const;
  Part* part_of(std::size_t step);
  bool is_of_group(std::size_t step) const;
  Error swallowed(const Part& part) const;
  Error explain(const Part* part, const SqlError& error) const;
  WriteReply nothing_applied() const;

  const WriteRequest& request_;
  WriteRequest pairs_;                     // The key-value mutations among them,
  std::vector<std::size_t> pair_places_;   // and their places;
  bool are_plain_puts_ = false;            // all of them, unconditional.
  std::size_t pairs_step_ = 0;
  std::vector<Part> parts_;                // In ascending order of the keys.
  std::vector<Group> groups_;              // Of the attempt under way.
  bool grouped_ = true;                    // False once a group has failed: each row's statement tells of itself.
  std::vector<StatementRef> keeps_;        // Statements of the attempt under way.
  int attempts_ = 0;
  bool merged_ = false;
  // Something may run after one of the statements, and change any row whose key has passed.
  bool look_after_ = false;
};

}  // namespace freshet::storage::postgres
