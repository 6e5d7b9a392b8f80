// Twitter's cache traces: timestamp,key,key size,value size,client id,operation,TTL. An object is as large as its key and
// value together. delete erases; get and gets read; everything else writes.
#include <fmt/format.h>

#include "trace/formats.h"
#include "trace/lines.h"

namespace freshet::trace {
namespace {

constexpr std::size_t kFields = 7;

class TwitterReader final : public LineReader {
 public:
  explicit TwitterReader(std::unique_ptr<Input> input) : LineReader(std::move(input)) {}
  Format format() const override { return Format::twitter; }

 private:
  Step next(Record& record) override {
    std::string_view line;
    const Step step = next_line(line);
    if (step != Step::record) return step;
    split_fields(line, ',', fields_);
    if (fields_.size() < kFields) {
      return fail(fmt::format("its line has {} fields, and Twitter's traces have {}", fields_.size(), kFields));
    }
    // A key may hold commas: fields are counted from both ends.
    const std::size_t extra = fields_.size() - kFields;
    const auto time = whole_number(fields_[0]);
    const auto key_bytes = whole_number(fields_[2 + extra]);
    const auto value_bytes = whole_number(fields_[3 + extra]);
    if (!time || !key_bytes || !value_bytes) return fail("its timestamp or one of its sizes is not a number");
    if (*key_bytes > kSizeMax || *value_bytes > kSizeMax - *key_bytes) return fail("its object is larger than 4 GiB");
    const std::string_view last = fields_[1 + extra];
    const std::string_view key(fields_[1].data(), static_cast<std::size_t>(last.data() + last.size() - fields_[1].data()));
    const std::string_view operation = fields_[5 + extra];
    record.time_s = static_cast<std::uint32_t>(*time);
    record.key = key_of(key);
    record.size = static_cast<std::uint32_t>(*key_bytes + *value_bytes);
    record.operation = operation == "delete"                       ? Operation::erase
                       : operation == "get" || operation == "gets" ? Operation::read
                                                                   : Operation::write;
    return Step::record;
  }

  std::vector<std::string_view> fields_;
};

}  // namespace

Result<std::unique_ptr<Reader>> make_twitter_reader(std::unique_ptr<Input> input) {
  return std::unique_ptr<Reader>(std::make_unique<TwitterReader>(std::move(input)));
}

}  // namespace freshet::trace
