// Looks things up on a thread of its own, since that takes many statements and may wait for locks; what it finds comes back
// on the loop. May use net.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "net/loop.h"
#include "storage/postgres/observed/catalog.h"

namespace freshet::storage::postgres {

// What pg_replication_slots says about the stream's slot.
struct SlotState {
  bool exists = false;
  std::string wal_status;
  std::uint64_t retained_bytes = 0;
};

// Made, used and destroyed on the loop's thread.
class CatalogWorker {
 public:
  class Observer {
   public:
    virtual void on_catalog(Result<CatalogRef> catalog) = 0;
    virtual void on_slot(const SlotState& slot) = 0;

   protected:
    ~Observer() = default;
  };

  CatalogWorker(net::Loop& loop, const ObservedOptions& options, ConnectionParameters parameters, Observer& observer);
  // Interrupts what it does; the observer hears nothing more.
  ~CatalogWorker();
  CatalogWorker(const CatalogWorker&) = delete;
  CatalogWorker& operator=(const CatalogWorker&) = delete;

  // on_catalog follows: of a look that began after this call.
  void look();
  // The same of other collections.
  void look_at(std::vector<CollectionSpec> specs);
  // on_slot follows, if the database can be asked.
  void look_at_slot();

 private:
  void main();
  void look_now();
  void look_at_slot_now();

  net::Loop& loop_;
  ObservedOptions options_;                  // The thread's, as is the session.
  Interrupt interrupt_;
  CatalogSession session_;                   // The thread's.
  std::shared_ptr<Observer*> observer_;      // The loop's; null once this is destroyed.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<std::vector<CollectionSpec>> specs_wanted_;  // Others than those of the options.
  std::uint64_t revision_wanted_ = 0;
  std::uint64_t revision_ = 0;               // The thread's: of the options' collections.
  bool look_wanted_ = false;
  bool slot_wanted_ = false;
  std::thread thread_;
};

}  // namespace freshet::storage::postgres
