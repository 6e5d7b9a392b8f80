// The measurement as a table for people, and as JSON.
#pragma once

#include <string>

#include "load/comparison.h"
#include "load/linked.h"

namespace freshet::load {

// A column a target; with two, the ratios of their pairs.
std::string table_of(const Comparison& comparison, const Shape& shape);
// One object a target, a line each.
std::string json_of(const Comparison& comparison);

std::string table_of(const LinkedFigures& figures);
std::string json_of(const LinkedFigures& figures);

}  // namespace freshet::load
