// The settings as libpq's `options`, which the server applies when the session starts, over role's and database's defaults.
#include "storage/postgres/output_settings.h"

#include <algorithm>

namespace freshet::storage::postgres {

void add_output_settings(ConnectionParameters& parameters) {
  const auto drop = [&](std::string_view keyword) {
    std::string value;
    std::erase_if(parameters, [&](const auto& parameter) {
      if (parameter.first != keyword) return false;
      value = parameter.second;
      return true;
    });
    return value;
  };
  // The last of two settings wins.
  std::string options = drop("options");
  for (const auto& setting : kOutputSettings) {
    if (!options.empty()) options += ' ';
    options.append("-c ").append(setting.name).append("=").append(setting.value);
  }
  parameters.emplace_back("options", std::move(options));
  drop("client_encoding");
  parameters.emplace_back("client_encoding", "UTF8");
}

}  // namespace freshet::storage::postgres
