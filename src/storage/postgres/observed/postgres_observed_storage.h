// The observed storage over PostgreSQL: one primary, whose change stream, snapshots and catalog it reads. DESIGN's section 4
// says why each is as it is.
//
// Connections: one for probes, one for nudges and positions (neither waits behind fills), a few for fills, one for the
// catalog on a thread of its own, and the change stream's. May use net and storage.
#pragma once

#include <memory>

#include "net/loop.h"
#include "storage/observed.h"
#include "storage/postgres/catalog/options.h"

namespace freshet::storage::postgres {

class PostgresObservedStorage final : public ObservedStorage {
 public:
  // On the loop's thread. Connects in the background; errors: what is wrong with the options.
  static Result<std::unique_ptr<PostgresObservedStorage>> open(const ObservedOptions& options, net::Loop& loop);
  // What is wrong with the options, if anything.
  static Result<void> check(const ObservedOptions& options);
  ~PostgresObservedStorage() override;

  void follow(StreamListener& listener) override;
  void confirm(Lsn position) override;
  void reload() override;
  void describe(std::vector<CollectionSpec> specs) override;
  void probe(base::Nanoseconds deadline, Callback<ProbeReply> done) override;
  void nudge() override;
  void fill(CollectionId collection, std::vector<std::string> keys, base::Nanoseconds deadline,
            Callback<FillReply> done) override;
  void fill_together(std::vector<std::pair<CollectionId, std::string>> keys, base::Nanoseconds deadline,
                     Callback<FillReply> done) override;
  void position(base::Nanoseconds deadline, Callback<std::pair<Identity, Lsn>> done) override;
  bool probes_insert_position() const override;
  StreamStatus status() const override;

 private:
  class Core;
  PostgresObservedStorage(std::unique_ptr<Core> core, net::Loop& loop);

  std::unique_ptr<Core> core_;
  net::Loop& loop_;
};

}  // namespace freshet::storage::postgres
