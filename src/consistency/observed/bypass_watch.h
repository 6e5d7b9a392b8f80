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
#include <vector>

#include "net/loop.h"
#include "storage/observed.h"

namespace freshet::consistency {

// Keys of one transaction that are remembered one by one; beyond, the whole collection counts as changed.
inline constexpr std::size_t kBypassKeysMax = 10'000;

struct BypassStats {
  bool watching = false;
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
  BypassStats stats() const;

 private:
  // Of one transaction: what it changed and had not passed.
  struct Bypass {
    storage::Xid xid = 0;
    std::vector<std::pair<storage::CollectionId, std::string>> keys;  // An empty one: the whole collection.
  };

  void on_stream_started(const storage::StreamStart& start) override;
  void on_begin(storage::Xid xid, storage::Lsn commit) override;
  void on_message(std::string_view prefix, std::string_view content) override;
  void on_change(const storage::Change& change) override;
  void on_commit(storage::Xid xid, storage::Lsn end) override;
  void on_position(storage::Lsn received) override;
  void on_stream_broken(const std::string& why) override;
  void on_described(const storage::Description& description) override;

  void add(storage::CollectionId collection, std::string key);
  void drop(const Bypass& bypass) const;
  void report(const Bypass& bypass);
  void ask_what_is_visible();
  void on_probe(const Result<storage::ProbeReply>& reply);

  net::Loop& loop_;
  const std::vector<storage::CollectionSpec> specs_;
  const Drop drop_;
  std::unique_ptr<storage::ObservedStorage> storage_;
  Bypass arriving_;
  std::set<std::string, std::less<>> passed_;     // By the transaction that arrives.
  std::vector<Bypass> held_;                      // Told, and not seen visible.
  bool asking_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::atomic<bool> watching_{false};
  std::atomic<std::uint64_t> transactions_{0};
  std::atomic<std::uint64_t> rows_{0};
};

}  // namespace freshet::consistency
