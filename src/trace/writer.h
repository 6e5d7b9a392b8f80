// Writing traces in the oracleGeneral format, packed by zstd if the file's name ends in .zst: what a recorder of live
// traffic uses, and what tests write. May use base only.
//
// The format has a field for the next access, which a recorder cannot know: it is written as "none" (-1). The simulator
// finds the future itself; other tools may not. Deletes have no place in the format and are left out.
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

 private:
  Writer(int descriptor, std::string path);
  Result<void> flush(bool last);
  Result<void> write_out(const char* bytes, std::size_t count);

  const int descriptor_;
  const std::string path_;
  ZSTD_CCtx_s* packer_ = nullptr;  // Null: not packed.
  std::vector<char> buffer_;
  std::vector<char> packed_;
  std::uint64_t records_ = 0;
};

}  // namespace freshet::trace
