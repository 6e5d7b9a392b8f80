// See simulator/curve.h.
#include "simulator/curve.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "simulator/report.h"

namespace freshet::simulator {
namespace {

constexpr double kWidth = 960, kHeight = 560;
constexpr double kLeft = 72, kRight = 150, kTop = 84, kBottom = 64;
constexpr double kLabelApart = 17;  // Between the names beside the lines' ends.
constexpr double kTickApart = 64;   // Between the sizes below the axis.

// Colours that are told apart by the colour-blind too (after Okabe and Ito), then darker ones of the same.
constexpr std::array kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
                              "#5d3a9b", "#8c510a", "#4d4d4d", "#b2182b", "#1b7837", "#998ec3"};

// Light and dark as the reader has it. The picture brings its own background.
constexpr std::string_view kStyle = R"(
  .paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #656d76 }
  .grid { stroke: #d8dee4 } .axis { stroke: #656d76 }
  text { font-family: system-ui, "Helvetica Neue", Arial, sans-serif; font-size: 12px }
  .title { font-size: 17px; font-weight: 600 } .name { font-weight: 600 }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #8d96a0 }
    .grid { stroke: #30363d } .axis { stroke: #8d96a0 }
  }
)";

struct Point {
  double x = 0, y = 0;
  const Outcome* outcome = nullptr;
};

struct Line {
  std::string name, colour;
  std::vector<Point> points;  // By size.
  double label_y = 0;
};

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '&': safe += "&amp;"; break;
      case '"': safe += "&quot;"; break;
      default: safe += c;
    }
  }
  return safe;
}

class Plot {
 public:
  explicit Plot(std::span<const Outcome> outcomes) {
    for (const Outcome& outcome : outcomes) {
      least_size_ = std::min(least_size_, size_of(outcome));
      greatest_size_ = std::max(greatest_size_, size_of(outcome));
      highest_ = std::max(highest_, outcome.object_miss_ratio);
      sizes_.push_back(outcome.size_bytes);
    }
    if (least_size_ >= greatest_size_) {
      least_size_ /= 2;
      greatest_size_ *= 2;
    }
    // From zero, so that heights compare; up to the next round step.
    step_ = highest_ > 0.5 ? 0.2 : highest_ > 0.2 ? 0.1 : highest_ > 0.1 ? 0.05 : highest_ > 0.05 ? 0.02 : 0.01;
    top_ = std::max(step_, std::ceil(highest_ / step_ - 1e-9) * step_);
    std::sort(sizes_.begin(), sizes_.end());
    sizes_.erase(std::unique(sizes_.begin(), sizes_.end()), sizes_.end());
    for (const Outcome& outcome : outcomes) add(outcome);
    place_labels();
  }

  std::string drawn() const { return grid() + size_ticks() + lines(); }

 private:
  static double size_of(const Outcome& outcome) {
    return static_cast<double>(std::max<std::uint64_t>(outcome.size_bytes, 1));
  }
  double x_of(double size) const {
    const double part = std::log(size / least_size_) / std::log(greatest_size_ / least_size_);
    return kLeft + part * (kWidth - kLeft - kRight);
  }
  double y_of(double ratio) const { return kHeight - kBottom - ratio / top_ * (kHeight - kTop - kBottom); }

  void add(const Outcome& outcome) {
    if (lines_.empty() || lines_.back().points.front().outcome->policy != outcome.policy) {
      lines_.push_back({std::string(outcome.policy->title), kColours[lines_.size() % kColours.size()], {}, 0});
    }
    lines_.back().points.push_back({x_of(size_of(outcome)), y_of(outcome.object_miss_ratio), &outcome});
    std::sort(lines_.back().points.begin(), lines_.back().points.end(), [](auto& a, auto& b) { return a.x < b.x; });
  }

  // Beside the lines' ends, moved apart where they would overlap: down from the top, then up again from the bottom.
  void place_labels() {
    std::vector<Line*> by_height;
    for (Line& line : lines_) {
      line.label_y = line.points.back().y;
      by_height.push_back(&line);
    }
    std::sort(by_height.begin(), by_height.end(), [](auto* a, auto* b) { return a->label_y < b->label_y; });
    for (std::size_t i = 1; i < by_height.size(); ++i) {
      by_height[i]->label_y = std::max(by_height[i]->label_y, by_height[i - 1]->label_y + kLabelApart);
    }
    double limit = kHeight - kBottom;
    for (std::size_t i = by_height.size(); i-- > 0; limit -= kLabelApart) {
      by_height[i]->label_y = std::min(by_height[i]->label_y, limit);
    }
  }

  std::string grid() const {
    std::string svg;
    for (double ratio = 0; ratio <= top_ + 1e-9; ratio += step_) {
      const double y = y_of(ratio);
      svg += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n", kLeft,
                         kWidth - kRight, y);
      svg += fmt::format("<text class=\"faint\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.2f}</text>\n",
                         kLeft - 10, y + 4, ratio);
    }
    svg += fmt::format("<text class=\"faint\" transform=\"translate(20 {}) rotate(-90)\" text-anchor=\"middle\">"
                       "object miss ratio</text>\n", (kTop + kHeight - kBottom) / 2);
    svg += fmt::format("<text class=\"faint\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">cache size</text>\n",
                       (kLeft + kWidth - kRight) / 2, kHeight - 14);
    return svg;
  }

  // The sizes that were replayed, as far as their texts have room.
  std::string size_ticks() const {
    const double base = kHeight - kBottom;
    std::string svg = fmt::format("<line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>\n", kLeft,
                                  kWidth - kRight, base);
    double last = -kTickApart;
    for (const std::uint64_t size : sizes_) {
      const double x = x_of(static_cast<double>(std::max<std::uint64_t>(size, 1)));
      svg += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>\n", x, base, base + 5);
      if (x - last < kTickApart) continue;
      svg += fmt::format("<text class=\"faint\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x, base + 20,
                         size_text(size));
      last = x;
    }
    return svg;
  }

  std::string lines() const {
    std::string svg;
    for (const Line& line : lines_) {
      std::string path;
      for (const Point& point : line.points) path += fmt::format("{:.1f},{:.1f} ", point.x, point.y);
      svg += fmt::format("<polyline class=\"line\" stroke=\"{}\" points=\"{}\"/>\n", line.colour, path);
      for (const Point& point : line.points) {
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\" fill=\"{}\">"
                           "<title>{}, {}: {:.4f}</title></circle>\n",
                           point.x, point.y, line.colour, escaped(line.name), size_text(point.outcome->size_bytes),
                           point.outcome->object_miss_ratio);
      }
      svg += fmt::format("<text class=\"name\" x=\"{}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", kWidth - kRight + 12,
                         line.label_y + 4, line.colour, escaped(line.name));
    }
    return svg;
  }

  double least_size_ = 1e300, greatest_size_ = 0, highest_ = 0, step_ = 0, top_ = 0;
  std::vector<std::uint64_t> sizes_;
  std::vector<Line> lines_;
};

std::string subtitle_of(const Workload& workload) {
  const std::string sampled = workload.sample_rate() < 1 ? fmt::format(", sampled at {}", workload.sample_rate()) : "";
  return fmt::format("{} requests, {} objects, {} in all{}", base::with_commas(workload.lookups()),
                     base::with_commas(workload.objects()), size_text(workload.bytes_of_objects()), sampled);
}

std::string name_of_trace(const Workload& workload) {
  const std::string& name = workload.name();
  return escaped(name.substr(std::min(name.rfind('/') + 1, name.size())));
}

}  // namespace

std::string curve_svg(const Workload& workload, std::span<const Outcome> outcomes) {
  const Plot plot(outcomes);
  std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
                                "aria-label=\"Miss-ratio curves of {}\">\n<style>{}</style>\n",
                                kWidth, kHeight, name_of_trace(workload), kStyle);
  svg += fmt::format("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", kWidth, kHeight);
  svg += fmt::format("<text class=\"ink title\" x=\"{}\" y=\"36\">{}</text>\n", kLeft, name_of_trace(workload));
  svg += fmt::format("<text class=\"faint\" x=\"{}\" y=\"58\">{}</text>\n", kLeft, subtitle_of(workload));
  return svg + plot.drawn() + "</svg>\n";
}

std::string curve_html(const Workload& workload, std::span<const Outcome> outcomes) {
  std::string rows;
  for (const Outcome& outcome : outcomes) {
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.4f}</td><td>{:.4f}</td></tr>\n", escaped(outcome.policy->title),
                        size_text(outcome.size_bytes), outcome.object_miss_ratio, outcome.byte_miss_ratio);
  }
  constexpr std::string_view kPageStyle =
      ":root { color-scheme: light dark } body { margin: 2rem auto; max-width: 960px; font-family: system-ui, sans-serif }\n"
      "table { border-collapse: collapse; margin-top: 1.5rem; font-variant-numeric: tabular-nums }\n"
      "th, td { padding: .25rem 1rem .25rem 0; text-align: right } th:first-child, td:first-child { text-align: left }\n";
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>Miss-ratio curves of {0}</title>\n<style>{1}</style>\n</head>\n<body>\n{2}"
      "<table>\n<tr><th>policy</th><th>size</th><th>object miss ratio</th><th>byte miss ratio</th></tr>\n{3}</table>\n"
      "</body>\n</html>\n",
      name_of_trace(workload), kPageStyle, curve_svg(workload, outcomes), rows);
}

}  // namespace freshet::simulator
