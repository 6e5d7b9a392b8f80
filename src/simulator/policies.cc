// See simulator/policies.h.
#include "simulator/policies.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <type_traits>
#include <vector>

#include "base/config_values.h"
#include "eviction/exact/arc.h"
#include "eviction/exact/belady.h"
#include "eviction/exact/belady_size.h"
#include "eviction/exact/clock.h"
#include "eviction/exact/fifo.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/gl_cache/gl_cache.h"

namespace freshet::simulator {
namespace {

namespace exact = eviction::exact;

template <typename ExactPolicy>
std::unique_ptr<Replay> make(const ReplayOptions& options) {
  if constexpr (std::is_constructible_v<ExactPolicy, std::uint64_t>) {
    return std::make_unique<PolicyReplay<ExactPolicy>>(options.capacity_bytes, options.objects, options.seed);
  } else {
    return std::make_unique<PolicyReplay<ExactPolicy>>(options.capacity_bytes, options.objects);
  }
}

// It learns on a thread of its own, and its settings wait for that, so that a replay repeats exactly.
template <eviction::gl_cache::Settings (*kSettings)()>
std::unique_ptr<Replay> make_gl_cache(const ReplayOptions& options) {
  return std::make_unique<PolicyReplay<eviction::gl_cache::GlCache>>(
      options.capacity_bytes, options.objects, kSettings(), eviction::gl_cache::make_background_learner(1), options.seed);
}

// Has nothing and wants nothing.
class NoPolicy final : public exact::Policy {
 public:
  bool on_miss(const exact::Access&) override { return false; }
  void on_insert(exact::Slot, const exact::Access&) override {}
  void on_hit(exact::Slot, const exact::Access&) override {}
  void on_resize(exact::Slot, std::uint32_t) override {}
  void on_erase(exact::Slot) override {}
  exact::Slot take_victim() override { return exact::kNoSlot; }
  void set_capacity(std::uint64_t) override {}
  std::size_t overhead_bytes() const override { return 0; }
};

std::unique_ptr<Replay> make_reader(const ReplayOptions&) { return std::make_unique<ReadOnly>(); }

constexpr std::array kPolicies{
    KnownPolicy{"read", "reading only", false, make_reader},
    KnownPolicy{"none", "no cache", false, make<NoPolicy>},
    KnownPolicy{"fifo", "FIFO", false, make<exact::Fifo>},
    KnownPolicy{"lru", "LRU", false, make<exact::Lru>},
    KnownPolicy{"clock", "CLOCK", false, make<exact::Clock>},
    KnownPolicy{"sieve", "SIEVE", false, make<exact::Sieve>},
    KnownPolicy{"s3fifo", "S3-FIFO", false, make<exact::S3Fifo>},
    KnownPolicy{"wtinylfu", "W-TinyLFU", false, make<exact::WTinyLfu>},
    KnownPolicy{"arc", "ARC", false, make<exact::Arc>},
    KnownPolicy{"lirs", "LIRS", false, make<exact::Lirs>},
    KnownPolicy{"lhd", "LHD", false, make<exact::Lhd>},
    KnownPolicy{"gdsf", "GDSF", false, make<exact::Gdsf>},
    KnownPolicy{"glcache", "GL-Cache", false, make_gl_cache<eviction::gl_cache::for_objects>},
    KnownPolicy{"glcachebytes", "GL-C. bytes", false, make_gl_cache<eviction::gl_cache::for_bytes>},
    KnownPolicy{"glcachepaper", "GL-C. paper", false, make_gl_cache<eviction::gl_cache::efficient>},
    KnownPolicy{"belady", "Belady", true, make<exact::Belady>},
    KnownPolicy{"beladysize", "Belady-size", true, make<exact::BeladySize>},
};

std::string letters_of(std::string_view name) {
  std::string letters;
  for (const unsigned char c : name) {
    if (std::isalnum(c) != 0) letters += static_cast<char>(std::tolower(c));
  }
  return letters;
}

}  // namespace

std::span<const KnownPolicy> policies() { return kPolicies; }

Result<const KnownPolicy*> policy_named(std::string_view name) {
  const std::string letters = letters_of(name);
  std::vector<std::string_view> names;
  for (const KnownPolicy& policy : kPolicies) {
    if (policy.name == letters) return &policy;
    names.push_back(policy.name);
  }
  return base::unknown_name("policy", name, names);
}

}  // namespace freshet::simulator
