// Miss-ratio curves as a picture: an SVG, or a page of HTML around it with the figures below. No scripts, nothing loaded
// from elsewhere. Pure functions.
#pragma once

#include <span>
#include <string>

#include "simulator/simulation.h"

namespace freshet::simulator {

// Object miss ratio over cache size (logarithmic), a line for each policy.
std::string curve_svg(const Workload& workload, std::span<const Outcome> outcomes);
std::string curve_html(const Workload& workload, std::span<const Outcome> outcomes);

}  // namespace freshet::simulator
