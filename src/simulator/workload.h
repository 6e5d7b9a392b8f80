// A trace in memory, ready to be replayed many times: its objects numbered, its future known on demand. May use trace.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "simulator/huge_pages.h"
#include "simulator/request.h"
#include "trace/reader.h"

namespace freshet::simulator {

struct LoadOptions {
  trace::ReadOptions read;
  // The share of keys to keep, chosen by the key's hash (spatial sampling: Waldspurger, Park, Garthwaite, Ahmad: "Efficient
  // MRC construction with SHARDS", FAST 2015). Every request of a kept key is kept. Whether a few very popular keys are kept
  // decides how many requests that are; so ratios are taken of as many requests as the share should have (their SHARDS-adj:
  // popular keys are hits).
  double sample_rate = 1;
  std::uint64_t memory_bytes_max = std::uint64_t{8} << 30;
  std::function<void(double progress)> on_progress;  // From 0 to 1, every few megabytes.
};

class Workload {
 public:
  static constexpr std::size_t kBlockRequests = kHugePageBytes / sizeof(Request);

  // Reads the trace to its end or to its fault. An error here: it cannot be read at all.
  static Result<Workload> load(const std::string& path, const LoadOptions& options);

  const std::string& name() const { return name_; }
  trace::Format format() const { return format_; }
  double sample_rate() const { return sample_rate_; }
  std::size_t blocks() const { return blocks_.size(); }
  std::span<const Request> block(std::size_t index) const { return blocks_[index]; }

  std::uint64_t lookups() const { return lookups_; }         // Requests that are not deletes.
  // What miss ratios are ratios of: all lookups and their bytes; if sampled, the sample's due share of those of all keys.
  double lookups_due() const { return static_cast<double>(lookups_of_all_) * sample_rate_; }
  double bytes_due() const { return static_cast<double>(bytes_of_all_) * sample_rate_; }
  std::uint32_t objects() const { return objects_; }
  std::uint64_t bytes_of_objects() const { return bytes_of_objects_; }  // Each at its first size.
  std::uint64_t records_read() const { return records_read_; }          // Those not sampled included.
  // Why the trace was not read to its end.
  const std::optional<Error>& fault() const { return fault_; }

  // Sets each request's `next`.
  void find_next();

 private:
  friend class Loader;
  std::string name_;
  trace::Format format_ = trace::Format::detect;
  double sample_rate_ = 1;
  using Block = std::vector<Request, HugePages<Request>>;
  std::vector<Block> blocks_;
  std::uint64_t lookups_ = 0;
  std::uint64_t lookups_of_all_ = 0;
  std::uint64_t bytes_of_all_ = 0;
  std::uint64_t bytes_of_objects_ = 0;
  std::uint64_t records_read_ = 0;
  std::uint32_t objects_ = 0;
  std::optional<Error> fault_;
};

}  // namespace freshet::simulator
