// A reader of the load that asks the database itself: SELECT on freshet.kv at the primary, recorded in the same history.
// May use the checker room.
#pragma once

#include <cstdint>
#include <string>

#include "base/random.h"
#include "checker/clients/findings.h"
#include "checker/clients/key_space.h"
#include "checker/clients/sql_connection.h"

namespace freshet::checker {

class SqlReader {
 public:
  // `url`: a libpq connection string. `number`: this reader's client number in the history.
  SqlReader(std::string url, std::uint32_t number, std::uint64_t seed, KeySpace& keys, Findings& findings);

  // Whether the table can be read there: for a clear message before the load starts.
  static Result<void> probe(SqlConnection& connection);
  // Runs until the stop signal; reconnects on errors.
  void run();

 private:
  bool ensure_connected();
  void step();

  const std::uint32_t number_;
  base::Random random_;
  KeySpace& keys_;
  Findings& findings_;
  SqlConnection connection_;
};

}  // namespace freshet::checker
