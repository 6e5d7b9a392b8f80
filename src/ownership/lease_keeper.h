// The thread that keeps PostgresLease's record: challenger, holder, released. One statement in flight at a time.
//
// Public functions from any thread; the rest on the loop's. May use storage/postgres and net.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "net/loop.h"
#include "ownership/lease_record.h"
#include "ownership/postgres_lease.h"

namespace freshet::ownership {

class PostgresLease::Keeper final : public storage::postgres::Connection::Observer {
 public:
  Keeper(PostgresLeaseOptions options, storage::postgres::ConnectionParameters parameters);
  ~Keeper();

  void listen(AssignmentListener listener);
  void release();
  OwnershipStatus status() const;

 private:
  enum class Role : std::uint8_t { challenger, holder, releasing, released };
  using Reply = storage::postgres::Reply;

  void connected(storage::postgres::Connection& connection) override;
  void disconnected(storage::postgres::Connection& connection, bool was_ready, const std::string& why) override;

  // What is to be done now, if nothing is in flight.
  void step();
  void step_in(base::Nanoseconds wait);
  void read_record();
  void on_record(const LeaseAnswer& answer);
  void watch(const LeaseAnswer& answer);
  void claim(const std::optional<LeaseRecord>& seen);
  void on_claim(const LeaseRecord& next, base::Nanoseconds sent, const LeaseAnswer& answer);
  void renew();
  void on_renewal(base::Nanoseconds sent, const LeaseAnswer& answer);
  void send_release();
  void finish_release();
  // Sends; `take` gets the answer if there is one.
  void send(const storage::postgres::Statement& statement, const storage::postgres::Parameters& parameters,
            std::function<void(const LeaseAnswer&)> take);
  void on_no_answer(const std::string& why);
  void hold(const LeaseRecord& record, base::Nanoseconds deadline, const storage::Identity& identity);
  // Ends the period: revokes the handle and tells the listener.
  void drop_handle();
  void become_challenger();
  void arm_expiry();
  bool is_mine(const std::optional<LeaseRecord>& record) const;
  void say(std::string detail, std::string holder = {});

  const PostgresLeaseOptions options_;
  const storage::postgres::ConnectionParameters parameters_;

  // The listener's calls are serialized by this; a listener may ask for the status.
  std::recursive_mutex listener_mutex_;
  AssignmentListener listener_;
  SliceRef handle_;  // Written on the loop's thread under listener_mutex_.

  mutable std::mutex status_mutex_;
  OwnershipStatus status_;

  std::mutex release_mutex_;
  std::condition_variable released_;
  bool is_released_ = false;

  // The loop's thread only.
  std::unique_ptr<storage::postgres::Connection> connection_;
  std::unique_ptr<net::Timer> step_timer_;
  std::unique_ptr<net::Timer> expiry_timer_;
  Role role_ = Role::challenger;
  bool in_flight_ = false;
  bool in_doubt_ = false;              // The holder lost an answer: the record must be read before it is renewed.
  std::optional<LeaseRecord> record_;  // The holder's own, or what a challenger watches.
  storage::Identity identity_;         // Of the server that said so.
  base::Nanoseconds seen_since_ = 0;   // Since when the challenger has seen record_ unchanged; 0: not yet.
  net::Loop loop_;
};

}  // namespace freshet::ownership
