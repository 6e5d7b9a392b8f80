// Any bytes as a configuration file: a configuration, or an error that names the file. What is read prints as text that is
// read back to the same.
#include <cstdlib>
#include <string>
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
  std::string collections;
  for (const auto& collection : config->collections) collections += text_of(collection);
  const auto reread = parse_config(collections, "again.toml");
  // A file of the largest size may print as a larger one.
  if (!reread && collections.size() <= kConfigFileBytesMax) std::abort();
  again.collections = reread ? reread->collections : config->collections;
  if (!(again == *config)) std::abort();
  return 0;
}
