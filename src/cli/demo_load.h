// The demo's load: clients that write and read through Freshet at full speed, one that reads each key through Freshet and
// then by SQL, and the online checker behind each of their answers. May use checker and client.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "checker/value_history.h"
#include "cli/demo_data.h"
#include "cli/demo_screen.h"
#include "client/connection.h"
#include "freshet/result.h"

namespace freshet::cli {

struct DemoLoadOptions {
  client::Target target;             // Where Freshet serves.
  std::string storage_url;           // The database behind it.
  std::string run;                   // Prefix of every key; no other run's.
  std::uint32_t keys = 0;
  int clients = 0;
  double write_share = 0;            // Of a client's operations.
  std::uint64_t seed = 0;
};

class DemoLoad {
 public:
  explicit DemoLoad(DemoLoadOptions options);
  ~DemoLoad();

  // Writes every record once, many in a transaction.
  Result<void> fill();
  // Starts the clients.
  void start();
  // Ends them, and waits until each has its last answer.
  void stop();
  // Deletes every record.
  Result<void> clean();

  // Everything but what only the server knows (hits and misses).
  DemoFigures figures() const;
  // The first kReportsMax violations, as text.
  std::vector<std::string> reports() const;
  // Why a client gave up, if one did: the database or the server out of reach.
  std::string failure() const;

  static constexpr std::size_t kReportsMax = 4;

 private:
  // What is known of one key.
  struct Key {
    checker::ValueHistory history;
    std::atomic<std::uint32_t> writes_in_flight{0};
    std::atomic<std::uint64_t> writes_begun{0};
  };
  // A moment of a key, to tell whether a write was in flight at any time since.
  struct Quiet {
    std::uint64_t writes_begun;
    bool in_flight;
  };

  void run_client(std::uint32_t id);
  void run_paired_reader(std::uint32_t id);
  void read(client::Connection& connection, std::uint32_t id, std::uint32_t index, base::Histogram& latency_ns);
  void write(client::Connection& connection, std::uint32_t id, std::uint32_t index, std::string revision);
  void erase(client::Connection& connection, std::uint32_t id, std::uint32_t index);
  Result<void> fill_batch(client::Connection& connection, std::uint32_t first, std::uint32_t last);

  checker::Operation begin(std::uint32_t id, checker::Kind kind, std::uint32_t index) const;
  // Sends a write; its outcome goes into the operation.
  void call_write(client::Connection& connection, checker::Operation& operation, std::uint32_t index,
                  std::initializer_list<std::string_view> command);
  // Judges a read's answer; `document` is null for an absent key.
  void check_read(checker::Operation& operation, std::uint32_t index, const std::string* document, std::uint64_t floor,
                  const Quiet& quiet);
  Quiet quiet_of(std::uint32_t index) const;
  void report(std::string text);
  void fail(const std::string& what);

  const DemoLoadOptions options_;
  const Popularity popularity_;
  std::vector<Key> keys_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  base::Nanoseconds started_at_ = 0;

  std::atomic<std::uint64_t> reads_{0}, writes_{0}, reads_failed_{0}, writes_failed_{0}, direct_reads_{0};
  std::atomic<std::uint64_t> checked_{0}, contended_{0}, violations_{0};
  base::Histogram read_ns_, paired_ns_, direct_ns_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  std::vector<std::string> reports_;
  std::string failure_;
};

}  // namespace freshet::cli
