// A trace, ready to be replayed many times: its objects numbered, its future known on demand. It is kept in memory if it
// fits; if not, its objects alone are, and its requests are read from the file again for each pass over them. May use trace.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "simulator/key_numbers.h"
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
  // What requests may take in memory: 24 bytes each, a store up to 8 more.
  std::uint64_t memory_bytes_max = std::uint64_t{8} << 30;
  std::function<void(double progress)> on_progress;  // From 0 to 1, every few megabytes.
};

class Workload {
 public:
  // Reads the trace to its end or to its fault. A trace that is too large for the memory, and no file that could be read
  // again, has its fault there. An error here: it cannot be read at all.
  static Result<Workload> load(const std::string& path, const LoadOptions& options);

  const std::string& name() const { return name_; }
  trace::Format format() const { return format_; }
  double sample_rate() const { return sample_rate_; }
  std::span<const Block> blocks() const { return blocks_; }
  // The requests are not in memory, blocks() is empty: a Pass reads them.
  bool in_passes() const { return in_passes_; }
  std::uint64_t memory_bytes_max() const { return memory_bytes_max_; }
  std::uint64_t bytes_wanted() const { return kept_ * sizeof(Request) + stores_ * kStoreBytes; }

  std::uint64_t lookups() const { return lookups_; }         // Requests that are neither deletes nor stores.
  // What miss ratios are ratios of: all lookups and their bytes; if sampled, the sample's due share of those of all keys.
  double lookups_due() const { return static_cast<double>(lookups_of_all_) * sample_rate_; }
  double bytes_due() const { return static_cast<double>(bytes_of_all_) * sample_rate_; }
  std::uint32_t objects() const { return objects_; }
  std::uint64_t bytes_of_objects() const { return bytes_of_objects_; }  // Each at its first size.
  std::uint64_t records_read() const { return records_read_; }          // Those not sampled included.
  // Why the trace was not read to its end.
  const std::optional<Error>& fault() const { return fault_; }

  // Sets each request's `next`. Not for a trace in passes.
  void find_next();

 private:
  friend class Loader;
  friend class Pass;
  static constexpr std::size_t kStoreBytes = 8;  // Its place, in a vector that doubles.

  std::string name_;
  trace::ReadOptions read_;
  trace::Format format_ = trace::Format::detect;
  double sample_rate_ = 1;
  std::uint64_t memory_bytes_max_ = 0;
  bool in_passes_ = false;
  std::vector<Block> blocks_;
  KeyNumbers numbers_;        // Of a trace in passes only.
  std::uint64_t kept_ = 0;    // Requests.
  std::uint64_t stores_ = 0;  // Of them.
  std::uint64_t lookups_ = 0;
  std::uint64_t lookups_of_all_ = 0;
  std::uint64_t bytes_of_all_ = 0;
  std::uint64_t bytes_of_objects_ = 0;
  std::uint64_t records_read_ = 0;
  std::uint32_t objects_ = 0;
  std::optional<Error> fault_;
};

// The requests of a trace in passes, from its file once more, as far as they were read the first time.
class Pass {
 public:
  // The workload is there as long as this.
  static Result<std::unique_ptr<Pass>> open(const Workload& workload);

  // As many blocks as `window` has room for, those at the end of the trace empty. Errors: the file is not what it was.
  Result<void> read(std::span<Block> window);
  double progress() const { return reader_->progress(); }

 private:
  static constexpr std::size_t kBatch = 4096;

  Pass(const Workload& workload, std::unique_ptr<trace::Reader> reader);
  Result<void> refill();
  Error changed() const;

  const Workload& workload_;
  const std::uint64_t threshold_;
  const std::unique_ptr<trace::Reader> reader_;
  std::array<trace::Record, kBatch> batch_;
  std::size_t next_ = 0;  // In the batch.
  std::size_t count_ = 0;
};

}  // namespace freshet::simulator
