// Grouping writes of rows, and their statements.
#include "storage/postgres/guarded/row_steps.h"

#include <algorithm>
#include <utility>

#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

using Form = RowStatement::Form;

bool are_alike(const RowWrite& left, const RowWrite& right) {
  return &left.plan() == &right.plan() && left.statement() == right.statement();
}

}  // namespace

// A write alone is a group of its own.
std::vector<RowSteps::Group> RowSteps::grouped(bool may_group) {
  std::vector<Group> groups;
  std::vector<std::size_t> open;  // Those that others may join.
  for (auto* write : writes_) {
    write->steps = {};
    const bool joins = may_group && write->may_be_grouped();
    const auto known = joins ? std::find_if(open.begin(), open.end(), [&](auto place) {
                         return are_alike(*groups[place].front(), *write);
                       })
                             : open.end();
    if (known != open.end()) {
      groups[*known].push_back(write);
      continue;
    }
    if (joins) open.push_back(groups.size());
    groups.push_back({write});
  }
  return groups;
}

void RowSteps::add(std::vector<Step>& steps, std::vector<RowWrite*> writes, bool may_group) {
  keeps_.clear();
  writes_ = std::move(writes);
  for (const auto& group : grouped(may_group)) {
    group.size() > 1 ? add_group(steps, group) : add_alone(steps, *group.front());
  }
}

void RowSteps::add_group(std::vector<Step>& steps, const Group& group) {
  const auto& first = *group.front();
  std::vector<ArrayBuilder> keys(first.plan().key_parts(), ArrayBuilder(oid::kText));
  int place = 0;
  for (auto* write : group) {
    for (std::size_t i = 0; i < write->key_parts().size(); ++i) keys[i].add(write->key_parts()[i]);
    write->steps = {steps.size(), steps.size(), {}, ++place};
  }
  Parameters parameters;
  for (auto& array : keys) parameters.add(array.take());
  for (std::size_t i = 0; i < first.cells().size(); ++i) {
    if (first.cells()[i]->kind == Cell::Kind::clear) continue;
    std::vector<std::string_view> texts;
    for (const auto* write : group) texts.push_back(write->cells()[i]->text);
    parameters.add_text(array_literal(texts));
  }
  auto statement = first.statement();
  statement.many = true;
  auto prepared = first.plan().statement(statement);
  steps.push_back({&prepared->get(), std::move(parameters)});
  keeps_.push_back(std::move(prepared));
}

void RowSteps::add_alone(std::vector<Step>& steps, RowWrite& write) {
  write.steps.first = steps.size();
  if (write.asks_for_spelling()) {
    Parameters key;
    for (const auto& text : write.key_parts()) key.add_text(text);
    steps.push_back({&write.plan().canonical_key()->get(), std::move(key)});
  }
  if (write.statement().form == Form::insert && write.plan().has_expiry()) {
    RowStatement expired;
    expired.form = Form::erase_expired;
    add_step(steps, write, expired);
  }
  write.steps.main = steps.size();
  add_step(steps, write, write.statement());
}

void RowSteps::add_step(std::vector<Step>& steps, const RowWrite& write, const RowStatement& statement) {
  auto prepared = write.plan().statement(statement);
  steps.push_back({&prepared->get(), write.parameters_of(statement)});
  keeps_.push_back(std::move(prepared));
}

void RowSteps::add_looks(std::vector<Step>& steps, bool all) {
  for (auto* write : writes_) {
    if (all ? !write->is_last_of_key() : !write->needs_look()) continue;
    write->steps.look = steps.size();
    RowStatement look;
    look.form = Form::look;
    look.if_live = write->plan().has_expiry();
    add_step(steps, *write, look);
  }
}

RowWrite* RowSteps::write_of(std::size_t step) const {
  const auto is_its = [&](const RowWrite* write) { return step >= write->steps.first && step <= write->steps.main; };
  const auto found = std::find_if(writes_.begin(), writes_.end(), is_its);
  return found == writes_.end() ? nullptr : *found;
}

bool RowSteps::is_of_group(std::size_t step) const {
  const auto* write = write_of(step);
  return write != nullptr && write->steps.place_in_group > 0;
}

bool StatementCount::is_known(const RowWrite& write) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const RowWrite* known) { return are_alike(*known, write); });
}

void StatementCount::add(const std::vector<RowWrite*>& writes) {
  for (const auto* write : writes) {
    if (!write->may_be_grouped()) {
      ++alone_;
    } else if (!is_known(*write)) {
      groups_.push_back(write);
    }
  }
}

}  // namespace freshet::storage::postgres
