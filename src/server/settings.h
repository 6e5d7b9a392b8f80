// What CONFIG GET, CONFIG SET and FRESHET.RELOAD read and change. The server owns this small interface; whoever keeps the
// configuration implements it. May use nothing but the public API.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "freshet/result.h"

namespace freshet::server {

// Called from the server's threads, several at a time.
class Settings {
 public:
  virtual ~Settings() = default;

  // Every setting with its current text, Redis's names where Redis has the same thing ("maxmemory", "maxclients",
  // "timeout"). Secrets are left out.
  virtual std::vector<std::pair<std::string, std::string>> list() const = 0;

  // Changes a setting while running. Errors: invalid_argument (no such setting, or no such value: names what was expected),
  // unsupported (it takes a restart). Must not block.
  virtual Result<void> set(std::string_view name, std::string_view text) = 0;

  // Reads the configuration's collections anew and has the engine change to them. Answers, on any thread, with a sentence
  // for each that is another now. Errors: what is wrong with the file; those of cache::Engine::change_collections().
  using Reloaded = std::function<void(Result<std::vector<std::string>>)>;
  virtual void reload(Reloaded done) = 0;
};

}  // namespace freshet::server
