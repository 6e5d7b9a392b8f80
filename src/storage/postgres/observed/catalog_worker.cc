// The thread, and how its results reach the loop.
#include "storage/postgres/observed/catalog_worker.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace freshet::storage::postgres {
namespace {

constexpr const char* kSlotSql =
    "SELECT coalesce(wal_status, 'lost'), coalesce(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn), 0)::int8 "
    "FROM pg_replication_slots WHERE slot_name = $1";

std::string catalog_session_sql(const ObservedOptions& options) {
  return fmt::format("SELECT {}, set_config('lock_timeout', '{}', false), set_config('statement_timeout', '{}', false)",
                     output_settings_sql(), options.lock_timeout / base::kMillisecond,
                     options.statement_timeout / base::kMillisecond);
}

}  // namespace

CatalogWorker::CatalogWorker(net::Loop& loop, const ObservedOptions& options, ConnectionParameters parameters,
                             Observer& observer)
    : loop_(loop), options_(options),
      session_(std::move(parameters), interrupt_, options.connect_timeout, options.statement_timeout),
      observer_(std::make_shared<Observer*>(&observer)) {
  thread_ = std::thread([this] { main(); });
}

CatalogWorker::~CatalogWorker() {
  *observer_ = nullptr;
  interrupt_.raise();
  {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  thread_.join();
}

void CatalogWorker::look() {
  const std::lock_guard lock(mutex_);
  look_wanted_ = true;
  wake_.notify_all();
}

void CatalogWorker::look_at(std::vector<CollectionSpec> specs) {
  const std::lock_guard lock(mutex_);
  specs_wanted_ = std::move(specs);
  ++revision_wanted_;
  look_wanted_ = true;
  wake_.notify_all();
}

void CatalogWorker::look_at_slot() {
  const std::lock_guard lock(mutex_);
  slot_wanted_ = true;
  wake_.notify_all();
}

void CatalogWorker::main() {
  while (true) {
    bool look = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return interrupt_.is_raised() || look_wanted_ || slot_wanted_; });
      if (interrupt_.is_raised()) return;
      look = std::exchange(look_wanted_, false);
      if (!look) slot_wanted_ = false;
      if (specs_wanted_) options_.specs = *std::exchange(specs_wanted_, std::nullopt);
      revision_ = revision_wanted_;
    }
    look ? look_now() : look_at_slot_now();
  }
}

void CatalogWorker::look_now() {
  auto result = std::make_shared<Result<CatalogRef>>(CatalogRef());
  if (auto connected = session_.ensure_connected(catalog_session_sql(options_)); !connected) {
    *result = connected.error();
  } else {
    *result = read_catalog(session_, options_, revision_);
  }
  // An error may have left a transaction open, or the connection half dead.
  if (!*result) session_.disconnect();
  loop_.post([observer = observer_, result] {
    if (*observer != nullptr) (*observer)->on_catalog(std::move(*result));
  });
}

void CatalogWorker::look_at_slot_now() {
  if (!session_.ensure_connected(catalog_session_sql(options_))) return;
  const auto found = session_.run(kSlotSql, {options_.slot});
  if (!found.ok()) return;
  SlotState slot;
  slot.exists = PQntuples(found.rows.get()) > 0;
  slot.wal_status = found.value(0);
  slot.retained_bytes = std::strtoull(found.value(1).c_str(), nullptr, 10);
  loop_.post([observer = observer_, slot] {
    if (*observer != nullptr) (*observer)->on_slot(slot);
  });
}

}  // namespace freshet::storage::postgres
