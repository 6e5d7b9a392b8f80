// `freshet bench`: the load generator, from the command line; and `freshet bench linked`, which measures the library.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"
#include "base/random.h"
#include "cli/arguments.h"
#include "cli/stop_signals.h"
#include "load/memcached.h"
#include "load/report.h"

namespace freshet::cli {
namespace {

constexpr const char* kAbout =
    "Sends reads and writes to a server that speaks the Redis protocol, or memcached's, and measures it; with --vs,\n"
    "to two of them in turns. docs/BENCH.md says what each figure means. `freshet bench linked` measures the library in\n"
    "process.";

struct BenchOptions {
  std::string target = "127.0.0.1:6380", vs;
  std::string password, vs_password;
  int target_pid = 0, vs_pid = 0;
  load::Shape shape;
  std::string arrivals = "poisson";
  std::uint64_t keys = 100'000;
  std::string key_prefix = "key:", keys_from, trace, format;
  double zipf = 0;
  std::string value_size = "100";
  load::Mix mix;
  int rounds = 6;
  double seconds = 10;
  bool fill = false, json = false;
  std::uint64_t seed = 0;
};

void bind_target(CLI::App& app, BenchOptions& options) {
  app.add_option("--target", options.target, "the server to measure")
      ->type_name("[memcached://]HOST:PORT")->capture_default_str();
  app.add_option("--vs", options.vs, "another one, measured in turns with it")
      ->type_name("[memcached://]HOST:PORT");
  app.add_option("--password", options.password, "sent to the target with AUTH")->type_name("TEXT");
  app.add_option("--vs-password", options.vs_password, "sent to the other one")->type_name("TEXT");
  app.add_option("--target-pid", options.target_pid, "the target's process, if it cannot be found")
      ->check(CLI::PositiveNumber);
  app.add_option("--vs-pid", options.vs_pid, "the other one's")->check(CLI::PositiveNumber);
}

void bind_load(CLI::App& app, BenchOptions& options) {
  auto& shape = options.shape;
  app.add_option("--connections", shape.connections, "of all threads together")
      ->check(CLI::Range(1, load::kConnectionsMax))->capture_default_str();
  app.add_option("--threads", shape.threads, "of the generator")
      ->check(CLI::Range(1, load::kThreadsMax))->capture_default_str();
  app.add_option("--pipeline", shape.pipeline, "requests of a connection that may be unanswered")
      ->check(CLI::Range(1u, load::kPipelineMax))->capture_default_str();
  app.add_option("--rate", shape.rate, "open loop: requests a second; 0: closed loop, as many as it answers")
      ->check(CLI::Range(0.0, 1e9))->capture_default_str();
  app.add_option("--arrivals", options.arrivals, "open loop: gaps as of independent users, or equal ones")
      ->check(CLI::IsMember({"poisson", "even"}))->capture_default_str();
  app.add_option("--writes", options.mix.writes, "share of the requests that write (SET)")
      ->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--batch", options.mix.batch, "keys that a read asks for; above 1: MGET")
      ->check(CLI::Range(1u, load::kBatchMax))->capture_default_str();
}

void bind_keys(CLI::App& app, BenchOptions& options) {
  app.add_option("--keys", options.keys, "how many, named as redis-benchmark does")
      ->check(CLI::Range(std::uint64_t{1}, load::kKeysMax))->capture_default_str();
  app.add_option("--key-prefix", options.key_prefix, "what stands before a key's twelve digits")->capture_default_str();
  app.add_option("--zipf", options.zipf, "exponent of Zipf's law; 0: uniform")->capture_default_str();
  auto* list = app.add_option("--keys-from", options.keys_from, "the keys instead, a line each, in the file's order");
  list->type_name("FILE");
  auto* trace = app.add_option("--trace", options.trace, "the keys instead, as this trace asks for them");
  trace->type_name("FILE")->excludes(list);
  app.add_option("--format", options.format, "of the trace, as freshet sim takes it; found out by itself if not given")
      ->needs(trace);
  app.add_option("--value-size", options.value_size, "SIZE, LEAST-LARGEST or lognormal:MEDIAN:SIGMA")->capture_default_str();
  app.add_flag("--fill", options.fill, "first write every key, and read it once");
}

void bind_run(CLI::App& app, BenchOptions& options) {
  app.add_option("--seconds", options.seconds, "of all rounds together, a target")->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "in which it is measured")->check(CLI::Range(1, load::kRoundsMax))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the draws; 0: drawn, and printed")->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object a target, a line each");
}

Result<load::LoadTarget> target_of(const std::string& text, const std::string& password, int pid) {
  const bool is_memcached = text.starts_with(load::memcached::kScheme);
  auto address = client::parse_target(std::string_view(text).substr(is_memcached ? load::memcached::kScheme.size() : 0));
  if (!address) return std::move(address).error();
  if (is_memcached && !password.empty()) {
    return Error::of(ErrorCode::invalid_argument, "memcached's text protocol has no passwords", "leave the password out");
  }
  load::LoadTarget target{text, *std::move(address), password};
  if (is_memcached) target.protocol = load::Protocol::memcached;
  if (pid == 0) return target;
  auto process = load::TargetProcess::of_pid(pid);
  if (!process) return std::move(process).error();
  target.process = *std::move(process);
  return target;
}

Result<std::vector<load::LoadTarget>> targets_of(const BenchOptions& options) {
  std::vector<load::LoadTarget> targets;
  auto target = target_of(options.target, options.password, options.target_pid);
  if (!target) return std::move(target).error();
  targets.push_back(*std::move(target));
  if (options.vs.empty()) return targets;
  auto other = target_of(options.vs, options.vs_password, options.vs_pid);
  if (!other) return std::move(other).error();
  targets.push_back(*std::move(other));
  return targets;
}

Result<std::shared_ptr<load::KeySet>> keys_of(const BenchOptions& options) {
  if (!options.keys_from.empty()) return load::listed_keys(options.keys_from);
  if (options.trace.empty()) return load::numbered_keys(options.key_prefix, options.keys, options.zipf);
  trace::ReadOptions read;
  if (!options.format.empty()) {
    const auto format = trace::format_named(options.format);
    if (!format) return format.error();
    read.format = *format;
  }
  return load::traced_keys(options.trace, read);
}

// Numbered keys differ in their digits alone, and a trace's are hashes: one stands for all. Those of a list are looked at.
Result<void> fit_memcached(load::KeySet& keys, bool listed) {
  const auto each = keys.each(0, listed ? keys.size() : 1);
  for (auto key = each->next(); !key.empty(); key = each->next()) {
    if (load::memcached::is_key(key)) continue;
    return Error::of(ErrorCode::invalid_argument, fmt::format("memcached takes no key such as \"{}\"", key.substr(0, 100)),
                     fmt::format("keys there have at most {} bytes, and no blanks", load::memcached::kKeyBytesMax));
  }
  return {};
}

Result<load::BenchPlan> plan_of(const BenchOptions& options) {
  load::BenchPlan plan;
  auto keys = keys_of(options);
  if (!keys) return std::move(keys).error();
  auto sizes = load::ValueSizes::parse(options.value_size);
  if (!sizes) return std::move(sizes).error();
  plan.keys = *std::move(keys);
  plan.values = std::make_shared<load::Values>(*std::move(sizes));
  plan.shape = options.shape;
  plan.shape.arrivals = options.arrivals == "even" ? load::Arrivals::even : load::Arrivals::poisson;
  plan.mix = options.mix;
  plan.rounds = options.rounds;
  plan.duration = static_cast<base::Nanoseconds>(options.seconds * base::kSecond);
  plan.fill = options.fill;
  plan.seed = options.seed != 0 ? options.seed : base::entropy() >> 32;
  return plan;
}

std::string header_of(const BenchOptions& options, const load::BenchPlan& plan) {
  const auto& shape = plan.shape;
  const bool open = shape.rate > 0;
  const auto loop = open ? fmt::format("open loop, {:.0f} requests/s ({})", shape.rate, options.arrivals) : "closed loop";
  const auto reads = plan.mix.batch > 1 ? fmt::format("MGET of {} keys", plan.mix.batch) : "GET";
  return fmt::format("{}; connections {}, threads {}, pipeline {}; {}, {:.4g} % SET; {}, value size {}; {} rounds of "
                     "{:.3g} s; seed {}\n\n",
                     loop, shape.connections, shape.threads, shape.pipeline, reads, 100 * plan.mix.writes,
                     plan.keys->to_text(), options.value_size, plan.rounds, options.seconds / plan.rounds, plan.seed);
}

int usage(const Error& error) {
  print_error("bench", error);
  return kExitUsage;
}

int failed(const Error& error) {
  print_error("bench", error);
  return kExitFailed;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int bench(const BenchOptions& options) {
  auto targets = targets_of(options);
  if (!targets) return usage(targets.error());
  auto plan = plan_of(options);
  if (!plan) return usage(plan.error());
  for (const auto& target : *targets) {
    if (target.protocol != load::Protocol::memcached) continue;
    if (auto fits = fit_memcached(*plan->keys, !options.keys_from.empty()); !fits) return usage(fits.error());
  }
  StopSignals signals;
  plan->interrupt = signals.descriptor();
  const bool live = isatty(STDERR_FILENO) == 1;
  plan->progress = [live](const std::string& text) {
    if (live) fmt::print(stderr, "\r\x1b[K{}", text);
  };
  auto comparison = load::run_bench(*std::move(targets), *plan);
  plan->progress("");
  if (!comparison) return failed(comparison.error());
  print(options.json ? load::json_of(*comparison)
                     : header_of(options, *plan) + load::table_of(*comparison, plan->shape));
  if (comparison->failure) return failed(*comparison->failure);
  for (const auto& measured : comparison->targets) {
    const auto& total = measured.total;
    if (total.operations > 0 || total.errors == 0) continue;
    return failed(Error::of(ErrorCode::unavailable, fmt::format("{} answered nothing but errors: {}", measured.target.name,
                                                                total.error_texts.front())));
  }
  return kExitFine;
}

int run_linked(Arguments arguments) {
  load::LinkedPlan plan;
  bool json = false;
  CLI::App app("Measures the library in process: embedded storage in a temporary folder, the public C++ API, linearizable\n"
               "reads, copied out; beside it std::unordered_map in the same run.", "freshet bench linked");
  app.add_option("--keys", plan.keys, "how many, drawn uniformly")->check(CLI::Range(std::uint64_t{1}, load::kLinkedKeysMax))
      ->capture_default_str();
  app.add_option("--value-size", plan.value_bytes, "bytes of a value")
      ->check(CLI::Range(std::size_t{1}, load::kValueBytesMax))
      ->capture_default_str();
  app.add_option("--threads", plan.threads, "that read and write")
      ->check(CLI::Range(1, load::kThreadsMax))->capture_default_str();
  app.add_option("--batch", plan.batch, "keys that a read asks for")
      ->check(CLI::Range(1u, load::kBatchMax))->capture_default_str();
  app.add_option("--writes", plan.writes, "share of the requests that write")
      ->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--seconds", plan.seconds, "how long")->check(CLI::Range(0.01, 1e6))->capture_default_str();
  app.add_option("--seed", plan.seed, "of the draws")->capture_default_str();
  app.add_flag("--json", json, "one JSON object");
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  StopSignals signals;
  plan.interrupt = signals.descriptor();
  base::set_log_level(base::LogLevel::warning);
  const auto figures = load::measure_linked(plan);
  if (!figures) return failed(figures.error());
  print(json ? load::json_of(*figures) : load::table_of(*figures));
  return kExitFine;
}

}  // namespace

int run_bench(Arguments arguments) {
  if (!arguments.empty() && arguments.front() == "linked") return run_linked(arguments.subspan(1));
  BenchOptions options;
  CLI::App app(kAbout, "freshet bench");
  bind_target(app, options);
  bind_load(app, options);
  bind_keys(app, options);
  bind_run(app, options);
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  if (options.shape.threads > options.shape.connections) {
    return usage(Error::of(ErrorCode::invalid_argument, "there are more threads than connections",
                           "give each thread one at least"));
  }
  return bench(options);
}

}  // namespace freshet::cli
