// A mutation of one row as part of a transaction: checked against its table, the statement that makes it, and what the
// statement's answer means. Whether the row is there decides between UPDATE and INSERT: a guess that was wrong is turned,
// and the statement is another one then.
//
// Made on any thread, everything else on the storage's loop. May use storage.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/postgres/rows/row_plan.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

class RowWrite {
 public:
  // `request` and `plan` outlive it. Errors: invalid_argument, wrong_type, unsupported: what is wrong with the mutation.
  static Result<RowWrite> make(const WriteRequest& request, std::size_t place, const RowPlan& plan);

  const Mutation& mutation() const { return request_->mutations[place_]; }
  const std::string& key() const { return mutation().key; }
  std::size_t place() const { return place_; }  // In its request.
  const RowPlan& plan() const { return *plan_; }
  const std::vector<std::string>& key_parts() const { return key_parts_; }
  const std::vector<const Cell*>& cells() const { return cells_; }  // Those that are written.
  // Says how it stands among the writes of its request, in ascending order of the keys.
  void set_place_among(bool is_first_of_key, bool is_last_of_key);

  // Whether the row is there, as an unconditional mutation needs it: a guess that can be wrong.
  bool guesses() const;
  bool is_sure() const { return mutation().was_present.has_value(); }
  void turn_guess();

  // The main one of its statements, as long as the guess stands.
  const RowStatement& statement() const { return statement_; }
  Parameters parameters_of(const RowStatement& statement) const;
  // The server must be asked first whether the key is spelt canonically.
  bool asks_for_spelling() const { return !plainly_canonical_; }
  // The unconditional update of a row's columns, where nothing runs that could tell one statement from several.
  bool may_be_grouped() const;
  // Its own answer does not say what the table finally holds, or why nothing was done.
  bool needs_look() const;
  bool is_first_of_key() const { return is_first_of_key_; }
  bool is_last_of_key() const { return is_last_of_key_; }

  // Where its answers stand, of the attempt under way.
  struct Steps {
    std::size_t first = 0;
    std::size_t main = 0;
    std::optional<std::size_t> look = {};
    int place_in_group = 0;              // From 1; 0: the main step is its alone.
  };
  Steps steps;

  // Nothing: the guess was wrong, and has been turned. `looked_after`: the look counts, whatever the main statement says.
  std::optional<Result<MutationOutcome>> outcome_of(const Reply& reply, bool looked_after);
  // An error of one of its statements; of which column, as far as PostgreSQL tells.
  Error explain(const SqlError& error) const;

 private:
  RowWrite(const WriteRequest& request, std::size_t place, const RowPlan& plan)
      : request_(&request), place_(place), plan_(&plan) {}
  std::optional<Error> add_cells();
  std::optional<Error> fault() const;
  bool inserts() const;
  RowStatement main_statement() const;
  void add_defaults(RowStatement& statement) const;
  std::string columns_named_by(const SqlError& error) const;

  const WriteRequest* request_;
  std::size_t place_;
  const RowPlan* plan_;
  std::vector<std::string> key_parts_;
  bool plainly_canonical_ = false;
  std::vector<const Cell*> cells_;       // Those that are written,
  std::vector<std::size_t> columns_;     // and their columns in the plan.
  bool expects_row_ = true;
  bool is_first_of_key_ = true;
  bool is_last_of_key_ = true;
  RowStatement statement_;
};

}  // namespace freshet::storage::postgres
