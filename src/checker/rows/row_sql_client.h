// A client of the load over rows that speaks SQL: it reads at the primary, writes in transactions behind FRESHET.GUARD and
// behind freshet.pass, and writes past the guard, which a sealed table refuses. Some transactions are rolled back, cut off,
// or never said to have ended. May use the checker and client rooms.
#pragma once

#include <string>
#include <vector>

#include "checker/clients/load_client.h"
#include "checker/rows/row_mix.h"
#include "checker/rows/row_table.h"

namespace freshet::checker {

class RowSqlClient {
 public:
  // `options` are of its connection to the target, and its number and seed. `url`: a libpq connection string.
  RowSqlClient(ClientOptions options, std::string url, std::string collection, RowTable table, RowLoad& load);

  // Runs until the stop signal; reconnects on errors.
  void run();

 private:
  // How a transaction ends.
  enum class Ending : std::uint8_t {
    commit,
    roll_back,
    say_nothing,  // COMMIT, once the guard has been given up: in time, or never.
    cut_before,   // The connection is closed instead of COMMIT,
    cut_during,   // or behind it, unanswered.
  };

  bool ensure_connected();
  void step();
  void read();
  void write_guarded();
  void write_passed();
  void write_forbidden();

  Ending draw_ending();
  std::vector<std::string> rows_of_all(const std::vector<Part>& parts) const;
  // Executes the operations inside of a transaction; false: an error, and what was executed is rolled back.
  bool execute(std::vector<Part>& parts);
  // Ends the transaction and records its operations. Gives what it has come to.
  Outcome end(std::vector<Part>& parts, Ending ending);
  bool succeeds(const SqlAnswer& answer);
  void tell(std::int64_t guard, Outcome outcome, Ending ending);

  const ClientOptions options_;
  const std::string collection_;
  const RowTable table_;
  RowLoad& load_;
  RowMix mix_;
  SqlConnection sql_;
  Reconnecting connection_;
};

}  // namespace freshet::checker
