// Reading traces: one interface over every format. May use base only.
//
// A trace that is broken or cut off gives all records before the fault, then an error that names the record's number,
// counted from 1; and the same error ever after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "trace/input.h"
#include "trace/record.h"

namespace freshet::trace {

enum class Format : std::uint8_t { detect, oracle_general, vscsi, csv, twitter, text };

std::string_view name_of(Format format);
// "oracleGeneral", "vscsi", "csv", "twitter", "txt".
Result<Format> format_named(std::string_view name);

struct ReadOptions {
  Format format = Format::detect;  // By what the file holds; by its name where that is not enough.
  // Where a CSV's columns are: "time=2,id=5,size=4,op=3", each the column's number from 1 or its name in the header. Empty:
  // by the names that such columns usually have.
  std::string csv_columns;
  char csv_delimiter = ',';
};

class Reader {
 public:
  virtual ~Reader() = default;

  virtual Format format() const = 0;
  // Fills `into` from the front and gives the number of records; fewer than asked only at the end or before a fault.
  Result<std::size_t> read(std::span<Record> into);
  std::uint64_t records_read() const { return records_; }
  double progress() const { return input_->progress(); }

 protected:
  enum class Step : std::uint8_t { record, end, failed };

  explicit Reader(std::unique_ptr<Input> input) : input_(std::move(input)) {}
  Input& input() { return *input_; }
  // The next record. At the end of input: finish().
  virtual Step next(Record& record) = 0;
  // Says what is wrong with the record.
  Step fail(std::string what, std::string remedy = {});
  // The input gave no more: the end, or its fault; or, if a part of a record is left, that the trace is cut off.
  Step finish(std::size_t bytes_left, std::size_t bytes_wanted);

 private:
  std::unique_ptr<Input> input_;
  std::uint64_t records_ = 0;
  std::optional<Error> error_;
};

// Opens a trace. An error here: no such file, or its format is not known.
Result<std::unique_ptr<Reader>> open_trace(const std::string& path, const ReadOptions& options);
// The same over bytes that are open already; `name` helps to detect the format.
Result<std::unique_ptr<Reader>> open_trace(std::unique_ptr<Input> input, std::string_view name, const ReadOptions& options);

}  // namespace freshet::trace
