// See trace/writer.h.
#include "trace/writer.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

#include "trace/little_endian.h"

namespace freshet::trace {
namespace {

constexpr std::size_t kRecordBytes = 24;
constexpr std::string_view kCsvHeader = "time,id,size,op\n";
constexpr std::size_t kCsvLineBytesMax = 64;  // Numbers of 10, 20 and 10 digits, the longest operation, and what parts them.
constexpr int kPackLevel = 3;
constexpr mode_t kMode = 0644;

bool names_csv(std::string_view path) {
  if (path.ends_with(".zst")) path.remove_suffix(4);
  return path.ends_with(".csv");
}

std::string_view name_of(Operation operation) {
  switch (operation) {
    case Operation::read: return "read";
    case Operation::write: return "write";
    case Operation::erase: return "delete";
    case Operation::store: return "store";
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::create(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
  if (descriptor < 0) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{} cannot be written: {}", path, std::strerror(errno)));
  }
  return std::unique_ptr<Writer>(new Writer(descriptor, path));
}

Writer::Writer(int descriptor, std::string path)
    : descriptor_(descriptor), path_(std::move(path)), csv_(names_csv(path_)) {
  buffer_.reserve(kBufferBytes);
  if (csv_) buffer_.assign(kCsvHeader.begin(), kCsvHeader.end());
  if (!path_.ends_with(".zst")) return;
  packer_ = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(packer_, ZSTD_c_compressionLevel, kPackLevel);
  ZSTD_CCtx_setParameter(packer_, ZSTD_c_checksumFlag, 1);
  packed_.resize(ZSTD_CStreamOutSize());
}

Writer::~Writer() {
  ZSTD_freeCCtx(packer_);
  ::close(descriptor_);
}

Result<void> Writer::write(const Record& record) {
  if (record.operation == Operation::erase && !has_operations()) return {};
  if (buffer_.size() + kCsvLineBytesMax > kBufferBytes) {
    if (auto flushed = flush(false); !flushed) return flushed;
  }
  csv_ ? append_line(record) : append_packed(record);
  ++records_;
  return {};
}

void Writer::append_line(const Record& record) {
  fmt::format_to(std::back_inserter(buffer_), "{},{},{},{}\n", record.time_s, record.key, record.size,
                 name_of(record.operation));
}

void Writer::append_packed(const Record& record) {
  const std::size_t at = buffer_.size();
  buffer_.resize(at + kRecordBytes);
  store(&buffer_[at], record.time_s);
  store(&buffer_[at + 4], record.key);
  store(&buffer_[at + 12], record.size);
  store(&buffer_[at + 16], std::int64_t{-1});
}

Result<void> Writer::finish() { return flush(true); }

Result<void> Writer::flush(bool last) {
  if (packer_ == nullptr) {
    auto written = write_out(buffer_.data(), buffer_.size());
    buffer_.clear();
    return written;
  }
  ZSTD_inBuffer in{buffer_.data(), buffer_.size(), 0};
  for (std::size_t left = 1; left != 0 && (last || in.pos < in.size);) {
    ZSTD_outBuffer out{packed_.data(), packed_.size(), 0};
    left = ZSTD_compressStream2(packer_, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) {
      return Error::of(ErrorCode::internal, fmt::format("{}: zstd says {}", path_, ZSTD_getErrorName(left)));
    }
    if (auto written = write_out(packed_.data(), out.pos); !written) return written;
    // Without an end to reach, what is left inside zstd may stay there.
    if (!last && in.pos == in.size) break;
  }
  buffer_.clear();
  return {};
}

Result<void> Writer::write_out(const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t done = ::write(descriptor_, bytes, count);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      return Error::of(ErrorCode::unavailable, fmt::format("{} cannot be written: {}", path_, std::strerror(errno)));
    }
    bytes += done;
    count -= static_cast<std::size_t>(done);
  }
  return {};
}

}  // namespace freshet::trace
