// See simulator/workload.h.
#include "simulator/workload.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "simulator/key_numbers.h"

namespace freshet::simulator {
namespace {

constexpr std::size_t kBatch = 4096;
constexpr std::size_t kLookAhead = 12;  // Records between prefetching a key's bucket and asking for it.
constexpr std::uint64_t kProgressRecords = 1 << 18;

// Keys whose hash is below are kept. The hash is mixed once more: its high bits choose buckets.
std::uint64_t threshold_of(double rate) {
  return rate >= 1 ? UINT64_MAX : static_cast<std::uint64_t>(std::ldexp(rate, 64));
}

}  // namespace

// Reads in batches, so that keys are looked up with their buckets on the way already.
class Loader {
 public:
  Loader(const std::string& path, const LoadOptions& options)
      : options_(options), threshold_(threshold_of(options.sample_rate)) {
    workload_.name_ = path;
    workload_.sample_rate_ = options.sample_rate;
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
    const bool keep = threshold_ == UINT64_MAX || trace::mix(~record.key) < threshold_;
    if (keep && (block_ == nullptr || block_->size() == Workload::kBlockRequests) && !add_block()) return false;
    const bool erase = record.operation == trace::Operation::erase;
    if (!erase) {
      ++workload_.lookups_of_all_;
      workload_.bytes_of_all_ += record.size;
    }
    if (!keep) return true;
    const std::uint32_t objects_before = numbers_.count();
    const std::uint32_t object = numbers_.number_of(record.key);
    if (object == objects_before) workload_.bytes_of_objects_ += erase ? 0 : record.size;
    workload_.lookups_ += erase ? 0 : 1;
    block_->push_back({record.key, object, erase ? Request::kErase : record.size, record.time_s, Request::kNever});
    return true;
  }

  bool add_block() {
    const std::uint64_t taken = workload_.blocks_.size() * Workload::kBlockRequests * sizeof(Request);
    if (taken + Workload::kBlockRequests * sizeof(Request) > options_.memory_bytes_max) {
      workload_.fault_ = Error::of(ErrorCode::out_of_range,
                                   fmt::format("record {}: the trace takes more than {} bytes of memory",
                                               workload_.records_read_ + 1, options_.memory_bytes_max),
                                   "raise --memory, or sample it (--sample 0.1)");
      return false;
    }
    block_ = &workload_.blocks_.emplace_back();
    block_->reserve(Workload::kBlockRequests);
    return true;
  }

  const LoadOptions& options_;
  const std::uint64_t threshold_;
  Workload workload_;
  KeyNumbers numbers_;
  std::array<trace::Record, kBatch> batch_;
  Workload::Block* block_ = nullptr;
};

Result<Workload> Workload::load(const std::string& path, const LoadOptions& options) { return Loader(path, options).run(); }

// Backwards, remembering where each object was seen last. A delete is no access, and has no number.
void Workload::find_next() {
  std::vector<std::uint32_t> seen(objects_, Request::kNever);
  auto number = static_cast<std::uint32_t>(lookups_);
  for (std::size_t b = blocks_.size(); b-- > 0;) {
    for (std::size_t i = blocks_[b].size(); i-- > 0;) {
      Request& request = blocks_[b][i];
      request.next = seen[request.object];
      seen[request.object] = request.size == Request::kErase ? Request::kNever : --number;
    }
  }
}

}  // namespace freshet::simulator
