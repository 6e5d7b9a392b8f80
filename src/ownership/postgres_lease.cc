// PostgresLease: checks its options, and hands the rest to its thread.
#include "ownership/postgres_lease.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "base/random.h"
#include "ownership/lease_keeper.h"
#include "storage/postgres/statements.h"

namespace freshet::ownership {
namespace {

std::string made_holder() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format("{}/{}/{}", host.data(), getpid(), base::UniqueId::make().to_text());
}

}  // namespace

Result<std::unique_ptr<PostgresLease>> PostgresLease::open(const PostgresLeaseOptions& options) {
  if (options.lease < kLeaseMin || options.lease > kLeaseMax) {
    return Error::of(ErrorCode::invalid_argument,
                     fmt::format("a lease of {} ms: {} to {} ms are possible", options.lease / base::kMillisecond,
                                 kLeaseMin / base::kMillisecond, kLeaseMax / base::kMillisecond));
  }
  auto parameters = storage::postgres::connection_parameters(
      options.url, storage::postgres::application_name(options.fleet, "lease"));
  if (!parameters) return parameters.error();
  PostgresLeaseOptions complete = options;
  if (complete.renewal_interval <= 0) complete.renewal_interval = options.lease / 4;
  if (complete.holder.empty()) complete.holder = made_holder();
  return std::unique_ptr<PostgresLease>(
      new PostgresLease(std::make_unique<Keeper>(std::move(complete), std::move(*parameters))));
}

PostgresLease::PostgresLease(std::unique_ptr<Keeper> keeper) : keeper_(std::move(keeper)) {}
PostgresLease::~PostgresLease() = default;

void PostgresLease::listen(AssignmentListener listener) { keeper_->listen(std::move(listener)); }
void PostgresLease::release() { keeper_->release(); }
OwnershipStatus PostgresLease::status() const { return keeper_->status(); }

}  // namespace freshet::ownership
