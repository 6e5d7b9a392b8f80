// CLI11 at work.
#include "cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/config_schema.h"
#include "base/config_values.h"

namespace freshet::cli {
namespace {

std::string hint_for(const CLI::App& app, std::string_view unknown) {
  const auto equals = std::min(unknown.find('='), unknown.size());
  const auto dashes = std::min(unknown.find_first_not_of('-'), equals);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const auto near = base::nearest_name(unknown.substr(dashes, equals - dashes), views);
  return near.empty() ? fmt::format("{} --help lists them", app.get_name()) : fmt::format("did you mean --{}?", near);
}

// What stands for a setting's value in the help.
std::string placeholder_of(const base::Setting& setting) {
  switch (setting.type) {
    case base::SettingType::text: return "TEXT";
    case base::SettingType::integer: return "NUMBER";
    case base::SettingType::bytes: return "SIZE";
    case base::SettingType::duration: return "DURATION";
    case base::SettingType::endpoint: return "HOST:PORT";
    case base::SettingType::storage: return "embedded|postgres://…";
    case base::SettingType::choice: return std::string(setting.choices);
  }
  return "VALUE";
}

}  // namespace

std::optional<int> parse(CLI::App& app, Arguments arguments) {
  app.allow_extras();
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kExitFine;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
    return kExitUsage;
  }
  const auto unknown = app.remaining();
  if (unknown.empty()) return std::nullopt;
  const std::string& first = unknown.front();
  fmt::print(stderr, "{}: there is no argument \"{}\"; {}\n", app.get_name(), first, hint_for(app, first));
  return kExitUsage;
}

ConfigFlags::ConfigFlags(CLI::App& app) {
  app.add_option("--config", file_, "a configuration file (TOML); flags stand over it")->type_name("FILE");
  for (const base::Setting& setting : base::settings()) {
    const auto take = [this, key = setting.key](const std::string& text) { values_[key] = text; };
    auto* option = app.add_option_function<std::string>(fmt::format("--{}", setting.flag), take,
                                                        std::string(setting.meaning.substr(0, setting.meaning.find(". "))));
    option->type_name(placeholder_of(setting))->group(fmt::format("[{}]", setting.section()));
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

Result<base::Config> ConfigFlags::config() const {
  base::Config config;
  if (!file_.empty()) {
    auto read = base::read_config_file(file_);
    if (!read) return std::move(read).error();
    config = *read;
  }
  for (const auto& [key, text] : values_) {
    const base::Setting* setting = base::find_setting(key);
    if (auto set = base::set_from_text(config, *setting, text); !set) {
      Error error = std::move(set).error();
      error.what = fmt::format("--{}: {}", setting->flag, error.what);
      return error;
    }
  }
  return config;
}

void print_error(std::string_view command, const Error& error) {
  fmt::print(stderr, "freshet {}: {}{}{}\n", command, error.what, error.remedy.empty() ? "" : "; ", error.remedy);
}

}  // namespace freshet::cli
