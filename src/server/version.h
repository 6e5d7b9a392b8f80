// Versions that the server tells clients. May use nothing.
#pragma once

#include <string_view>

namespace freshet::server {

inline constexpr std::string_view kFreshetVersion = FRESHET_VERSION;  // The project's, from CMake.
// The Redis whose commands and replies these are: clients choose by it what to send.
inline constexpr std::string_view kRedisVersion = "7.0.15";

}  // namespace freshet::server
