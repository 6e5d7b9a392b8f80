// The statements on the rows of one transaction, in ascending order of the keys. Like updates of several rows of one table
// are one statement over arrays. On the storage's loop. May use storage.
#pragma once

#include <cstddef>
#include <vector>

#include "storage/postgres/guarded/row_write.h"

namespace freshet::storage::postgres {

class RowSteps {
 public:
  // Begins an attempt: adds the statements of `writes`, which outlive it. Not `may_group`: each row's statement tells of
  // itself.
  void add(std::vector<Step>& steps, std::vector<RowWrite*> writes, bool may_group);
  // Then looks at the rows whose statements do not say what they hold; or at `all`.
  void add_looks(std::vector<Step>& steps, bool all);

  // The write that a step is of; null: no row's.
  RowWrite* write_of(std::size_t step) const;
  bool is_of_group(std::size_t step) const;

 private:
  using Group = std::vector<RowWrite*>;

  std::vector<Group> grouped(bool may_group);
  void add_group(std::vector<Step>& steps, const Group& group);
  void add_alone(std::vector<Step>& steps, RowWrite& write);
  void add_step(std::vector<Step>& steps, const RowWrite& write, const RowStatement& statement);

  std::vector<RowWrite*> writes_;
  std::vector<StatementRef> keeps_;  // A plan may forget a statement while it is under way.
};

// How many statements some writes are, counted as they come.
class StatementCount {
 public:
  void add(const std::vector<RowWrite*>& writes);
  std::size_t count() const { return groups_.size() + alone_; }

 private:
  bool is_known(const RowWrite& write) const;

  std::vector<const RowWrite*> groups_;  // One write of each.
  std::size_t alone_ = 0;
};

}  // namespace freshet::storage::postgres
