// Logging over spdlog's asynchronous logger: one writer thread, a bounded queue, the oldest message dropped when full.
#include "base/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace freshet::base {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"debug", "info", "warning", "error", "off"};

std::atomic<LogLevel> threshold{LogLevel::info};

// Standard error, counting the flushes done: they pass through the queue behind the messages logged before.
class Sink final : public spdlog::sinks::stderr_sink_mt {
 public:
  void flush() override {
    spdlog::sinks::stderr_sink_mt::flush();
    const std::lock_guard lock(mutex_);
    ++flushes_;
    flushed_.notify_all();
  }
  std::uint64_t flushes() {
    const std::lock_guard lock(mutex_);
    return flushes_;
  }
  void wait_past(std::uint64_t flushes) {
    std::unique_lock lock(mutex_);
    flushed_.wait_for(lock, kFlushWaitMax, [&] { return flushes_ > flushes; });
  }

 private:
  // A standard error that nobody reads must not keep a process from ending.
  static constexpr std::chrono::seconds kFlushWaitMax{1};
  std::mutex mutex_;
  std::condition_variable flushed_;
  std::uint64_t flushes_ = 0;
};

struct Logger {
  Logger()
      : threads(std::make_shared<spdlog::details::thread_pool>(kLogQueueMessages, 1)),
        sink(std::make_shared<Sink>()),
        logger(std::make_shared<spdlog::async_logger>("freshet", sink, threads,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_level(spdlog::level::trace);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  }
  std::shared_ptr<spdlog::details::thread_pool> threads;
  std::shared_ptr<Sink> sink;
  std::shared_ptr<spdlog::async_logger> logger;
};

// Made at the first message, and never destroyed: threads may log until the process is gone.
Logger& shared_logger() {
  static Logger* const logger = new Logger();
  return *logger;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
    case LogLevel::off: return spdlog::level::off;
  }
  return spdlog::level::err;
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void set_log_level(LogLevel level) { threshold.store(level, std::memory_order_relaxed); }

bool log_enabled(LogLevel level) {
  return level != LogLevel::off && level >= threshold.load(std::memory_order_relaxed);
}

std::string escape_log_message(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char byte : message) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x20 || code == 0x7f) {
      line += fmt::format("\\x{:02x}", code);
    } else {
      line += byte;
    }
  }
  return line;
}

void log_line(LogLevel level, std::string_view room, std::string message) {
  if (!log_enabled(level)) return;
  shared_logger().logger->log(spdlog_level(level), "{}: {}", room, escape_log_message(message));
}

void flush_log() {
  Logger& logger = shared_logger();
  const auto flushes = logger.sink->flushes();
  logger.logger->flush();
  logger.sink->wait_past(flushes);
}

}  // namespace freshet::base
