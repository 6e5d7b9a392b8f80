// The demo's load: writers that change rows by plain SQL, around Freshet; clients that read them through Freshet at full
// speed; one that reads each row through Freshet and then by SQL; the online checker behind each of their answers. May use
// checker, client and libpq.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "checker/history/value_history.h"
#include "cli/demo_data.h"
#include "cli/demo_screen.h"
#include "client/connection.h"
#include "freshet/result.h"
#include "storage/postgres/libpq.h"

namespace freshet::cli {

struct DemoLoadOptions {
  client::Target target;             // Where Freshet serves.
  std::string storage_url;           // The database behind it.
  std::uint32_t keys = 0;
  int clients = 0;
  int writers = 0;
  std::uint64_t seed = 0;
};

// The collection of the demo's rows, and its table, which the demo makes and drops.
inline constexpr const char* kDemoCollection = "records";
inline constexpr const char* kDemoTable = "freshet_demo_records";
// Freshet names its publication after the fleet; the demo drops both.
inline constexpr const char* kDemoFleet = "demo";

class DemoLoad {
 public:
  explicit DemoLoad(DemoLoadOptions options);
  ~DemoLoad();

  // Makes the table, with every record in it.
  static Result<void> fill(const std::string& storage_url, std::uint32_t keys);
  // Starts the clients.
  void start();
  // Ends them, and waits until each has its last answer.
  void stop();
  // Drops the table and the publication.
  static Result<void> clean(const std::string& storage_url);

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
  void run_writer(std::uint32_t id);
  void run_paired_reader(std::uint32_t id);
  void read(client::Connection& connection, std::uint32_t id, std::uint32_t index, base::Histogram& latency_ns);
  void read_bounded(client::Connection& connection, std::uint32_t index);
  checker::Operation begin(std::uint32_t id, checker::Kind kind, std::uint32_t index) const;
  // Runs a write; its outcome goes into the operation. False: the connection is lost.
  bool write(PGconn* connection, checker::Operation operation, std::uint32_t index, const char* statement);
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
  base::Histogram read_ns_, paired_ns_, bounded_ns_, direct_ns_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  std::vector<std::string> reports_;
  std::string failure_;
};

}  // namespace freshet::cli
