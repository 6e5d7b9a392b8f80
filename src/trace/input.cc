// See trace/input.h.
#include "trace/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace freshet::trace {
namespace {

constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

// As read(2), once more if a signal came in between.
ssize_t read_some(int descriptor, char* into, std::size_t bytes) {
  for (;;) {
    const ssize_t got = ::read(descriptor, into, bytes);
    if (got >= 0 || errno != EINTR) return got;
  }
}

}  // namespace

Result<std::unique_ptr<Input>> Input::open(const std::string& path) {
  const int descriptor = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} cannot be opened: {}", path, std::strerror(errno)));
  }
  std::unique_ptr<Input> input(new Input(descriptor, path));
  input->read_plain();
  if (input->peek(0).starts_with(kZstdMagic)) {
    input->packed_.swap(input->buffer_);
    input->packed_end_ = std::exchange(input->end_, 0);
    input->buffer_.resize(kBufferBytes);
    input->unpacker_ = ZSTD_createDCtx();
  }
  if (input->error_) return *input->error_;
  return input;
}

Input::Input(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)), buffer_(kBufferBytes) {
  struct stat status{};
  const bool is_file = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  if (is_file) file_bytes_ = static_cast<std::uint64_t>(status.st_size);
}

Input::~Input() {
  ZSTD_freeDCtx(unpacker_);
  ::close(descriptor_);
}

double Input::progress() const {
  if (file_bytes_ == 0) return 0;
  return std::min(1.0, static_cast<double>(file_read_) / static_cast<double>(file_bytes_));
}

void Input::fill(std::size_t bytes) {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= std::exchange(begin_, 0);
  while (end_ < std::min(bytes, kBufferBytes) && !ended_ && !error_) {
    if (unpacker_ == nullptr) {
      read_plain();
    } else {
      read_packed();
    }
  }
}

void Input::read_plain() {
  const ssize_t got = read_some(descriptor_, buffer_.data() + end_, buffer_.size() - end_);
  if (got < 0) return fail(fmt::format("{} cannot be read: {}", path_, std::strerror(errno)), {});
  ended_ = got == 0;
  end_ += static_cast<std::size_t>(got);
  file_read_ += static_cast<std::uint64_t>(got);
}

// More packed bytes, once those at hand are used up. False: there are none.
bool Input::refill_packed() {
  if (packed_begin_ < packed_end_) return true;
  const ssize_t got = read_some(descriptor_, packed_.data(), packed_.size());
  if (got < 0) return fail(fmt::format("{} cannot be read: {}", path_, std::strerror(errno)), {}), false;
  packed_begin_ = 0;
  packed_end_ = static_cast<std::size_t>(got);
  file_read_ += static_cast<std::uint64_t>(got);
  return got > 0;
}

void Input::read_packed() {
  if (!refill_packed()) {
    ended_ = true;
    if (inside_frame_ && !error_) fail(fmt::format("{} is cut off inside a zstd frame", path_), "fetch the file again");
    return;
  }
  ZSTD_inBuffer in{packed_.data(), packed_end_, packed_begin_};
  ZSTD_outBuffer out{buffer_.data(), buffer_.size(), end_};
  const std::size_t left = ZSTD_decompressStream(unpacker_, &out, &in);
  packed_begin_ = in.pos;
  end_ = out.pos;
  if (ZSTD_isError(left)) {
    return fail(fmt::format("{} is not sound zstd: {}", path_, ZSTD_getErrorName(left)), "fetch the file again");
  }
  inside_frame_ = left != 0;
}

void Input::fail(std::string what, std::string remedy) {
  error_ = Error::of(ErrorCode::corrupted, std::move(what), std::move(remedy));
}

}  // namespace freshet::trace
