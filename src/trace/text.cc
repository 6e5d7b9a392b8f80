// One key a line: see trace/formats.h.
#include "trace/formats.h"
#include "trace/lines.h"

namespace freshet::trace {
namespace {

class TextReader final : public LineReader {
 public:
  explicit TextReader(std::unique_ptr<Input> input) : LineReader(std::move(input)) {}
  Format format() const override { return Format::text; }

 private:
  Step next(Record& record) override {
    std::string_view line;
    const Step step = next_line(line);
    if (step == Step::record) record = {.key = key_of(line), .size = 1};
    return step;
  }
};

}  // namespace

Result<std::unique_ptr<Reader>> make_text_reader(std::unique_ptr<Input> input) {
  return std::unique_ptr<Reader>(std::make_unique<TextReader>(std::move(input)));
}

}  // namespace freshet::trace
