// Fuzzes the trace readers: any bytes, in any format or detected, packed or not, give the same records and the same fault
// whether read in large batches or one by one, and a fault stays. The first byte chooses the format.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "trace/reader.h"

namespace {

using freshet::trace::Format;
using freshet::trace::Record;

constexpr std::size_t kRecordsMax = 1 << 16;
constexpr std::size_t kBatch = 1000;

struct Outcome {
  std::vector<Record> records;
  std::string fault;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Readers read files: the bytes become one in memory.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("trace", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  const int descriptor_;
};

Outcome read_all(const std::string& path, Format format, std::size_t batch_size) {
  Outcome outcome;
  freshet::trace::ReadOptions options;
  options.format = format;
  if (format == Format::csv) options.csv_columns = "id=1";
  auto reader = freshet::trace::open_trace(path, options);
  if (!reader) return outcome.fault = reader.error().what, outcome;
  std::vector<Record> batch(batch_size);
  while (outcome.records.size() < kRecordsMax) {
    const auto count = (*reader)->read(batch);
    if (!count) {
      outcome.fault = count.error().what;
      const auto again = (*reader)->read(batch);
      if (again || again.error().what != outcome.fault) std::abort();
      return outcome;
    }
    if (*count == 0) return outcome;
    outcome.records.insert(outcome.records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  outcome.records.resize(kRecordsMax);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto format = static_cast<Format>(data[0] % (static_cast<int>(Format::text) + 1));
  const MemoryFile file(data + 1, size - 1);
  if (!(read_all(file.path(), format, kBatch) == read_all(file.path(), format, 1))) std::abort();
  return 0;
}
