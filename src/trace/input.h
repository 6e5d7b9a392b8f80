// The bytes of a trace file, front to back, unpacked on the way if they are zstd's. May use base only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"

struct ZSTD_DCtx_s;

namespace freshet::trace {

class Input {
 public:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

  // "-" is standard input. zstd's frames are known by their first bytes, whatever the name says.
  static Result<std::unique_ptr<Input>> open(const std::string& path);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Unread bytes in a row: at least `bytes` of them (at most kBufferBytes), fewer only if the trace ends or breaks before.
  std::string_view peek(std::size_t bytes) {
    if (end_ - begin_ < bytes) fill(bytes);
    return {buffer_.data() + begin_, end_ - begin_};
  }
  void skip(std::size_t bytes) { begin_ += bytes; }
  // Why there are no more bytes, unless it is simply the end.
  const std::optional<Error>& error() const { return error_; }
  // How much of the file has been read, from 0 to 1; 0 if its size is not known.
  double progress() const;

 private:
  Input(int descriptor, std::string path);
  void fill(std::size_t bytes);
  void read_plain();
  void read_packed();
  bool refill_packed();
  void fail(std::string what, std::string remedy);

  const int descriptor_;
  const std::string path_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t file_read_ = 0;
  bool ended_ = false;
  std::vector<char> buffer_;  // Unpacked bytes: unread are [begin_, end_).
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  ZSTD_DCtx_s* unpacker_ = nullptr;  // Null: the file is not packed.
  bool inside_frame_ = false;
  std::vector<char> packed_;
  std::size_t packed_begin_ = 0;
  std::size_t packed_end_ = 0;
  std::optional<Error> error_;
};

}  // namespace freshet::trace
