// Names for statements that are made at run time.
#include "storage/postgres/owned_statement.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

namespace freshet::storage::postgres {

OwnedStatement::OwnedStatement(const std::string& kind, std::string sql, std::vector<Oid> types)
    : name_([&] {
        static std::atomic<std::uint64_t> number = 0;
        return kind.empty() ? kind : fmt::format("{}_{}", kind, ++number);
      }()),
      sql_(std::move(sql)),
      statement_{name_.c_str(), sql_.c_str(), std::move(types), true} {}

}  // namespace freshet::storage::postgres
