// The table of settings: everything that can be configured, with its name in the file, its flag, its type, its limits and
// what it means. The TOML parser, the command line, CONFIG GET and SET and the reference in docs/ all read this table; a new
// setting is one field in Config and one row here. May use base only.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/config.h"

namespace freshet::base {

enum class SettingType : std::uint8_t {
  text,      // Any text.
  integer,   // A whole number.
  bytes,     // "1GiB"
  duration,  // "500ms"
  endpoint,  // "HOST:PORT"
  storage,   // "embedded", or a connection string of libpq's.
  choice,    // One of the names in `choices`.
};

enum class Changeable : std::uint8_t { at_start, at_run_time };

using SettingField = std::variant<std::string Config::*, std::int64_t Config::*>;

struct Setting {
  std::string_view key;   // "section.name"
  std::string_view flag;  // Without its dashes.
  SettingType type;
  SettingField field;
  Changeable changeable;
  std::string_view meaning;       // One paragraph.
  std::string_view choices = {};  // For SettingType::choice: names divided by '|'.
  std::int64_t minimum = 0;       // For numbers, sizes and durations.
  std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
  bool empty_allowed = false;     // For texts and endpoints: an empty one means "off".
  bool secret = false;            // Never printed.
  std::string_view redis_name = {};  // What Redis's CONFIG calls the same thing; there sizes are in bytes, times in seconds.

  std::string_view section() const { return key.substr(0, key.find('.')); }
  std::string_view name() const { return key.substr(key.find('.') + 1); }
};

// In the order of sections in the reference.
std::span<const Setting> settings();
// Null if there is none of that name.
const Setting* find_setting(std::string_view key);
const Setting* find_setting_by_flag(std::string_view flag);
const Setting* find_setting_by_redis_name(std::string_view name);
// The valid key nearest to a wrong one; a bare "listen" finds "server.listen". Empty if none is near.
std::string_view nearest_setting(std::string_view key);

std::vector<std::string_view> choices_of(const Setting& setting);
// What a value of the setting looks like, in words: "a duration with its unit …, from 100ms".
std::string expectation_of(const Setting& setting);

// Sets one setting from its text form. The error says what was expected; the config is then unchanged.
Result<void> set_from_text(Config& config, const Setting& setting, std::string_view text);
// The shortest text form that set_from_text reads back to the same value.
std::string text_of(const Config& config, const Setting& setting);

}  // namespace freshet::base
