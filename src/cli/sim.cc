// `freshet sim`: eviction policies over a trace, before anybody buys memory. The simulator's room at work.
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "base/config_values.h"
#include "cli/arguments.h"
#include "simulator/curve.h"
#include "simulator/report.h"
#include "simulator/simulation.h"

namespace freshet::cli {
namespace {

constexpr std::string_view kPoliciesDefault = "lru,sieve,s3fifo,wtinylfu,lhd";
constexpr std::string_view kSizesDefault = "0.1%,1%,10%";
constexpr std::string_view kCurveSizesDefault = "0.1%,0.2%,0.5%,1%,2%,5%,10%,20%,50%";
constexpr int kBarColumns = 40;

struct SimArguments {
  std::string trace, policies{kPoliciesDefault}, sizes, format, delimiter = ",";
  std::string memory = "8GiB";
  std::string mrc;  // Where to draw the curves; nowhere if empty.
  simulator::LoadOptions load;
  simulator::SimulationOptions simulation;
  bool json = false;
};

// A bar on standard error, if that is a terminal: the same line again and again.
class ProgressBar {
 public:
  explicit ProgressBar(std::string_view what) : what_(what), shown_(::isatty(STDERR_FILENO) != 0) {}
  ~ProgressBar() {
    if (shown_ && percent_ >= 0) fmt::print(stderr, "\r\x1b[K");
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(double progress) {
    const int percent = static_cast<int>(progress * 100);
    if (!shown_ || percent == percent_) return;
    percent_ = percent;
    const int filled = percent * kBarColumns / 100;
    fmt::print(stderr, "\r{} [{:=<{}}{:<{}}] {:>3} %", what_, "", filled, "", kBarColumns - filled, percent);
    std::fflush(stderr);
  }

 private:
  const std::string_view what_;
  const bool shown_;
  int percent_ = -1;
};

void bind(CLI::App& app, SimArguments& arguments) {
  app.add_option("trace", arguments.trace, "the trace, zstd-packed or not; - for standard input")->required();
  app.add_option("--policy", arguments.policies, "one or more, with commas; \"all\" for all")->capture_default_str();
  app.add_option("--size", arguments.sizes, "shares of the bytes of all objects (10%), or bytes (64MiB), with commas")
      ->type_name(fmt::format("SIZES [{}; with --mrc {}]", kSizesDefault, kCurveSizesDefault));
  app.add_option("--mrc", arguments.mrc, "draw miss-ratio curves into this file")->type_name("FILE.svg|FILE.html");
  app.add_option("--format", arguments.format, "found out by itself if not given")
      ->type_name("oracleGeneral|vscsi|csv|twitter|txt");
  app.add_option("--csv-columns", arguments.load.read.csv_columns, "where a CSV has what, by number or by name")
      ->type_name("time=2,id=5,size=4,op=3");
  app.add_option("--csv-delimiter", arguments.delimiter, "one character, or \"tab\"")->capture_default_str();
  app.add_option("--threads", arguments.simulation.threads, "replays at a time")
      ->check(CLI::Range(1, simulator::kThreadsMax))->capture_default_str();
  app.add_option("--sample", arguments.load.sample_rate, "the share of keys to look at, above 0")
      ->check(CLI::Range(1e-6, 1.0))->capture_default_str();
  app.add_option("--memory", arguments.memory, "the most that requests may take in memory, 24 bytes each; beyond, passes")
      ->type_name("SIZE")->capture_default_str();
  app.add_option("--seed", arguments.simulation.seed, "of the policies that draw random numbers")->capture_default_str();
  app.add_flag("--json", arguments.json, "one JSON object a line instead of the table");
}

template <typename Take>
Result<void> for_each_part(std::string_view list, Take take) {
  for (;;) {
    const auto comma = std::min(list.find(','), list.size());
    if (auto taken = take(list.substr(0, comma)); !taken) return taken;
    if (comma == list.size()) return {};
    list.remove_prefix(comma + 1);
  }
}

Result<void> take_policy(std::string_view name, std::vector<const simulator::KnownPolicy*>& into) {
  if (name == "all") {
    for (const auto& policy : simulator::policies().subspan(simulator::kNotPolicies)) into.push_back(&policy);
    return {};
  }
  const auto policy = simulator::policy_named(name);
  if (!policy) return policy.error();
  into.push_back(*policy);
  return {};
}

// The texts of the command line as the simulator's options.
Result<void> interpret(SimArguments& arguments) {
  auto& simulation = arguments.simulation;
  auto listed = for_each_part(arguments.policies, [&](auto name) { return take_policy(name, simulation.policies); });
  if (!listed) return listed;
  if (!arguments.mrc.empty() && !arguments.mrc.ends_with(".svg") && !arguments.mrc.ends_with(".html")) {
    return Error::of(ErrorCode::invalid_argument, "--mrc takes a file's name that ends in .svg or .html");
  }
  if (arguments.sizes.empty()) arguments.sizes = arguments.mrc.empty() ? kSizesDefault : kCurveSizesDefault;
  listed = for_each_part(arguments.sizes, [&](std::string_view text) -> Result<void> {
    const auto size = simulator::parse_cache_size(text);
    if (!size) return size.error();
    simulation.sizes.push_back(*size);
    return {};
  });
  if (!listed) return listed;
  if (!arguments.format.empty()) {
    const auto format = trace::format_named(arguments.format);
    if (!format) return format.error();
    arguments.load.read.format = *format;
  }
  if (arguments.delimiter == "tab") arguments.delimiter = "\t";
  if (arguments.delimiter.size() != 1) {
    return Error::of(ErrorCode::invalid_argument, "--csv-delimiter takes one character, or \"tab\"");
  }
  arguments.load.read.csv_delimiter = arguments.delimiter.front();
  const auto memory = base::parse_bytes(arguments.memory);
  if (!memory) return memory.error();
  arguments.load.memory_bytes_max = static_cast<std::uint64_t>(*memory);
  return {};
}

Result<simulator::Workload> load(SimArguments& arguments) {
  ProgressBar bar("reading  ");
  arguments.load.on_progress = [&](double progress) { bar.show(progress); };
  return simulator::Workload::load(arguments.trace, arguments.load);
}

Result<std::vector<simulator::Outcome>> simulate(SimArguments& arguments, simulator::Workload& workload) {
  ProgressBar bar("replaying");
  arguments.simulation.on_progress = [&](double progress) { bar.show(progress); };
  return simulator::simulate(workload, arguments.simulation);
}

Result<void> draw(const std::string& path, const simulator::Workload& workload,
                  std::span<const simulator::Outcome> outcomes) {
  std::ofstream file(path, std::ios::binary);
  file << (path.ends_with(".svg") ? simulator::curve_svg(workload, outcomes) : simulator::curve_html(workload, outcomes));
  file.close();
  if (file) return {};
  return Error::of(ErrorCode::unavailable, fmt::format("{} cannot be written", path));
}

// What was found out, and where that ended too early.
int report(const SimArguments& arguments, const simulator::Workload& workload,
           std::span<const simulator::Outcome> outcomes) {
  fmt::print("{}", arguments.json ? simulator::json_of(workload, outcomes) : simulator::table_of(workload, outcomes));
  std::fflush(stdout);
  if (!arguments.mrc.empty()) {
    const auto drawn = draw(arguments.mrc, workload, outcomes);
    if (!drawn) return print_error("sim", drawn.error()), kExitFailed;
  }
  if (!workload.fault()) return kExitFine;
  print_error("sim", *workload.fault());
  fmt::print(stderr, "freshet sim: the figures are those of the {} records before it\n", workload.records_read());
  return kExitFailed;
}

}  // namespace

int run_sim(Arguments words) {
  SimArguments arguments;
  CLI::App app("Replays a trace through eviction policies: what would a cache of this size miss?", "freshet sim");
  bind(app, arguments);
  if (const auto exit_code = parse(app, words)) return *exit_code;
  if (const auto understood = interpret(arguments); !understood) return print_error("sim", understood.error()), kExitUsage;
  auto workload = load(arguments);
  if (!workload) return print_error("sim", workload.error()), kExitFailed;
  const auto outcomes = simulate(arguments, *workload);
  if (!outcomes) return print_error("sim", outcomes.error()), kExitFailed;
  return report(arguments, *workload, *outcomes);
}

}  // namespace freshet::cli
