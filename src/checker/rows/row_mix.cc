// Drawing and recording operations on rows.
#include "checker/rows/row_mix.h"

#include <fmt/format.h>

#include <algorithm>

#include "checker/rows/row_table.h"

namespace freshet::checker {
namespace {

// Keys of one transaction, at most.
constexpr std::uint64_t kKeysTogetherMax = 3;
constexpr std::int64_t kDeltaMax = 3;

}  // namespace

Part RowMix::draw(Via via, std::uint64_t reads_percent) {
  // The product of two even draws: the first keys get most of the operations.
  const auto size = static_cast<std::uint64_t>(load_.keys.size());
  return draw_at(static_cast<int>(random_.below(size) * random_.below(size) / size), via, reads_percent);
}

std::vector<Part> RowMix::draw_several(Via via, std::uint64_t reads_percent) {
  std::vector<Part> parts;
  const auto size = static_cast<std::uint64_t>(load_.keys.size());
  const std::uint64_t count = 1 + random_.below(std::min(kKeysTogetherMax, size));
  const std::uint64_t first = random_.below(size);
  for (std::uint64_t step = 0; step < count; ++step) {
    parts.push_back(draw_at(static_cast<int>((first + step) % size), via, reads_percent));
  }
  std::ranges::sort(parts, {}, [](const Part& part) { return part.key->name(); });
  return parts;
}

Part RowMix::draw_at(int slot, Via via, std::uint64_t reads_percent) {
  Part part;
  part.key = load_.keys.take(slot);
  part.rows = rows_of(*part.key);
  part.manner.column = column_of(part.key->family());
  part.operation.client = client_;
  part.operation.key = part.key->name();
  part.operation.via = via;
  chance_percent(reads_percent) ? draw_read(part) : draw_write(part);
  return part;
}

void RowMix::draw_read(Part& part) {
  static constexpr Form kForms[] = {Form::reading, Form::reading, Form::field, Form::fields, Form::object};
  const Via via = part.operation.via;
  part.manner.form = kForms[random_.below(std::size(kForms))];
  // What two commands read is not of one moment: one row of a pair stands for it.
  if (part.rows.size() > 1 && via == Via::command) part.rows = {part.rows[random_.below(part.rows.size())]};
  if (via == Via::command || via == Via::transaction) part.operation.slack_ns = load_.slack_ns;
}

void RowMix::draw_write(Part& part) {
  Operation& operation = part.operation;
  const Family family = part.key->family();
  if (family == Family::pair && operation.via == Via::command) operation.via = Via::transaction;
  operation.kind = draw_kind(family, operation.via);
  const bool as_field = random_.below(2) == 0;
  part.manner.form = as_field ? Form::field : Form::object;
  // One command for it there is of objects only: SET … GET.
  if (operation.kind == Kind::exchange && operation.via == Via::command) part.manner.form = Form::object;
  if (operation.kind == Kind::increment) {
    operation.delta = 1 + static_cast<std::int64_t>(random_.below(kDeltaMax));
  } else if (operation.kind != Kind::erase) {
    operation.argument = fmt::format("c{}-{}", client_, ++values_made_);
  }
}

Kind RowMix::draw_kind(Family family, Via via) {
  static constexpr Kind kKinds[] = {Kind::set,   Kind::set,           Kind::set,           Kind::set,
                                    Kind::erase, Kind::set_if_absent, Kind::set_if_present, Kind::exchange};
  if (family == Family::counter) return random_.below(8) == 0 && via != Via::forbidden_sql ? Kind::erase : Kind::increment;
  const Kind kind = kKinds[random_.below(std::size(kKinds))];
  // Conditions on two rows at once need writers that keep each other out: by SQL alone they would not hold for both.
  if (family == Family::pair && (via == Via::passed_sql || via == Via::forbidden_sql)) return Kind::set;
  // Reading before writing needs the same.
  const bool alone = via == Via::transaction || via == Via::guarded_sql || (via == Via::command && load_.together());
  return kind == Kind::exchange && !alone ? Kind::set : kind;
}

void RowMix::begin(std::vector<Part>& parts) {
  for (Part& part : parts) part.key->begin(part.operation);
}

void RowMix::finish(std::vector<Part>& parts, base::Nanoseconds returned_ns) {
  for (Part& part : parts) {
    Operation& operation = part.operation;
    operation.returned_ns = returned_ns;
    if (!load_.together()) operation.found.reset();
    const bool done = operation.outcome == Outcome::ok;
    if (done && is_read(operation) && part.rows.size() > 1) load_.tally.count(RowEvent::pair_reads);
    load_.findings.count_operations(1);
    if (const auto violation = part.key->end(std::move(operation))) {
      load_.findings.report(violation->reason + '\n' + render_timeline(violation->offending));
    }
  }
}

void RowMix::finish_all(std::vector<Part>& parts, Outcome writes) {
  for (Part& part : parts) part.operation.outcome = is_read(part.operation) ? Outcome::failed : writes;
  finish(parts, base::now());
}

void RowMix::note(const Fit& fit, Part& part) {
  Operation& operation = part.operation;
  if (!fit.fits) load_.findings.count_error("MISFIT the answer to: " + describe(operation));
  if (fit.torn.empty()) return;
  load_.findings.report(fmt::format("rows that only change together were not of one moment\nkey '{}'\n  {}\n", operation.key,
                                    fit.torn));
  operation.outcome = is_read(operation) ? Outcome::failed : Outcome::unknown;
}

}  // namespace freshet::checker
