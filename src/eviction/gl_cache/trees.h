// A trained model as Freshet evaluates it: regression trees in one flat array, so that ranking groups calls no library and
// allocates nothing. May use the public API's results and this room's features.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "eviction/gl_cache/features.h"
#include "freshet/result.h"

namespace freshet::eviction::gl_cache {

class Trees {
 public:
  Trees() = default;
  explicit Trees(float base) : base_(base) {}

  // One more tree, as XGBoost writes it as text with statistics: a line a node,
  // `0:[f3<0.5] yes=1,no=2,missing=1,gain=7.5,cover=100` or `1:leaf=0.25,cover=40`.
  Result<void> add(std::string_view text);

  float predict(const Features& features) const;
  // The same for many at once, which is several times as fast.
  void predict(std::span<const Features> rows, std::vector<float>& into) const;
  std::size_t size() const { return trees_.size(); }
  std::size_t bytes() const { return nodes_.capacity() * sizeof(Node) + trees_.capacity() * sizeof(Tree); }
  static constexpr std::uint32_t kNodesMax = 4'096;  // Of a tree.
  // By feature: how much its splits reduced the squared error, in sum.
  const Features& gain() const { return gain_; }

 private:
  // A branch leads to `next` if the feature is below the threshold, else to the node after that. A leaf leads to itself: so
  // every walk through a tree has the same number of steps, and none of them is a guess of the processor's.
  struct Node {
    float threshold;
    std::uint32_t feature;
    std::uint32_t next;
    float value;
  };
  struct Tree {
    std::uint32_t root;
    std::uint32_t depth;
  };
  struct Parsed;

  static Result<std::vector<Parsed>> parse(std::string_view text);
  float walk(const Tree& tree, const Features& features) const;

  float base_ = 0;
  std::vector<Node> nodes_;
  std::vector<Tree> trees_;
  Features gain_{};
};

}  // namespace freshet::eviction::gl_cache
