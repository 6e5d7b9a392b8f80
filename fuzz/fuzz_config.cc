// Any bytes as a configuration file: a configuration, or an error that names the file. What is read prints as text that is
// read back to the same.
#include <cstdlib>
#include <string_view>

#include "base/config.h"
#include "base/config_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace freshet::base;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = parse_config(text, "fuzz.toml");
  if (!config) {
    if (!config.error().what.starts_with("fuzz.toml:")) std::abort();
    return 0;
  }
  Config again;
  for (const Setting& setting : settings()) {
    if (!set_from_text(again, setting, text_of(*config, setting))) std::abort();
  }
  if (!(again == *config)) std::abort();
  return 0;
}
