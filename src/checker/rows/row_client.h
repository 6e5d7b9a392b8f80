// A client of the load over rows that speaks the Redis protocol: commands on columns and rows, and MULTI … EXEC over several
// of them. May use the checker and client rooms.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "checker/clients/load_client.h"
#include "checker/rows/row_mix.h"

namespace freshet::checker {

class RowClient {
 public:
  RowClient(ClientOptions options, RowLoad& load);

  // Runs until the stop signal; reconnects on errors.
  void run();

 private:
  struct Answers {
    std::vector<client::Reply> replies;  // One for each command; or one error for all of them.
    bool sent = false;                   // Without replies: whether it may have been executed.
    bool for_all = false;                // The one reply is EXEC's.
  };

  void step();
  void perform(std::vector<Part> parts, bool together);
  Answers send(const std::vector<Command>& commands);
  Answers send_together(const std::vector<Command>& commands);
  Answers lost(const Error& error, bool sent);
  void interpret(std::vector<Part>& parts, const Answers& answers);

  const ClientOptions options_;
  RowLoad& load_;
  RowMix mix_;
  Reconnecting connection_;
};

}  // namespace freshet::checker
