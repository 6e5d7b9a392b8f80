// The configuration as the engine and the server take it, and as CONFIG GET, CONFIG SET and FRESHET.RELOAD see it. May use
// every room.
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

  // Gives the configuration as it stands written down now.
  using Reread = std::function<Result<base::Config>()>;
  // Takes other collections; answers when that is done.
  using ChangeCollections = std::function<void(std::vector<storage::CollectionSpec>, Reloaded)>;

  explicit LiveSettings(base::Config config, Reread reread = {})
      : config_(std::move(config)), reread_(std::move(reread)) {}

  // Settings changed before this are handed over at once.
  void on_change(Apply apply);
  // Null: reload() is refused.
  void on_reload(ChangeCollections change);

  // By our names and by Redis's: "cache.memory" = "1GiB", "maxmemory" = "1073741824". Two of Redis's that mean nothing here
  // are listed because its tools ask for them.
  std::vector<std::pair<std::string, std::string>> list() const override;
  // By either name.
  Result<void> set(std::string_view name, std::string_view text) override;
  // All settings but the collections stay what they are.
  void reload(Reloaded done) override;

 private:
  mutable std::mutex mutex_;
  base::Config config_;
  Apply apply_;
  const Reread reread_;
  ChangeCollections change_;
};

// The text of a setting as Redis's CONFIG shows it (bytes, whole seconds), and the other way round ("100mb", "30").
std::string to_redis_text(const base::Config& config, const base::Setting& setting);
std::string from_redis_text(const base::Setting& setting, std::string_view text);

}  // namespace freshet::cli
