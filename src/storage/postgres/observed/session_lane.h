// A lane whose answers say which server gave them. On the loop's thread. May use storage.
#pragma once

#include "storage/postgres/lane.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

struct SessionCall final : Call {
  Identity identity;                       // Of the server that answered; filled before `done` is called without an error.
  std::string process;                     // Its session's, likewise.
  std::shared_ptr<const void> keeps;       // What its statement belongs to.
};

class SessionLane final : public Lane {
 public:
  using Lane::Lane;

 private:
  void dispatch(Connection& connection) override;
};

// What each session is asked first: see Connection::Options::session_sql. The fifth column is the server's start.
// `settings`: expressions that set them.
std::string session_sql(const std::string& settings);

}  // namespace freshet::storage::postgres
