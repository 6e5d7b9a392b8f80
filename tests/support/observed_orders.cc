// Writing orders and their states. See observed_orders.h.
#include "observed_orders.h"

#include <chrono>

#include <fmt/format.h>

namespace freshet::testing {
namespace {

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(5);
constexpr std::size_t kOrdersMax = 24;

}  // namespace

std::vector<storage::CollectionSpec> order_collections() {
  std::vector<storage::CollectionSpec> specs(3);
  specs[0].name = "orders-of";
  specs[0].query = "SELECT id, amount FROM orders WHERE customer = $1 ORDER BY id";
  specs[1].name = "named-orders-of";
  specs[1].query =
      "SELECT o.id, o.amount, c.name FROM orders o JOIN customer c ON c.id = o.customer WHERE c.id = $1 ORDER BY o.id";
  specs[2].name = specs[2].table = "customer";
  return specs;
}

std::string order_schema() {
  return fmt::format("CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL);"
                     "INSERT INTO customer SELECT i, 'name' FROM generate_series(0, {}) i;"
                     "CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, amount bigint NOT NULL);"
                     "ALTER TABLE orders REPLICA IDENTITY FULL;"
                     "CREATE TABLE turn (n bigint NOT NULL); INSERT INTO turn VALUES (0);", kOrderCustomers - 1);
}

std::vector<std::string> order_keys() {
  std::vector<std::string> keys;
  for (int customer = 0; customer < kOrderCustomers; ++customer) {
    for (const char* collection : {"orders-of", "named-orders-of", "customer"}) {
      keys.push_back(fmt::format("{}:{}", collection, customer));
    }
  }
  return keys;
}

std::string order_text(const cache::Reading& reading) {
  if (!reading.present || reading.shape == nullptr) return "";
  const auto columns = reading.shape->columns.size();
  std::string text;
  const auto add = [&](const storage::RowView& row) {
    std::string line;
    for (const auto& cell : row) line += (line.empty() ? "" : ",") + std::string(cell.value_or("NULL"));
    text += line + ";";
  };
  if (reading.shape->is_query) {
    const auto rows = *storage::read_rows(reading.value, columns);
    for (const auto& row : rows) add(row);
  } else {
    add(*storage::read_row(reading.value, columns));
  }
  return text;
}

std::string order_sql(const std::string& key) {
  const auto customer = key.substr(key.find(':') + 1);
  if (key.starts_with("orders-of:")) {
    return "SELECT COALESCE(string_agg(id || ',' || amount || ';', '' ORDER BY id), '') FROM orders WHERE customer = " +
           customer;
  }
  if (key.starts_with("named-orders-of:")) {
    return "SELECT COALESCE(string_agg(o.id || ',' || o.amount || ',' || c.name || ';', '' ORDER BY o.id), '') "
           "FROM orders o JOIN customer c ON c.id = o.customer WHERE c.id = " + customer;
  }
  return "SELECT id || ',' || name || ';' FROM customer WHERE id = " + customer;
}

ObservedStates::State ObservedOrders::Book::state() const {
  ObservedStates::State state;
  for (const auto& [id, order] : orders) {
    state[fmt::format("orders-of:{}", order.customer)] += fmt::format("{},{};", id, order.amount);
    state[fmt::format("named-orders-of:{}", order.customer)] +=
        fmt::format("{},{},{};", id, order.amount, names.at(order.customer));
  }
  for (const auto& [customer, name] : names) {
    state[fmt::format("customer:{}", customer)] = fmt::format("{},{};", customer, name);
  }
  return state;
}

ObservedOrders::Book ObservedOrders::first() {
  Book book;
  for (int customer = 0; customer < kOrderCustomers; ++customer) book.names[customer] = "name";
  return book;
}

ObservedOrders::ObservedOrders(std::uint64_t seed, std::string url, base::Nanoseconds pause)
    : url_(std::move(url)), pause_(pause), random_(seed * 1000 + 500) {
  thread_ = std::thread([this] { write(); });
}

ObservedOrders::~ObservedOrders() { stop(); }

void ObservedOrders::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void ObservedOrders::write() {
  LoadSession session(url_);
  for (std::uint64_t turn = 1; !stopping_; ++turn) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(pause_));
    if (!session.connect()) {
      std::this_thread::sleep_for(kPauseAfterFailure);
      continue;
    }
    Book next = book_;
    std::string sql = fmt::format("UPDATE turn SET n = {};", turn);
    for (auto changes = 1 + random_.below(3); changes > 0; --changes) sql += change(next);
    states_.begin(next.state());
    const auto outcome = session.run(sql);
    if (outcome.ok || (outcome.lost && happened(session, turn))) {
      states_.acknowledge();
      book_ = std::move(next);
      writes_.fetch_add(1);
    } else if (!stopping_ || !outcome.lost) {
      states_.withdraw();
    }
  }
}

// The row's lock waits for the lost transaction, if it is still under way.
bool ObservedOrders::happened(LoadSession& session, std::uint64_t turn) {
  while (!stopping_) {
    const auto outcome = session.run("SELECT n FROM turn FOR UPDATE");
    if (outcome.ok) return outcome.rows[0][0] == std::to_string(turn);
    std::this_thread::sleep_for(kPauseAfterFailure);
  }
  return false;  // Nobody knows, and nobody asks: the state stays a possible one.
}

std::string ObservedOrders::change(Book& book) {
  const auto dice = random_.below(10);
  if (dice == 0) {
    const auto customer = static_cast<int>(random_.below(kOrderCustomers));
    book.names[customer] = fmt::format("n{}", random_.below(1'000'000));
    return fmt::format("UPDATE customer SET name = '{}' WHERE id = {};", book.names[customer], customer);
  }
  if (book.orders.empty() || (dice < 5 && book.orders.size() < kOrdersMax)) {
    const Order order{static_cast<int>(random_.below(kOrderCustomers)), static_cast<std::int64_t>(random_.below(1000))};
    book.orders[next_id_] = order;
    return fmt::format("INSERT INTO orders VALUES ({}, {}, {});", next_id_++, order.customer, order.amount);
  }
  auto chosen = book.orders.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(random_.below(book.orders.size())));
  return change_one(book, chosen->first);
}

std::string ObservedOrders::change_one(Book& book, std::int64_t id) {
  auto& order = book.orders[id];
  switch (random_.below(4)) {
    case 0:
      book.orders.erase(id);
      return fmt::format("DELETE FROM orders WHERE id = {};", id);
    case 1:
      order.customer = static_cast<int>(random_.below(kOrderCustomers));
      return fmt::format("UPDATE orders SET customer = {} WHERE id = {};", order.customer, id);
    case 2: {
      const Order moved = order;
      book.orders.erase(id);
      book.orders[next_id_] = moved;
      return fmt::format("UPDATE orders SET id = {} WHERE id = {};", next_id_++, id);
    }
    default:
      order.amount = static_cast<std::int64_t>(random_.below(1000));
      return fmt::format("UPDATE orders SET amount = {} WHERE id = {};", order.amount, id);
  }
}

}  // namespace freshet::testing
