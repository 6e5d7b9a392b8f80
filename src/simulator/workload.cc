// See simulator/workload.h.
#include "simulator/workload.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

namespace freshet::simulator {
namespace {

constexpr std::size_t kBatch = 4096;
constexpr std::size_t kLookAhead = 12;  // Records between prefetching a key's bucket and asking for it.
constexpr std::uint64_t kProgressRecords = 1 << 18;

// Keys whose hash is below are kept. The hash is mixed once more: its high bits choose buckets.
std::uint64_t threshold_of(double rate) {
  return rate >= 1 ? UINT64_MAX : static_cast<std::uint64_t>(std::ldexp(rate, 64));
}
bool is_kept(const trace::Record& record, std::uint64_t threshold) {
  return threshold == UINT64_MAX || trace::mix(~record.key) < threshold;
}

void append(const trace::Record& record, std::uint32_t object, Block& block) {
  const bool erase = record.operation == trace::Operation::erase;
  if (record.operation == trace::Operation::store) block.stores.push_back(static_cast<std::uint32_t>(block.requests.size()));
  block.requests.push_back({record.key, object, erase ? Request::kErase : record.size, record.time_s, Request::kNever});
}

// Neither standard input nor a pipe can be read once more.
bool is_file(const std::string& path) {
  std::error_code ignored;
  return path != "-" && std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

// Reads in batches, so that keys are looked up with their buckets on the way already.
class Loader {
 public:
  Loader(const std::string& path, const LoadOptions& options)
      : options_(options), threshold_(threshold_of(options.sample_rate)) {
    workload_.name_ = path;
    workload_.read_ = options.read;
    workload_.sample_rate_ = options.sample_rate;
    workload_.memory_bytes_max_ = options.memory_bytes_max;
  }

  Result<Workload> run() {
    auto reader = trace::open_trace(workload_.name_, options_.read);
    if (!reader) return std::move(reader).error();
    workload_.format_ = (*reader)->format();
    std::uint64_t reported = 0;
    for (;;) {
      const auto count = (*reader)->read(batch_);
      if (!count) {
        workload_.fault_ = count.error();
        break;
      }
      if (*count == 0 || !take(*count)) break;
      if (options_.on_progress && workload_.records_read_ - reported >= kProgressRecords) {
        options_.on_progress((*reader)->progress());
        reported = workload_.records_read_;
      }
    }
    if (workload_.records_read_ == 0 && workload_.fault_) return *workload_.fault_;
    workload_.objects_ = numbers_.count();
    if (workload_.in_passes_) workload_.numbers_ = std::move(numbers_);
    return std::move(workload_);
  }

 private:
  bool take(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (i + kLookAhead < count) numbers_.prefetch(batch_[i + kLookAhead].key);
      if (!add(batch_[i])) return false;
      ++workload_.records_read_;
    }
    return true;
  }

  bool add(const trace::Record& record) {
    const bool keep = is_kept(record, threshold_);
    const bool block_wanted = block_ == nullptr || block_->requests.size() == Block::kRequests;
    if (keep && block_wanted && !workload_.in_passes_ && !add_block()) return false;
    const bool store = record.operation == trace::Operation::store;
    const bool erase = record.operation == trace::Operation::erase;
    const bool lookup = !erase && !store;
    if (lookup) {
      ++workload_.lookups_of_all_;
      workload_.bytes_of_all_ += record.size;
    }
    if (!keep) return true;
    const std::uint32_t objects_before = numbers_.count();
    const std::uint32_t object = numbers_.number_of(record.key);
    if (object == objects_before) workload_.bytes_of_objects_ += erase ? 0 : record.size;
    workload_.lookups_ += lookup ? 1 : 0;
    workload_.stores_ += store ? 1 : 0;
    ++workload_.kept_;
    if (block_ != nullptr) append(record, object, *block_);
    return true;
  }

  // Or the requests are given up, to be read in passes.
  bool add_block() {
    const std::uint64_t taken = workload_.blocks_.size() * Block::kRequests * sizeof(Request) +
                                workload_.stores_ * Workload::kStoreBytes;
    if (taken + Block::kRequests * sizeof(Request) <= options_.memory_bytes_max) {
      block_ = &workload_.blocks_.emplace_back();
      block_->requests.reserve(Block::kRequests);
      return true;
    }
    block_ = nullptr;
    if (is_file(workload_.name_)) {
      workload_.in_passes_ = true;
      std::vector<Block>().swap(workload_.blocks_);
      return true;
    }
    workload_.fault_ = Error::of(ErrorCode::out_of_range,
                                 fmt::format("record {}: the trace takes more than {} bytes of memory",
                                             workload_.records_read_ + 1, options_.memory_bytes_max),
                                 "give it as a file, which can be read in passes; raise --memory, or sample it (--sample "
                                 "0.1)");
    return false;
  }

  const LoadOptions& options_;
  const std::uint64_t threshold_;
  Workload workload_;
  KeyNumbers numbers_;
  std::array<trace::Record, kBatch> batch_;
  Block* block_ = nullptr;
};

Result<Workload> Workload::load(const std::string& path, const LoadOptions& options) { return Loader(path, options).run(); }

// Backwards, remembering where each object was seen last. Deletes and stores are no requests, and have no numbers; a store
// changes nothing about the next request, for a policy need not have the object before it.
void Workload::find_next() {
  std::vector<std::uint32_t> seen(objects_, Request::kNever);
  auto number = static_cast<std::uint32_t>(lookups_);
  for (std::size_t b = blocks_.size(); b-- > 0;) {
    std::size_t stores_left = blocks_[b].stores.size();
    for (std::size_t i = blocks_[b].requests.size(); i-- > 0;) {
      Request& request = blocks_[b].requests[i];
      request.next = seen[request.object];
      if (stores_left > 0 && blocks_[b].stores[stores_left - 1] == i) {
        --stores_left;
      } else {
        seen[request.object] = request.size == Request::kErase ? Request::kNever : --number;
      }
    }
  }
}

Result<std::unique_ptr<Pass>> Pass::open(const Workload& workload) {
  auto reader = trace::open_trace(workload.name_, workload.read_);
  if (!reader) return std::move(reader).error();
  return std::unique_ptr<Pass>(new Pass(workload, *std::move(reader)));
}

Pass::Pass(const Workload& workload, std::unique_ptr<trace::Reader> reader)
    : workload_(workload), threshold_(threshold_of(workload.sample_rate_)), reader_(std::move(reader)) {}

Result<void> Pass::read(std::span<Block> window) {
  const KeyNumbers& numbers = workload_.numbers_;
  for (Block& block : window) {
    block.requests.clear();
    block.stores.clear();
    block.requests.reserve(Block::kRequests);
    while (block.requests.size() < Block::kRequests) {
      if (next_ == count_) {
        if (auto filled = refill(); !filled) return filled;
        if (count_ == 0) break;
      }
      if (next_ + kLookAhead < count_) numbers.prefetch(batch_[next_ + kLookAhead].key);
      const trace::Record& record = batch_[next_++];
      if (!is_kept(record, threshold_)) continue;
      const std::uint32_t object = numbers.find(record.key);
      if (object == numbers.count()) return changed();
      append(record, object, block);
    }
  }
  return {};
}

// Nothing (count_ is 0) once as much has been read as the first time.
Result<void> Pass::refill() {
  next_ = count_ = 0;
  const std::uint64_t left = workload_.records_read_ - reader_->records_read();
  if (left == 0) return {};
  const auto count = reader_->read(std::span(batch_).first(std::min<std::uint64_t>(left, kBatch)));
  if (!count || *count == 0) return changed();
  count_ = *count;
  return {};
}

Error Pass::changed() const {
  return Error::of(ErrorCode::corrupted, fmt::format("{} changed while it was read", workload_.name_),
                   "replay it once nobody writes to it");
}

}  // namespace freshet::simulator
