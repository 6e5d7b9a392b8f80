// docs/CONFIGURATION.md, written from the table of settings. A test compares the two.
#include <fmt/format.h>

#include "base/config_schema.h"

namespace freshet::base {
namespace {

constexpr std::string_view kOpening = R"(# Configuration

<!-- Printed by `freshet config reference` from the table in src/base/config_schema.cc; a test compares. Do not edit. -->

`freshet serve` reads a TOML file if one is named with `--config FILE`; flags stand over the file. `freshet serve
--check-config` reads both, says what is wrong (file, line, what was expected, the nearest valid name) and stops;
if all is well it prints the result.

- A size is a number and `KiB`, `MiB`, `GiB` (or `kB`, `MB`, `GB`), a duration a number and `ms`, `s`, `min` (or `us`, `h`).
- What is marked *at run time* can also be changed by `CONFIG SET` while the server runs; `CONFIG GET *` shows everything
  but the secrets.

```toml
# A whole file. Every setting may be left out.
[server]
listen = "0.0.0.0:6380"
password = "a long one"

[storage]
url = "postgres://freshet@db.internal/shop?sslmode=verify-full"

[cache]
memory = "4GiB"
```
)";

std::string entry(const Config& defaults, const Setting& setting) {
  const std::string text = text_of(defaults, setting);
  return fmt::format("\n### `{}` · `--{}`\n\n{}\n\n- Takes {}.\n- Default: {}. Changes {}.\n", setting.key, setting.flag,
                     setting.meaning, expectation_of(setting), text.empty() ? "empty" : fmt::format("`{}`", text),
                     setting.changeable == Changeable::at_run_time ? "*at run time*" : "at the next start");
}

}  // namespace

std::string config_reference() {
  std::string page(kOpening);
  const Config defaults;
  std::string_view section;
  for (const Setting& setting : settings()) {
    if (setting.section() != section) {
      section = setting.section();
      page += fmt::format("\n## [{}]\n", section);
    }
    page += entry(defaults, setting);
  }
  return page;
}

}  // namespace freshet::base
