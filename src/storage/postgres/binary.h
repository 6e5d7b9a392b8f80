// Parameters and results in PostgreSQL's binary formats. May use libpq and base.
// https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace freshet::storage::postgres {

// Type numbers of PostgreSQL's catalog; they never change.
namespace oid {
inline constexpr Oid kBool = 16;
inline constexpr Oid kBytea = 17;
inline constexpr Oid kInt8 = 20;
inline constexpr Oid kInt4 = 23;
inline constexpr Oid kText = 25;
inline constexpr Oid kUuid = 2950;
inline constexpr Oid kBoolArray = 1000;
inline constexpr Oid kByteaArray = 1001;
inline constexpr Oid kInt4Array = 1007;
inline constexpr Oid kTextArray = 1009;
inline constexpr Oid kInt8Array = 1016;
inline constexpr Oid kUuidArray = 2951;
}  // namespace oid

std::string encoded(bool value);
std::string encoded(std::int32_t value);
std::string encoded(std::int64_t value);
std::string encoded(const base::UniqueId& value);

// The array of elements that are already in their binary form.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(Oid element);
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
  void add(std::string_view element);
  std::string take();

 private:
  std::string bytes_;
  std::int32_t count_ = 0;
};

// The parameters of one statement, in order.
class Parameters {
 public:
  Parameters& add(std::string value) {
    values_.push_back(std::move(value));
    formats_.push_back(1);
    nulls_.push_back(false);
    return *this;
  }
  Parameters& add_null() {
    values_.emplace_back();
    formats_.push_back(1);
    nulls_.push_back(true);
    return *this;
  }
  // As text, for the type's input function. Holds no zero byte.
  Parameters& add_text(std::string value) {
    add(std::move(value));
    formats_.back() = 0;
    return *this;
  }
  int count() const { return static_cast<int>(values_.size()); }
  std::size_t bytes() const;
  // Sends a prepared statement; false if libpq refused it.
  bool send(PGconn* connection, const char* statement) const;

 private:
  std::vector<std::string> values_;
  std::vector<int> formats_;
  std::vector<bool> nulls_;
};

// Cells of a binary result. The caller knows the type of each column.
inline bool is_null(const PGresult* rows, int row, int column) { return PQgetisnull(rows, row, column) != 0; }
std::string_view bytes_at(const PGresult* rows, int row, int column);
bool bool_at(const PGresult* rows, int row, int column);
std::int32_t int4_at(const PGresult* rows, int row, int column);
std::int64_t int8_at(const PGresult* rows, int row, int column);
// The elements of an integer[] without NULLs.
std::vector<int> int4s_at(const PGresult* rows, int row, int column);
base::UniqueId uuid_at(const PGresult* rows, int row, int column);

}  // namespace freshet::storage::postgres
