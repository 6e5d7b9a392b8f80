// Prometheus text over HTTP: the engine's figures and the workers' counters, read when somebody asks. May use cache.
#pragma once

#include <memory>
#include <string_view>

#include "freshet/result.h"

namespace prometheus {
class Exposer;
}

namespace freshet::server {

class Server;
class MetricsSource;

class Metrics {
 public:
  // Serves GET /metrics at HOST:PORT until destroyed.
  static Result<std::unique_ptr<Metrics>> start(Server& server, std::string_view listen);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  std::uint16_t port() const { return port_; }

 private:
  Metrics();
  std::shared_ptr<MetricsSource> source_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::uint16_t port_ = 0;
};

}  // namespace freshet::server
