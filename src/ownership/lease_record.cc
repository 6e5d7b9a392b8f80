// SQL and codec of the lease's record.
#include "ownership/lease_record.h"

namespace freshet::ownership {

using storage::postgres::bool_at;
using storage::postgres::bytes_at;
using storage::postgres::encoded;
using storage::postgres::int8_at;
using storage::postgres::is_null;
namespace oid = storage::postgres::oid;

const storage::postgres::Statement kReadLease{
    "read_lease",
    "SELECT false, l.holder, l.period, l.counter, l.lease_ms, i.system, i.timeline, i.started_at "
    "FROM freshet.identity() i LEFT JOIN freshet.lease l ON l.fleet = $1",
    {oid::kText}};
const storage::postgres::Statement kSwapLease{
    "swap_lease",
    "SELECT swapped, holder, period, counter, lease_ms, system, timeline, started_at "
    "FROM freshet.swap_lease($1, $2, $3, $4, $5, $6, $7, $8)",
    {oid::kText, oid::kText, oid::kInt8, oid::kInt8, oid::kText, oid::kInt8, oid::kInt8, oid::kInt8}};

storage::postgres::Parameters read_parameters(const std::string& fleet) {
  storage::postgres::Parameters parameters;
  parameters.add(fleet);
  return parameters;
}

storage::postgres::Parameters swap_parameters(const std::string& fleet, const std::optional<LeaseRecord>& seen,
                                              const LeaseRecord& next) {
  storage::postgres::Parameters parameters;
  parameters.add(fleet);
  if (seen) {
    parameters.add(seen->holder)
        .add(encoded(static_cast<std::int64_t>(seen->period)))
        .add(encoded(static_cast<std::int64_t>(seen->counter)));
  } else {
    parameters.add_null().add_null().add_null();
  }
  parameters.add(next.holder)
      .add(encoded(static_cast<std::int64_t>(next.period)))
      .add(encoded(static_cast<std::int64_t>(next.counter)))
      .add(encoded(next.lease_ms));
  return parameters;
}

LeaseAnswer lease_answer_of(const PGresult* rows) {
  LeaseAnswer answer;
  answer.swapped = bool_at(rows, 0, 0);
  if (!is_null(rows, 0, 1)) {
    answer.record = LeaseRecord{std::string(bytes_at(rows, 0, 1)), static_cast<std::uint64_t>(int8_at(rows, 0, 2)),
                                static_cast<std::uint64_t>(int8_at(rows, 0, 3)), int8_at(rows, 0, 4)};
  }
  const auto text = [&](int column) { return std::string(bytes_at(rows, 0, column)); };
  answer.identity = {text(5), text(6), text(7)};
  return answer;
}

}  // namespace freshet::ownership
