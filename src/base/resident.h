// How much memory the process has, by the system's account. May use the standard library and the system's /proc.
#pragma once

#include <cstddef>

namespace freshet::base {

// The resident set, in bytes; 0 if the system does not say. https://man7.org/linux/man-pages/man5/proc.5.html (statm)
std::size_t resident_bytes();

}  // namespace freshet::base
