// The configuration as the engine and the server take it, and as CONFIG GET and CONFIG SET see it. May use every room.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/config_schema.h"
#include "cache/engine.h"
#include "server/options.h"
#include "server/settings.h"

namespace freshet::cli {

cache::EngineOptions engine_options(const base::Config& config);
server::ServerOptions server_options(const base::Config& config);

// The configuration of the running process. Thread-safe.
class LiveSettings final : public server::Settings {
 public:
  // Called with the configuration after a change, one call at a time; must not block.
  using Apply = std::function<void(const base::Config&)>;

  explicit LiveSettings(base::Config config) : config_(std::move(config)) {}

  // Settings changed before this are handed over at once.
  void on_change(Apply apply);

  // By our names and by Redis's: "cache.memory" = "1GiB", "maxmemory" = "1073741824". Two of Redis's that mean nothing here
  // are listed because its tools ask for them.
  std::vector<std::pair<std::string, std::string>> list() const override;
  // By either name.
  Result<void> set(std::string_view name, std::string_view text) override;

 private:
  mutable std::mutex mutex_;
  base::Config config_;
  Apply apply_;
};

// The text of a setting as Redis's CONFIG shows it (bytes, whole seconds), and the other way round ("100mb", "30").
std::string to_redis_text(const base::Config& config, const base::Setting& setting);
std::string from_redis_text(const base::Setting& setting, std::string_view text);

}  // namespace freshet::cli
