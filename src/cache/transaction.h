// A transaction over keys of guarded collections: from its beginning to its end nobody else writes them, so that what it has
// read still holds when what it writes is applied, all of it or nothing. May use storage and consistency.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cache/engine.h"

namespace freshet::cache {

// Thread-safe. Destroyed, it ends: what was not committed was never written. The engine must outlive it.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // Of every key, as of one moment at which the transaction held all of them.
  virtual const std::map<std::string, Reading, std::less<>>& readings() const = 0;
  // The same, for whoever goes on with them; none are left.
  virtual std::map<std::string, Reading, std::less<>> take_readings() = 0;
  // Writes, in order, keys of the transaction: one transaction in storage. Once. Conditions concern rows, and the
  // only key of a transaction; a mutation whose condition does not hold leaves the others as they are. Errors: those of
  // Engine::write.
  virtual void commit(std::vector<Mutation> mutations, base::Nanoseconds deadline, Callback<storage::WriteReply> done) = 0;
};

// A transaction that the application runs itself, with SQL, on rows of guarded tables. Thread-safe. Destroyed, its outcome
// is unknown: the database is asked for new guards, and the keys are back once no transaction can pass the old ones.
class SqlGuard {
 public:
  enum class Outcome : std::uint8_t { committed, rolled_back, unknown };

  virtual ~SqlGuard() = default;
  // The transaction's first statement. READ COMMITTED, unless the guards are of the for-share dialect.
  virtual const std::string& statement() const = 0;
  // After COMMIT or ROLLBACK was answered. The first call counts; false: it was given up before, at its limit.
  virtual bool end(Outcome outcome) = 0;
};

}  // namespace freshet::cache
