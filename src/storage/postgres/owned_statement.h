// A prepared statement whose text is made at run time, after the catalog. May use base.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/postgres/connection.h"

namespace freshet::storage::postgres {

// A statement with its texts; prepared by connections as they meet it.
class OwnedStatement {
 public:
  // The name is `kind` with a number that no other has in this process. Empty: it has none, and is prepared each time.
  OwnedStatement(const std::string& kind, std::string sql, std::vector<Oid> types);
  OwnedStatement(const OwnedStatement&) = delete;
  OwnedStatement& operator=(const OwnedStatement&) = delete;
  const Statement& get() const { return statement_; }

 private:
  const std::string name_;
  const std::string sql_;
  const Statement statement_;
};
using StatementRef = std::shared_ptr<const OwnedStatement>;

}  // namespace freshet::storage::postgres
