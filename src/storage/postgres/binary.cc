// PostgreSQL's binary formats: integers most significant byte first.
#include "storage/postgres/binary.h"

#include <cassert>
#include <cstring>

namespace freshet::storage::postgres {
namespace {

constexpr std::size_t kArrayHeaderBytes = 20;

template <typename Integer>
void put_integer(char* at, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    at[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * (sizeof value - 1 - i)));
  }
}

template <typename Integer>
Integer integer_at(const PGresult* rows, int row, int column) {
  assert(PQgetlength(rows, row, column) == sizeof(Integer));
  const char* bytes = PQgetvalue(rows, row, column);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<Integer>(value);
}

template <typename Integer>
std::string encoded_integer(Integer value) {
  std::string bytes(sizeof value, '\0');
  put_integer(bytes.data(), value);
  return bytes;
}

}  // namespace

std::string encoded(bool value) { return std::string(1, value ? '\1' : '\0'); }
std::string encoded(std::int32_t value) { return encoded_integer(value); }
std::string encoded(std::int64_t value) { return encoded_integer(value); }
std::string encoded(const base::UniqueId& value) {
  const auto bytes = value.to_bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

ArrayBuilder::ArrayBuilder(Oid element) : bytes_(kArrayHeaderBytes, '\0') {
  put_integer(bytes_.data(), std::int32_t{1});                               // One dimension,
  put_integer(bytes_.data() + 4, std::int32_t{0});                           // without nulls,
  put_integer(bytes_.data() + 8, static_cast<std::int32_t>(element));        // of this type;
  put_integer(bytes_.data() + 16, std::int32_t{1});                          // the first index is 1.
}

void ArrayBuilder::add(std::string_view element) {
  bytes_ += encoded(static_cast<std::int32_t>(element.size()));
  bytes_ += element;
  ++count_;
}

std::string ArrayBuilder::take() {
  put_integer(bytes_.data() + 12, count_);
  return std::move(bytes_);
}

std::size_t Parameters::bytes() const {
  std::size_t sum = 0;
  for (const auto& value : values_) sum += value.size();
  return sum;
}

bool Parameters::send(PGconn* connection, const char* statement) const {
  const auto count = values_.size();
  std::vector<const char*> values(count);
  std::vector<int> lengths(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = nulls_[i] ? nullptr : values_[i].data();
    lengths[i] = static_cast<int>(values_[i].size());
  }
  return PQsendQueryPrepared(connection, statement, static_cast<int>(count), values.data(), lengths.data(), formats_.data(),
                             1) == 1;
}

std::string_view bytes_at(const PGresult* rows, int row, int column) {
  return {PQgetvalue(rows, row, column), static_cast<std::size_t>(PQgetlength(rows, row, column))};
}
bool bool_at(const PGresult* rows, int row, int column) { return *PQgetvalue(rows, row, column) != 0; }
std::int32_t int4_at(const PGresult* rows, int row, int column) { return integer_at<std::int32_t>(rows, row, column); }
std::int64_t int8_at(const PGresult* rows, int row, int column) { return integer_at<std::int64_t>(rows, row, column); }

// Its dimensions, a flag and the type, then the dimension's length and beginning, then each element behind its length.
std::vector<int> int4s_at(const PGresult* rows, int row, int column) {
  constexpr std::size_t kHead = 20, kElement = 8;
  std::vector<int> elements;
  const auto bytes = bytes_at(rows, row, column);
  for (std::size_t at = kHead; at + kElement <= bytes.size(); at += kElement) {
    std::uint32_t bits = 0;
    for (std::size_t i = 4; i < kElement; ++i) bits = bits << 8 | static_cast<unsigned char>(bytes[at + i]);
    elements.push_back(static_cast<int>(bits));
  }
  return elements;
}

base::UniqueId uuid_at(const PGresult* rows, int row, int column) {
  return base::UniqueId::from_bytes(reinterpret_cast<const unsigned char*>(PQgetvalue(rows, row, column)));
}

}  // namespace freshet::storage::postgres
