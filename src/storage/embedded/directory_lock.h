// Who holds a data directory that could not be opened. May use the operating system only.
#pragma once

#include <string>

namespace freshet::storage::embedded {

// Whether RocksDB's message says that its LOCK file is held.
bool is_lock_error(const std::string& message);

// The holder in words: "this process", "process 123 (freshet)", or "another process" where the system does not tell.
std::string holder_of(const std::string& directory, const std::string& message);

}  // namespace freshet::storage::embedded
