// VSCSI traces, version 1 and 2: see trace/formats.h. The block number is the id, the length the size; SCSI's write commands
// are writes.
#include <fmt/format.h>

#include "trace/formats.h"
#include "trace/little_endian.h"

namespace freshet::trace {
namespace {

constexpr std::size_t kVersion1Bytes = 32;
constexpr std::size_t kVersion2Bytes = 40;
constexpr std::uint64_t kMicrosecondsPerSecond = 1'000'000;

bool is_write(std::uint16_t command) {  // WRITE(6), (10), (12), (16).
  return command == 0x0a || command == 0x2a || command == 0xaa || command == 0x8a;
}

class VscsiReader final : public Reader {
 public:
  VscsiReader(std::unique_ptr<Input> input, int version)
      : Reader(std::move(input)), version_(version), bytes_(version == 1 ? kVersion1Bytes : kVersion2Bytes) {}
  Format format() const override { return Format::vscsi; }

 private:
  Step next(Record& record) override {
    const auto bytes = input().peek(bytes_);
    if (bytes.size() < bytes_) return finish(bytes.size(), bytes_);
    if (vscsi_version_of(bytes) != version_) {
      return fail(fmt::format("it is not of VSCSI version {} as the records before it", version_));
    }
    const char* const at = bytes.data();
    const bool first = version_ == 1;
    record.key = mix(load<std::uint64_t>(at + 16));
    record.size = load<std::uint32_t>(at + (first ? 4 : 8));
    record.time_s = static_cast<std::uint32_t>(load<std::uint64_t>(at + 24) / kMicrosecondsPerSecond);
    record.operation = is_write(load<std::uint16_t>(at + (first ? 12 : 0))) ? Operation::write : Operation::read;
    if (record.size > kSizeMax) return fail("its length is 4294967295 bytes, more than a trace may name");
    input().skip(bytes_);
    return Step::record;
  }

  const int version_;
  const std::size_t bytes_;
};

}  // namespace

int vscsi_version_of(std::string_view bytes) {
  if (bytes.size() >= kVersion1Bytes && load<std::uint16_t>(bytes.data() + 14) >> 8 == 1) return 1;
  if (bytes.size() >= kVersion2Bytes && load<std::uint16_t>(bytes.data() + 2) >> 8 == 2) return 2;
  return 0;
}

Result<std::unique_ptr<Reader>> make_vscsi_reader(std::unique_ptr<Input> input) {
  const auto start = input->peek(kVersion2Bytes);
  const int version = vscsi_version_of(start);
  if (version == 0 && start.size() >= kVersion2Bytes) {
    return Error::of(ErrorCode::corrupted, "record 1: it is neither of VSCSI version 1 nor 2");
  }
  return std::unique_ptr<Reader>(std::make_unique<VscsiReader>(std::move(input), version == 0 ? 1 : version));
}

}  // namespace freshet::trace
