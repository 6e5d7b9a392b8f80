// A load of orders that are read through queries: rows enter a customer's list, leave it, move to another customer's, and
// change, in transactions of one or several statements. One writer, who writes down every state (observed_states.h).
//
//  orders-of:CUSTOMER        exact, by the customer
//  named-orders-of:CUSTOMER  a join with the customers, by table
//  customer:CUSTOMER         the customer's row
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "cache/engine.h"
#include "load_session.h"
#include "observed_states.h"

namespace freshet::testing {

inline constexpr int kOrderCustomers = 4;

std::vector<storage::CollectionSpec> order_collections();
std::string order_schema();
std::vector<std::string> order_keys();
// A reading as the states spell it: columns joined by ',', and ';' behind every row.
std::string order_text(const cache::Reading& reading);
// The SELECT that gives the same text.
std::string order_sql(const std::string& key);

class ObservedOrders {
 public:
  ObservedOrders(std::uint64_t seed, std::string url, base::Nanoseconds pause);
  ~ObservedOrders();
  void stop();
  const ObservedStates& states() const { return states_; }
  std::uint64_t writes() const { return writes_; }

 private:
  struct Order {
    int customer = 0;
    std::int64_t amount = 0;
  };
  struct Book {
    std::map<std::int64_t, Order> orders;
    std::map<int, std::string> names;
    ObservedStates::State state() const;
  };
  static Book first();

  void write();
  // One random change, to the book and as SQL.
  std::string change(Book& book);
  std::string change_one(Book& book, std::int64_t id);
  // Whether the transaction whose commit got no answer happened: asked until the database answers.
  bool happened(LoadSession& session, std::uint64_t turn);

  const std::string url_;
  const base::Nanoseconds pause_;
  base::Random random_;
  Book book_ = first();
  std::int64_t next_id_ = 1;
  ObservedStates states_{first().state()};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> writes_{0};
  std::thread thread_;
};

}  // namespace freshet::testing
