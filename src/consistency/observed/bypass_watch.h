// Guarded tables that are also followed: the watch hears every change that commits there, and knows by the messages of the
// transactions (storage/passed_keys.h) which of them passed the guard. One that did not got past Freshet: an unsealed
// table's other writer, a superuser who disabled the seal. It is told, and what it touched is to be dropped: when the stream
// tells it, and again once it is visible, since a read in between may have brought the old row back.
//
// It detects and repairs, it does not prevent: until then hits show the row as it was. Reads and writes of guarded rows
// never wait for it.
//
// May use storage and the loop. One thread, the loop's; stats() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "consistency/observed/spec_list.h"
#include "net/loop.h"
#include "storage/observed.h"

namespace freshet::consistency {

// Keys that are remembered one by one, of one transaction and of all that are not visible yet; beyond, the whole collection
// counts as changed.
inline constexpr std::size_t kBypassKeysMax = 10'000;
// How often the watch asks whether what it watches is still what was described.
inline constexpr base::Nanoseconds kBypassLookPeriod = base::kSecond;

struct BypassStats {
  bool watching = false;            // Every one of the tables.
  std::uint64_t transactions = 0;   // That got past, at least in part;
  std::uint64_t rows = 0;           // and the rows that they changed there (of a whole collection: one).
};

class BypassWatch final : private storage::StreamListener {
 public:
  using MakeStorage = std::function<std::unique_ptr<storage::ObservedStorage>(net::Loop&)>;
  // What is to be dropped: a key, or (empty) all keys of the collection.
  using Drop = std::function<void(const std::string& collection, const std::string& key)>;

  BypassWatch(net::Loop& loop, const MakeStorage& make_storage, std::vector<storage::CollectionSpec> specs, Drop drop);
  // stop() came before, and the loop runs still.
  ~BypassWatch() = default;
  void stop();
  // Watches these and no others from now on. Blocks shortly.
  void watch(const std::vector<storage::CollectionSpec>& specs);
  BypassStats stats() const;

 private:
  // What a transaction, or several, changed without having passed.
  struct Bypass {
    std::vector<storage::Xid> xids;
    std::set<std::pair<storage::CollectionId, std::string>> keys;
    std::set<storage::CollectionId> whole;       // Any key of these.
    std::uint64_t rows = 0;
    bool empty() const { return rows == 0; }
  };

  void on_stream_started(const storage::StreamStart& start) override;
  void on_begin(storage::Xid xid, storage::Lsn commit) override;
  void on_message(std::string_view prefix, std::string_view content) override;
  void on_change(const storage::Change& change) override;
  void on_commit(storage::Xid xid, storage::Lsn end) override;
  void on_position(storage::Lsn received) override;
  void on_stream_broken(const std::string& why) override;
  void on_described(const storage::Description& description) override;

  void add(storage::CollectionId collection, std::string_view key);
  void drop(const Bypass& bypass) const;
  void drop_all() const;
  void report(const Bypass& bypass);
  void hold(Bypass bypass);
  void doubt_everything();
  void note_watching();
  void look_again();
  void ask_what_is_visible();
  void on_probe(const Result<storage::ProbeReply>& reply);

  net::Loop& loop_;
  SpecList specs_;
  std::vector<bool> watched_;                     // Of `specs_`.
  const Drop drop_;
  std::unique_ptr<storage::ObservedStorage> storage_;
  Bypass arriving_;
  std::set<std::string, std::less<>> passed_;     // By the transaction that arrives.
  std::vector<Bypass> held_;                      // Told, and not seen visible.
  std::size_t held_keys_ = 0;
  // Transactions below it may have changed something that the stream does not tell, until they have all ended. 0: none.
  storage::FullXid untold_below_ = 0;
  storage::Fingerprint fingerprint_;
  bool streaming_ = false;
  bool faulty_ = false;
  bool asking_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::atomic<bool> watching_{false};
  std::atomic<std::uint64_t> transactions_{0};
  std::atomic<std::uint64_t> rows_{0};
};

}  // namespace freshet::consistency
