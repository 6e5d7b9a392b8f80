// Writing traces, packed by zstd if the file's name ends in .zst: what a recorder of live traffic uses, and what tests
// write. May use base only.
//
// CSV (time,id,size,op) if the name, .zst aside, ends in .csv: reads, stores and deletes stand there as such. Otherwise
// oracleGeneral, 24 bytes a record. That format has a field for the next access, which a recorder cannot know: it is written
// as "none" (-1). The simulator finds the future itself; other tools may not. It has no operations: stores stand there as
// accesses, and deletes are left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "trace/record.h"

struct ZSTD_CCtx_s;

namespace freshet::trace {

class Writer {
 public:
  static constexpr std::size_t kBufferBytes = 256 << 10;

  // Replaces the file.
  static Result<std::unique_ptr<Writer>> create(const std::string& path);
  // What was not finished is lost, and a packed file then ends within a frame.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // The record's key becomes its id. Buffered: an error may be of an earlier record.
  Result<void> write(const Record& record);
  // Everything is in the file, and the file can be read to its end.
  Result<void> finish();
  std::uint64_t records_written() const { return records_; }
  // Whether deletes are written, and stores told from reads.
  bool has_operations() const { return csv_; }

 private:
  Writer(int descriptor, std::string path);
  void append_line(const Record& record);
  void append_packed(const Record& record);
  Result<void> flush(bool last);
  Result<void> write_out(const char* bytes, std::size_t count);

  const int descriptor_;
  const std::string path_;
  const bool csv_;
  ZSTD_CCtx_s* packer_ = nullptr;  // Null: not packed.
  std::vector<char> buffer_;
  std::vector<char> packed_;
  std::uint64_t records_ = 0;
};

}  // namespace freshet::trace
