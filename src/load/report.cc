// Rows of figures, and lines of JSON.
#include "load/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/text.h"

namespace freshet::load {
namespace {

constexpr std::size_t kLabelColumns = 34;
constexpr std::size_t kFigureColumns = 22;
constexpr const char* kUnknown = "unknown";
// Of a generator's thread: from here on it is suspected to be the bottleneck.
constexpr double kBusyShare = 0.9;
// Of the requests that were due: fewer may be left by a last moment's chance.
constexpr double kUnsentShare = 0.01;

// Of a figure: to the nearest whole number.
std::string with_commas(double number) { return base::with_commas(static_cast<std::uint64_t>(std::llround(number))); }

std::string micros(const base::Histogram& histogram, double quantile) {
  const auto value = quantile_us(histogram, quantile);
  if (!value) return "-";
  return *value < 10 ? fmt::format("{:.2f} us", *value) : fmt::format("{} us", with_commas(*value));
}

std::string json_number(std::optional<double> value, int digits) {
  return value && std::isfinite(*value) ? fmt::format("{:.{}f}", *value, digits) : "null";
}

// What every object begins with. A figure without a measurement is null.
std::string json_head(std::string_view target, std::uint64_t operations, const Figures& figures, std::uint64_t errors,
                      std::optional<double> cpu_s) {
  const auto at = [&](Figure figure, int digits) { return json_number(figures[static_cast<std::size_t>(figure)], digits); };
  return fmt::format("{{\"target\":{},\"ops\":{},\"ops_per_s\":{},\"p50_us\":{},\"p99_us\":{},\"p999_us\":{},\"errors\":{},"
                     "\"target_cpu_s\":{},\"ops_per_target_cpu_s\":{}",
                     base::quote_json(target), operations, at(Figure::rate, 1), at(Figure::p50, 3), at(Figure::p99, 3),
                     at(Figure::p999, 3), errors, json_number(cpu_s, 6), at(Figure::rate_of_cpu, 1));
}

std::string json_ratio(const Comparison& comparison, Figure figure) {
  const auto ratio = ratio_of(comparison.targets[0].rounds, comparison.targets[1].rounds, figure);
  if (!ratio) return "null";
  return fmt::format("{{\"median\":{:.4f},\"lowest\":{:.4f},\"highest\":{:.4f},\"pairs\":{}}}", ratio->median, ratio->lowest,
                     ratio->highest, ratio->pairs);
}

class Table {
 public:
  explicit Table(const Comparison& comparison) : comparison_(comparison) {
    for (const auto& measured : comparison_.targets) columns_ = std::max(columns_, measured.target.name.size() + 2);
  }

  void row(std::string_view label, const std::function<std::string(const Measured&)>& figure,
           std::optional<Figure> compared = {}) {
    text_ += fmt::format("{:<{}}", label, kLabelColumns);
    for (const auto& measured : comparison_.targets) text_ += fmt::format("{:>{}}", figure(measured), columns_);
    if (comparison_.targets.size() == 2 && compared) {
      const auto ratio = ratio_of(comparison_.targets[0].rounds, comparison_.targets[1].rounds, *compared);
      if (!ratio) text_ += "         -";
      else text_ += fmt::format("  {:>8.3f}  ({:.3f} to {:.3f})", ratio->median, ratio->lowest, ratio->highest);
    }
    text_ += '\n';
  }
  void head() {
    text_ += std::string(kLabelColumns, ' ');
    for (const auto& measured : comparison_.targets) text_ += fmt::format("{:>{}}", measured.target.name, columns_);
    if (comparison_.targets.size() == 2) text_ += "     ratio, the median of the pairs (lowest to highest)";
    text_ += '\n';
  }
  void line(std::string_view text) { (text_ += text) += '\n'; }
  std::string take() { return std::move(text_); }

 private:
  const Comparison& comparison_;
  std::size_t columns_ = kFigureColumns;  // Of a figure; more if a target's name is longer.
  std::string text_;
};

std::string rate_of(std::uint64_t operations, std::optional<double> seconds) {
  const auto rate = per_second(operations, seconds);
  return rate ? with_commas(*rate) : kUnknown;
}

// What the reader of the figures should know before believing them.
void add_warnings(const Measured& measured, const Shape& shape, Table& table) {
  const Tally& total = measured.total;
  if (total.misses > 0) {
    table.line(fmt::format("{}: {} of {} keys were not found; --fill writes them first", measured.target.name, total.misses,
                           total.operations));
  }
  if (static_cast<double>(total.unsent) > kUnsentShare * static_cast<double>(total.unsent + total.requests)) {
    table.line(fmt::format("{}: it did not keep up with {:.0f} requests/s: {} that were due were never sent",
                           measured.target.name, shape.rate, total.unsent));
  }
  const double busy = total.generator_cpu_s / (total.seconds * shape.threads);
  if (busy > kBusyShare) {
    table.line(fmt::format("{}: the generator's threads were busy {:.0f} % of the time: it may be what was measured; more "
                           "--threads help, if there are processors for them", measured.target.name, 100 * busy));
  }
  if (!measured.cpu_unknown.empty()) table.line(fmt::format("{}: {}", measured.target.name, measured.cpu_unknown));
  for (const auto& text : total.error_texts) table.line(fmt::format("{}: error: {}", measured.target.name, text));
}

void add_notes(const Comparison& comparison, const Shape& shape, Table& table) {
  if (comparison.targets.size() == 2) {
    const auto ratio = ratio_of(comparison.targets[0].rounds, comparison.targets[1].rounds, Figure::rate);
    if (ratio) {
      table.line(fmt::format("\n{} pairs of rounds; the true median lies between lowest and highest with {:.1f} % certainty",
                             ratio->pairs, 100 * ratio->confidence()));
    }
  }
  for (const auto& measured : comparison.targets) add_warnings(measured, shape, table);
  if (comparison.interrupted) table.line("interrupted: these are the figures until then");
}

}  // namespace

std::string table_of(const Comparison& comparison, const Shape& shape) {
  Table table(comparison);
  table.head();
  table.row("operations/s", [](const Measured& m) {
    return rate_of(m.total.operations, m.total.seconds);
  }, Figure::rate);
  table.row("latency p50", [](const Measured& m) { return micros(m.total.latency_ns, 0.5); }, Figure::p50);
  table.row("latency p99", [](const Measured& m) { return micros(m.total.latency_ns, 0.99); }, Figure::p99);
  table.row("latency p999", [](const Measured& m) { return micros(m.total.latency_ns, 0.999); }, Figure::p999);
  table.row("operations/target-CPU-second", [](const Measured& m) {
    return rate_of(m.total.operations, m.total.target_cpu_s);
  }, Figure::rate_of_cpu);
  table.row("target CPU, seconds", [](const Measured& m) {
    return m.total.target_cpu_s ? fmt::format("{:.3f}", *m.total.target_cpu_s) : kUnknown;
  });
  table.row("operations", [](const Measured& m) { return base::with_commas(m.total.operations); });
  table.row("requests answered", [](const Measured& m) { return base::with_commas(m.total.requests); });
  table.row("keys not found", [](const Measured& m) { return base::with_commas(m.total.misses); });
  table.row("errors", [](const Measured& m) { return base::with_commas(m.total.errors); });
  if (shape.rate > 0) {
    table.row("due and never sent", [](const Measured& m) { return base::with_commas(m.total.unsent); });
    table.row("sent late p99", [](const Measured& m) { return micros(m.total.late_ns, 0.99); });
  }
  table.row("operations/generator-CPU-second", [](const Measured& m) {
    return rate_of(m.total.operations, m.total.generator_cpu_s);
  });
  add_notes(comparison, shape, table);
  return table.take();
}

std::string json_of(const Comparison& comparison) {
  std::string text;
  for (std::size_t i = 0; i < comparison.targets.size(); ++i) {
    const Measured& measured = comparison.targets[i];
    const Tally& total = measured.total;
    const auto figures = figures_of(total.operations, total.seconds, total.latency_ns, total.target_cpu_s);
    text += json_head(measured.target.name, total.operations, figures, total.errors, total.target_cpu_s);
    text += fmt::format(",\"requests\":{},\"misses\":{},\"unsent\":{},\"late_p99_us\":{},\"seconds\":{},"
                        "\"generator_cpu_s\":{}", total.requests, total.misses, total.unsent,
                        json_number(quantile_us(total.late_ns, 0.99), 3), json_number(total.seconds, 3),
                        json_number(total.generator_cpu_s, 6));
    if (i == 0 && comparison.targets.size() == 2) {
      text += fmt::format(",\"ratios\":{{\"ops_per_s\":{},\"p50_us\":{},\"p99_us\":{},\"p999_us\":{},"
                          "\"ops_per_target_cpu_s\":{}}}",
                          json_ratio(comparison, Figure::rate), json_ratio(comparison, Figure::p50),
                          json_ratio(comparison, Figure::p99), json_ratio(comparison, Figure::p999),
                          json_ratio(comparison, Figure::rate_of_cpu));
    }
    text += "}\n";
  }
  return text;
}

std::string table_of(const LinkedFigures& figures) {
  const double rate = per_second(figures.operations, figures.seconds).value_or(0);
  std::string text;
  const auto row = [&](std::string_view label, const std::string& figure) {
    text += fmt::format("{:<{}}{:>{}}\n", label, kLabelColumns, figure, kFigureColumns);
  };
  row("operations/s", with_commas(rate));
  row("latency p50", micros(figures.latency_ns, 0.5));
  row("latency p99", micros(figures.latency_ns, 0.99));
  row("latency p999", micros(figures.latency_ns, 0.999));
  row("operations/CPU-second", rate_of(figures.operations, figures.cpu_s));
  row("operations", base::with_commas(figures.operations));
  row("keys not in memory", base::with_commas(figures.misses));
  row("errors", base::with_commas(figures.errors));
  row("std::unordered_map, operations/s", with_commas(figures.map_operations_per_s));
  row("ratio to the map", fmt::format("{:.2f}", rate / figures.map_operations_per_s));
  if (!figures.error_text.empty()) text += fmt::format("error: {}\n", figures.error_text);
  return text;
}

std::string json_of(const LinkedFigures& figures) {
  const auto rate = per_second(figures.operations, figures.seconds);
  const auto head = figures_of(figures.operations, figures.seconds, figures.latency_ns, figures.cpu_s);
  const auto text = json_head("linked", figures.operations, head, figures.errors, figures.cpu_s);
  return text + fmt::format(",\"misses\":{},\"seconds\":{},\"map_ops_per_s\":{},\"ratio_to_map\":{}}}\n", figures.misses,
                            json_number(figures.seconds, 3), json_number(figures.map_operations_per_s, 1),
                            json_number(rate ? *rate / figures.map_operations_per_s : rate, 4));
}

}  // namespace freshet::load
