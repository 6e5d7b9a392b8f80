// The working parts of PostgresObservedStorage, put together. On the loop's thread. May use net and storage.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/postgres/deadlines.h"
#include "storage/postgres/observed/catalog_worker.h"
#include "storage/postgres/observed/change_mapper.h"
#include "storage/postgres/observed/fill.h"
#include "storage/postgres/observed/postgres_observed_storage.h"
#include "storage/postgres/observed/prober.h"
#include "storage/postgres/observed/session_lane.h"
#include "storage/postgres/stream/replication_stream.h"

namespace freshet::storage::postgres {

class PostgresObservedStorage::Core final : public StreamHandler, public CatalogWorker::Observer {
 public:
  Core(const ObservedOptions& options, const ConnectionParameters& parameters, net::Loop& loop);
  ~Core();

  void follow(StreamListener& listener);
  void confirm(Lsn position);
  void reload();
  void describe(std::vector<CollectionSpec> specs);
  void probe(base::Nanoseconds deadline, Callback<ProbeReply> done);
  void nudge();
  void fill(CollectionKeys keys, base::Nanoseconds deadline, Callback<FillReply> done);
  void position(base::Nanoseconds deadline, Callback<std::pair<Identity, Lsn>> done);
  bool probes_insert_position() const { return catalog_ != nullptr && catalog_->insert_position; }
  StreamStatus status() const;

 private:
  void on_catalog(Result<CatalogRef> catalog) override;
  void on_slot(const SlotState& slot) override;
  void on_started(const Started& started) override;
  void on_message(const pgoutput::Message& message) override;
  void on_position(Lsn received) override;
  void on_stream_broken(const std::string& why) override;
  void on_start_failed(const std::string& why) override;

  void look_after(base::Nanoseconds delay);
  void take_catalog(CatalogRef catalog);
  void start_stream();
  void start_anew_if_due();
  void watch_slot();

  const ObservedOptions options_;
  const ConnectionParameters parameters_;
  net::Loop& loop_;
  const std::shared_ptr<History> history_;
  Deadlines deadlines_;
  std::unique_ptr<SessionLane> probes_;
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<SessionLane> nudges_;
  std::unique_ptr<SessionLane> fills_;
  const StatementRef nudge_statement_;
  const StatementRef position_statement_;
  const StatementRef flushed_statement_;

  StreamListener* listener_ = nullptr;
  CatalogRef catalog_;
  std::unique_ptr<CatalogWorker> worker_;
  net::Timer look_timer_;
  net::Timer slot_timer_;
  int failed_looks_ = 0;
  std::string catalog_detail_;     // Why there is no description, or the last was refused.

  std::unique_ptr<ReplicationStream> stream_;
  ChangeMapper mapper_;
  Identity identity_;              // Of the stream, while it runs.
  bool streaming_ = false;
  std::string start_failure_;      // The last one that was logged.
  Xid transaction_ = 0;            // The one that is being told; 0: none.
  bool start_anew_ = false;        // What is published has changed: the listener must begin anew, at the next commit.
  bool nudging_ = false;
  bool slot_is_full_ = false;      // At the last look.
};

}  // namespace freshet::storage::postgres
