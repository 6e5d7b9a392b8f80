// `freshet record`: writes down what a running server is asked for, as a trace that `freshet sim` reads.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "cli/arguments.h"
#include "cli/stop_signals.h"
#include "client/connection.h"
#include "protocol/reply_writer.h"
#include "server/recorded_access.h"
#include "trace/writer.h"

namespace freshet::cli {
namespace {

using server::AccessKind;
using server::RecordedAccess;

constexpr base::Nanoseconds kCallTime = 5 * base::kSecond;
constexpr std::size_t kReceiveBytes = 256 << 10;
// The server's threads send by themselves, each at least every 100 ms: accesses are put in order before they are written, as
// far as they are not older than this than the newest one, nor more than fit here.
constexpr std::int64_t kReorderUs = 500'000;
constexpr std::size_t kReorderAccessesMax = 4 << 20;

struct RecordOptions {
  std::string target = "127.0.0.1:6380", password, out;
  double rate = 1;
  double seconds = 0;          // 0: until it is stopped.
  std::uint64_t requests = 0;  // 0: as many as come.
  bool force = false;
};

// About how many different keys there were, from the smallest hashes alone (k minimum values: Bar-Yossef and others,
// "Counting distinct elements in a data stream", RANDOM 2002). Exact up to kKept of them, and then to within some 3 %.
class KeyCount {
 public:
  void add(std::uint64_t hash) {
    if (smallest_.size() == kKept) {
      if (hash >= *smallest_.rbegin() || !smallest_.insert(hash).second) return;
      smallest_.erase(std::prev(smallest_.end()));
    } else {
      smallest_.insert(hash);
    }
  }
  bool is_exact() const { return smallest_.size() < kKept; }
  double estimate() const {
    if (is_exact()) return static_cast<double>(smallest_.size());
    return static_cast<double>(kKept - 1) * 0x1p64 / static_cast<double>(*smallest_.rbegin());
  }

 private:
  static constexpr std::size_t kKept = 4096;
  std::set<std::uint64_t> smallest_;
};

// The trace's file, and what went into it.
class Trace {
 public:
  Trace(std::unique_ptr<trace::Writer> writer, std::uint64_t requests_max)
      : writer_(std::move(writer)), requests_max_(requests_max) {}

  std::uint64_t dropped = 0;

  bool is_full() const { return requests_max_ != 0 && writer_->records_written() >= requests_max_; }

  Result<void> add(std::string_view records) {
    for (std::size_t at = 0; at + server::kRecordedAccessBytes <= records.size(); at += server::kRecordedAccessBytes) {
      held_.push_back(server::unpack(records.data() + at));
      newest_us_ = std::max(newest_us_, held_.back().time_us);
    }
    // Half of what is held, or more, can be written: no access is sorted often.
    const bool enough = !held_.empty() && held_.front().time_us < newest_us_ - 2 * kReorderUs;
    if (!enough && held_.size() < kReorderAccessesMax && !may_fill(held_.size())) return {};
    const std::size_t least = held_.size() < kReorderAccessesMax ? 0 : held_.size() / 2;
    return write_older_than(may_fill(held_.size()) ? INT64_MAX : newest_us_ - kReorderUs, least);
  }

  // Nothing more is written after an error: the file may end within a record.
  Result<void> finish() {
    if (failure_) return *failure_;
    auto written = write_older_than(INT64_MAX, 0);
    return written ? writer_->finish() : written;
  }

  std::string summary(const RecordOptions& options, double seconds) const {
    const bool deletes_too = writer_->has_operations();
    auto text = fmt::format("{}: {} accesses ({} reads, {} writes{}) of {}{:.0f} keys in {:.1f} s\n", options.out,
                            writer_->records_written(), reads_, writes_,
                            deletes_too ? fmt::format(", {} deletes", erases_) : "", keys_.is_exact() ? "" : "about ",
                            keys_.estimate(), seconds);
    if (options.rate < 1) text += fmt::format("sampled: {:g} of all keys\n", options.rate);
    if (erases_ > 0 && !deletes_too) {
      text += fmt::format("left out: {} deletes, for which the format has no place (CSV has: --out NAME.csv.zst)\n",
                          erases_);
    }
    text += fmt::format("dropped: {} accesses that the server could not send in time\n", dropped);
    return text;
  }

 private:
  bool may_fill(std::size_t more) const {
    return requests_max_ != 0 && writer_->records_written() + more >= requests_max_;
  }

  // And the `least` oldest ones in any case.
  Result<void> write_older_than(std::int64_t time_us, std::size_t least) {
    // Stable: what one thread of the server sent is in order already.
    std::stable_sort(held_.begin(), held_.end(), [](const auto& a, const auto& b) { return a.time_us < b.time_us; });
    std::size_t done = 0;
    for (; done < held_.size() && (done < least || held_[done].time_us < time_us) && !is_full(); ++done) {
      auto written = write(held_[done]);
      if (!written) return failure_ = written.error(), written;
    }
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(done));
    return {};
  }

  Result<void> write(const RecordedAccess& access) {
    ++(access.kind == AccessKind::read ? reads_ : access.kind == AccessKind::write ? writes_ : erases_);
    if (access.kind != AccessKind::erase || writer_->has_operations()) keys_.add(access.key);
    const auto operation = access.kind == AccessKind::read    ? trace::Operation::read
                           : access.kind == AccessKind::write ? trace::Operation::store
                                                              : trace::Operation::erase;
    return writer_->write({access.key, std::min(access.size, trace::kSizeMax),
                           static_cast<std::uint32_t>(access.time_us / 1'000'000), operation});
  }

  const std::unique_ptr<trace::Writer> writer_;
  const std::uint64_t requests_max_;
  std::vector<RecordedAccess> held_;
  std::int64_t newest_us_ = 0;
  KeyCount keys_;
  std::optional<Error> failure_;  // Of the file.
  std::uint64_t reads_ = 0, writes_ = 0, erases_ = 0;
};

// The connection, once it is the server's to send on: replies as they come, until the deadline or a signal.
class Stream {
 public:
  Stream(int descriptor, int interrupt) : descriptor_(descriptor), interrupt_(interrupt) {}
  ~Stream() { ::close(descriptor_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Result<void> send(std::string_view bytes) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return {};  // The first bytes on this socket in a while.
    return Error::of(ErrorCode::unavailable, "the command could not be sent", "try again");
  }

  // Nothing: the deadline has passed, or a signal came.
  Result<std::optional<protocol::Reply>> next(base::Nanoseconds deadline) {
    for (;;) {
      auto reply = parser_.next();
      if (!reply || *reply) return reply;
      pollfd waiting[] = {{descriptor_, POLLIN, 0}, {interrupt_, POLLIN, 0}};
      const auto left = std::clamp<base::Nanoseconds>(deadline - base::now(), 0, 60 * base::kSecond);
      if (::poll(waiting, 2, static_cast<int>((left + base::kMillisecond - 1) / base::kMillisecond)) < 0) continue;
      if (waiting[1].revents != 0 || base::now() >= deadline) return std::optional<protocol::Reply>();
      if (waiting[0].revents == 0) continue;
      if (auto taken = receive(); !taken) return taken.error();
    }
  }

 private:
  Result<void> receive() {
    buffer_.resize(kReceiveBytes);
    const ssize_t got = ::recv(descriptor_, buffer_.data(), buffer_.size(), 0);
    if (got > 0) return parser_.feed({buffer_.data(), static_cast<std::size_t>(got)}), Result<void>();
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    return Error::of(ErrorCode::unavailable,
                     got == 0 ? "the server closed the connection"
                              : fmt::format("the connection broke: {}", std::strerror(errno)),
                     "the trace ends there, and can be read");
  }

  const int descriptor_;
  const int interrupt_;
  protocol::ReplyParser parser_;
  std::vector<char> buffer_;
};

Result<int> connect(const RecordOptions& options, const client::Target& target) {
  const auto deadline = base::deadline_after(base::now(), kCallTime);
  auto connection = client::Connection::connect(target, deadline);
  if (!connection) return std::move(connection).error();
  if (!options.password.empty()) {
    auto admitted = connection->call({"AUTH", options.password}, deadline);
    if (!admitted) return admitted.error();
    if (admitted->is_error()) return Error::of(ErrorCode::invalid_argument, options.target + " says: " + admitted->text);
  }
  return connection->release();
}

// The server has agreed to send.
Result<void> ask(Stream& stream, const RecordOptions& options) {
  const std::string rate = fmt::format("{}", options.rate);
  protocol::Buffer command;
  const std::string_view words[] = {"FRESHET.RECORD", "SAMPLE", rate};
  protocol::write_command(command, words, std::size(words));
  if (auto sent = stream.send(command.view()); !sent) return sent;
  auto reply = stream.next(base::deadline_after(base::now(), kCallTime));
  if (!reply) return std::move(reply).error();
  if (!*reply) return Error::of(ErrorCode::deadline_exceeded, options.target + " did not answer, or was not waited for");
  if (!(*reply)->is_error()) return {};
  if ((*reply)->text.find("unknown command") == std::string::npos) {
    return Error::of(ErrorCode::unavailable, options.target + " says: " + (*reply)->text);
  }
  return Error::of(ErrorCode::unsupported, options.target + " cannot record: it does not know FRESHET.RECORD",
                   "it is no Freshet, or one that is older than this program");
}

Result<std::unique_ptr<trace::Writer>> open_file(const RecordOptions& options) {
  if (!options.force && ::access(options.out.c_str(), F_OK) == 0) {
    return Error::of(ErrorCode::invalid_argument, options.out + " exists", "choose another name, or replace it by --force");
  }
  return trace::Writer::create(options.out);
}

Result<void> take_batch(const protocol::Reply& reply, Trace& into) {
  const auto& items = reply.items;
  const bool is_batch = items.size() == 3 && items[0].text == server::kRecordedBatch;
  if (!is_batch || items[2].text.size() % server::kRecordedAccessBytes != 0) {
    return Error::of(ErrorCode::unsupported,
                     "the server sent something else than a batch of accesses: " + reply.to_text().substr(0, 100),
                     "use the server's own version of freshet");
  }
  into.dropped += static_cast<std::uint64_t>(items[1].integer);
  return into.add(items[2].text);
}

// Until it is full, the time is over, or a signal comes. An error of the server's end still leaves a trace to finish.
Result<void> record(Stream& stream, const RecordOptions& options, Trace& into) {
  const auto time = options.seconds > 0 ? static_cast<base::Nanoseconds>(options.seconds * base::kSecond) : base::kForever;
  const auto deadline = base::deadline_after(base::now(), time);
  while (!into.is_full()) {
    auto reply = stream.next(deadline);
    if (!reply) return std::move(reply).error();
    if (!*reply) return {};
    if (auto taken = take_batch(**reply, into); !taken) return taken;
  }
  return {};
}

int failed(const Error& error, int exit_code = kExitFailed) {
  print_error("record", error);
  return exit_code;
}

int record_into_file(const RecordOptions& options) {
  const auto target = client::parse_target(options.target);
  if (!target) return failed(target.error(), kExitUsage);
  StopSignals signals;
  const auto descriptor = connect(options, *target);
  if (!descriptor) return failed(descriptor.error());
  Stream stream(*descriptor, signals.descriptor());
  if (auto agreed = ask(stream, options); !agreed) return failed(agreed.error());
  auto writer = open_file(options);
  if (!writer) return failed(writer.error());
  Trace into(*std::move(writer), options.requests);
  const auto began = base::now();
  if (isatty(STDERR_FILENO) == 1) fmt::print(stderr, "recording {} into {}; Ctrl-C ends it\n", options.target, options.out);
  const auto recorded = record(stream, options, into);
  const double seconds = static_cast<double>(base::now() - began) / base::kSecond;
  if (auto finished = into.finish(); !finished) return failed(finished.error());
  fmt::print("{}", into.summary(options, seconds));
  return recorded ? kExitFine : failed(recorded.error());
}

}  // namespace

int run_record(Arguments arguments) {
  RecordOptions options;
  CLI::App app("Writes what a running server is asked for into a trace that freshet sim reads, until Ctrl-C. Keys are\n"
               "hashed under a secret of this recording alone. docs/RECORD.md says what is counted.", "freshet record");
  app.add_option("--target", options.target, "the server")->type_name("HOST:PORT")->capture_default_str();
  app.add_option("--password", options.password, "sent with AUTH")->type_name("TEXT");
  app.add_option("--out", options.out, "the trace; with operations if the name ends in .csv or .csv.zst; packed if in .zst")
      ->type_name("FILE")->required();
  app.add_option("--sample", options.rate, "the share of keys to record, above 0")->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "ends after so long; 0: not by itself")->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--requests", options.requests, "ends after so many accesses; 0: not by itself")->capture_default_str();
  app.add_flag("--force", options.force, "replace the file if it exists");
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  return record_into_file(options);
}

}  // namespace freshet::cli
