// Configuration files: TOML, read by toml++ over the defaults.
#include "base/config.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/config_collections.h"
#include "base/config_schema.h"
#include "base/config_values.h"
#include "base/toml.h"

namespace freshet::base {
namespace {

Error error_at(std::string_view filename, const toml::source_region& where, std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("{}:{}: {}", filename, where.begin.line, what),
                   std::move(remedy));
}

// The text form of a node, if it is of the kind that the setting takes.
std::optional<std::string> text_form(const toml::node& node, SettingType type) {
  const bool takes_number = type == SettingType::integer || type == SettingType::bytes || type == SettingType::duration;
  if (const auto* number = node.as_integer(); number != nullptr && takes_number) return fmt::format("{}", number->get());
  if (const auto* text = node.as_string(); text != nullptr && type != SettingType::integer) return text->get();
  return std::nullopt;
}

class FileReader {
 public:
  explicit FileReader(std::string_view filename) : filename_(filename) {}

  Result<Config> read(const toml::table& file) {
    for (const auto& [section, node] : file) {
      if (section.str() == kCollectionSection) {
        config_.collections = read_collections(node, [this](const toml::source_region& where, std::string what,
                                                            std::string remedy) {
          fail(where, std::move(what), std::move(remedy));
        });
      } else if (const auto* table = node.as_table(); table != nullptr && is_section(section.str())) {
        for (const auto& [name, value] : *table) take(fmt::format("{}.{}", section.str(), name.str()), value, name);
      } else {
        unknown(section.str(), section);
      }
    }
    if (error_) return *error_;
    return config_;
  }

 private:
  static bool is_section(std::string_view name) {
    for (const Setting& setting : settings()) {
      if (setting.section() == name) return true;
    }
    return false;
  }

  void take(const std::string& key, const toml::node& node, const toml::key& name) {
    const Setting* setting = find_setting(key);
    if (setting == nullptr) return unknown(key, name);
    const auto text = text_form(node, setting->type);
    if (!text) {
      const auto what = fmt::format("{}: expected {}, found {}", key, expectation_of(*setting), kind_of_node(node));
      return fail(node.source(), what);
    }
    if (auto set = set_from_text(config_, *setting, *text); !set) {
      fail(node.source(), fmt::format("{}: {}", key, set.error().what), set.error().remedy);
    }
  }

  void unknown(std::string_view key, const toml::key& name) {
    std::vector<std::string_view> sections;
    for (const Setting& setting : settings()) sections.push_back(setting.section());
    sections.push_back(kCollectionSection);
    const bool is_top = key.find('.') == std::string_view::npos;
    auto near = is_top ? nearest_name(key, sections) : std::string_view();
    std::string written = near == kCollectionSection ? fmt::format("[[{}]]", near) : fmt::format("section [{}]", near);
    if (near.empty()) {
      near = nearest_setting(key);
      written = fmt::format("\"{}\"", near);
    }
    fail(name.source(), fmt::format("there is no setting \"{}\"", key.substr(0, kNameBytesMax)),
         near.empty() ? std::string("docs/CONFIGURATION.md lists the settings.") : fmt::format("Did you mean {}?", written));
  }

  // Keeps the error that stands first in the file: toml++ hands the keys out in alphabetical order.
  void fail(const toml::source_region& where, std::string what, std::string remedy = {}) {
    if (error_ && first_line_ <= where.begin.line) return;
    first_line_ = where.begin.line;
    error_ = error_at(filename_, where, std::move(what), std::move(remedy));
  }

  std::string_view filename_;
  Config config_;
  std::optional<Error> error_;
  toml::source_index first_line_ = 0;
};

}  // namespace

Result<Config> parse_config(std::string_view text, std::string_view filename) {
  if (text.size() > kConfigFileBytesMax) {
    const auto limit = format_bytes(kConfigFileBytesMax);
    return Error::of(ErrorCode::invalid_argument, fmt::format("{}: larger than {}", filename, limit));
  }
  const auto parsed = toml::parse(text, filename);
  if (!parsed) return error_at(filename, parsed.error().source(), std::string(parsed.error().description()));
  return FileReader(filename).read(parsed.table());
}

Result<Config> read_config_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored)) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("{}: cannot be read", path),
                     "Check the name, and the file's owner and mode.");
  }
  text << file.rdbuf();
  return parse_config(text.view(), path);
}

}  // namespace freshet::base
