// The oracleGeneral format: see trace/formats.h. The next access is not read: who needs it finds it from the requests
// themselves, and is then right for sampled and cut traces too.
#include "trace/formats.h"
#include "trace/little_endian.h"

namespace freshet::trace {
namespace {

constexpr std::size_t kRecordBytes = 24;

class OracleGeneralReader final : public Reader {
 public:
  explicit OracleGeneralReader(std::unique_ptr<Input> input) : Reader(std::move(input)) {}
  Format format() const override { return Format::oracle_general; }

 private:
  Step next(Record& record) override {
    const auto bytes = input().peek(kRecordBytes);
    if (bytes.size() < kRecordBytes) return finish(bytes.size(), kRecordBytes);
    const char* const at = bytes.data();
    record.time_s = load<std::uint32_t>(at);
    record.key = mix(load<std::uint64_t>(at + 4));
    record.size = load<std::uint32_t>(at + 12);
    record.operation = Operation::read;
    if (record.size > kSizeMax) return fail("its size is 4294967295 bytes, more than a trace may name");
    input().skip(kRecordBytes);
    return Step::record;
  }
};

}  // namespace

Result<std::unique_ptr<Reader>> make_oracle_general_reader(std::unique_ptr<Input> input) {
  return std::unique_ptr<Reader>(std::make_unique<OracleGeneralReader>(std::move(input)));
}

}  // namespace freshet::trace
