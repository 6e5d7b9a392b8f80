// The demo's picture.
#include "cli/demo_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace freshet::cli {
namespace {

std::string rate_text(std::uint64_t count, double seconds) {
  return base::with_commas(seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(count) / seconds + 0.5) : 0);
}

std::string ratio_text(std::uint64_t part, std::uint64_t rest) {
  if (part + rest == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(part + rest));
}

std::string p(const base::Histogram& histogram, double quantile) { return latency_text(histogram.at_quantile(quantile)); }

// How many reads one statement to the database served.
std::string spared_text(const DemoFigures& figures) {
  if (figures.statements == 0) return "-";
  return fmt::format("{:.1f}", static_cast<double>(figures.reads) / static_cast<double>(figures.statements));
}

// What happened between two moments.
DemoFigures between(const DemoFigures& earlier, const DemoFigures& later) {
  DemoFigures change = later;
  change.seconds -= earlier.seconds;
  change.reads -= earlier.reads;
  change.writes -= earlier.writes;
  change.hits -= earlier.hits;
  change.misses -= earlier.misses;
  change.statements -= earlier.statements;
  change.direct_reads -= earlier.direct_reads;
  change.read_ns.subtract(earlier.read_ns);
  change.paired_ns.subtract(earlier.paired_ns);
  change.bounded_ns.subtract(earlier.bounded_ns);
  change.direct_ns.subtract(earlier.direct_ns);
  return change;
}

std::vector<std::string> table_lines(const DemoFigures& rates, const DemoFigures& totals) {
  const auto row = [](std::string_view name, auto&&... cells) {
    std::string line = fmt::format("  {:<12}", name);
    ((line += fmt::format("{:>13}", cells)), ...);
    return line;
  };
  return {
      row("", "reads/s", "from memory", "p50", "p99"),
      row("Freshet", rate_text(rates.reads, rates.seconds), ratio_text(rates.hits, rates.misses), p(rates.read_ns, 0.5),
          p(rates.read_ns, 0.99)) + "   clients at full speed",
      row("Freshet", rate_text(rates.direct_reads, rates.seconds), "", p(rates.paired_ns, 0.5), p(rates.paired_ns, 0.99)) +
          "   one paced client, linearizable,",
      row("Freshet", rate_text(rates.direct_reads, rates.seconds), "", p(rates.bounded_ns, 0.5),
          p(rates.bounded_ns, 0.99)) + "   the same reads, at most 50 ms old,",
      row("PostgreSQL", rate_text(rates.direct_reads, rates.seconds), "", p(rates.direct_ns, 0.5),
          p(rates.direct_ns, 0.99)) + "   and by SQL",
      "",
      fmt::format("  the database was sent one statement for every {} reads", spared_text(rates)),
      fmt::format("  writes/s {}, by plain SQL, around Freshet{}", rate_text(rates.writes, rates.seconds),
                  totals.writes_failed + totals.reads_failed == 0
                      ? ""
                      : fmt::format("; failed: {} writes, {} reads", totals.writes_failed, totals.reads_failed)),
      fmt::format("  reads checked {}, of them contended {}", base::with_commas(totals.checked),
                  base::with_commas(totals.contended)),
      fmt::format("  violations {}", base::with_commas(totals.violations)),
  };
}

}  // namespace

std::string latency_text(std::uint64_t ns) {
  if (ns == 0) return "-";
  const auto value = static_cast<double>(ns);
  if (value < 1e6) return fmt::format("{:.{}f} us", value / 1e3, value < 1e4 ? 1 : 0);
  if (value < 1e9) return fmt::format("{:.{}f} ms", value / 1e6, value < 1e7 ? 2 : 1);
  return fmt::format("{:.2f} s", value / 1e9);
}

std::string DemoScreen::refresh(const DemoFigures& figures) {
  const DemoFigures rates = between(last_, figures);
  last_ = figures;
  if (!live_) {
    return fmt::format("{:6.1f} s  {} reads/s, {} from memory, p50 {}, p99 {}; {} writes/s; checked {}, contended {}, "
                       "violations {}; paced: Freshet p50 {}, p99 {}, bounded p50 {}, PostgreSQL p50 {}, p99 {}\n",
                       figures.seconds, rate_text(rates.reads, rates.seconds), ratio_text(rates.hits, rates.misses),
                       p(rates.read_ns, 0.5), p(rates.read_ns, 0.99), rate_text(rates.writes, rates.seconds),
                       figures.checked, figures.contended, figures.violations, p(rates.paired_ns, 0.5),
                       p(rates.paired_ns, 0.99), p(rates.bounded_ns, 0.5), p(rates.direct_ns, 0.5),
                       p(rates.direct_ns, 0.99));
  }
  // Up over the last picture, then each line anew to its end.
  std::string picture = lines_shown_ == 0 ? "" : fmt::format("\x1b[{}A", lines_shown_);
  std::vector<std::string> lines = {fmt::format("{} · {:.0f} s", title_, figures.seconds), ""};
  const auto table = table_lines(rates, figures);
  lines.insert(lines.end(), table.begin(), table.end());
  for (const auto& line : lines) picture += line + "\x1b[K\n";
  lines_shown_ = lines.size();
  return picture;
}

std::string DemoScreen::summary(const DemoFigures& figures) const {
  std::string text = fmt::format("\nThe whole run, {:.1f} s:\n", figures.seconds);
  for (const auto& line : table_lines(figures, figures)) text += line + "\n";
  return text;
}

}  // namespace freshet::cli
