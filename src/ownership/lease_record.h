// The lease's record in PostgreSQL: reading it and replacing it by compare-and-set, and which server answered.
// May use storage/postgres.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "storage/postgres/connection.h"
#include "storage/storage.h"

namespace freshet::ownership {

struct LeaseRecord {
  std::string holder;  // Empty: released.
  std::uint64_t period = 0;
  std::uint64_t counter = 0;
  std::int64_t lease_ms = 0;  // How long its holder counts from sending a renewal.
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

// What one statement on the record said.
struct LeaseAnswer {
  bool swapped = false;
  std::optional<LeaseRecord> record;  // As it is now.
  storage::Identity identity;
};

// $1 fleet.
extern const storage::postgres::Statement kReadLease;
// fleet, the record seen (holder, period, counter; NULLs: none), the new one (and lease_ms).
extern const storage::postgres::Statement kSwapLease;

storage::postgres::Parameters read_parameters(const std::string& fleet);
storage::postgres::Parameters swap_parameters(const std::string& fleet, const std::optional<LeaseRecord>& seen,
                                              const LeaseRecord& next);
LeaseAnswer lease_answer_of(const PGresult* rows);

}  // namespace freshet::ownership
