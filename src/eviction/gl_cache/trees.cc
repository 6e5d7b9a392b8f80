// See eviction/gl_cache/trees.h.
#include "eviction/gl_cache/trees.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace freshet::eviction::gl_cache {
namespace {

// Reads a line from left to right; the first thing that is not as expected makes all of it wrong.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool ok() const { return ok_; }
  bool skip(std::string_view word) {
    const bool found = text_.starts_with(word);
    if (found) text_.remove_prefix(word.size());
    return found;
  }
  void expect(std::string_view word) { ok_ = skip(word) && ok_; }
  template <typename Number>
  Number number() {
    Number value{};
    const auto [end, fault] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    ok_ = ok_ && fault == std::errc{};
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    return value;
  }

 private:
  std::string_view text_;
  bool ok_ = true;
};

Error unreadable(std::string_view line) {
  return Error::of(ErrorCode::internal, "the trained model cannot be read: \"" + std::string(line) + "\"",
                   "this build of Freshet does not fit the XGBoost library; GL-Cache goes on without this training");
}

}  // namespace

// A line of the text.
struct Trees::Parsed {
  bool leaf = true;
  float value = 0;  // The threshold, or the leaf's value.
  float gain = 0;
  std::uint32_t feature = 0;
  std::uint32_t below = 0;
  std::uint32_t above = 0;
};

Result<std::vector<Trees::Parsed>> Trees::parse(std::string_view text) {
  std::vector<Parsed> nodes;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    if (line.empty()) continue;
    Scanner scan(line);
    Parsed node;
    const auto number = scan.number<std::uint32_t>();
    scan.expect(":");
    node.leaf = scan.skip("leaf=");
    if (node.leaf) {
      node.value = scan.number<float>();
    } else {
      scan.expect("[f");
      node.feature = scan.number<std::uint32_t>();
      scan.expect("<");
      node.value = scan.number<float>();
      scan.expect("] yes=");
      node.below = scan.number<std::uint32_t>();
      scan.expect(",no=");
      node.above = scan.number<std::uint32_t>();
      scan.expect(",missing=");
      scan.number<std::uint32_t>();
      scan.expect(",gain=");
      node.gain = scan.number<float>();
    }
    if (!scan.ok() || node.feature >= kFeatures || number >= kNodesMax) return unreadable(line);
    if (number >= nodes.size()) nodes.resize(number + 1);
    nodes[number] = node;
  }
  if (nodes.empty()) return unreadable("");
  // Branches lead on, never back: it is a tree, and has an end.
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Parsed& node = nodes[i];
    const auto leads_on = [&](std::uint32_t to) { return to > i && to < nodes.size(); };
    if (!node.leaf && !(leads_on(node.below) && leads_on(node.above))) return unreadable("a branch to nowhere");
  }
  return nodes;
}

Result<void> Trees::add(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return parsed.error();
  // Level by level, the two ends of a branch side by side. A node that two branches led to would be there twice, and a tree
  // of such would grow without end: none is larger than kNodesMax.
  const auto root = static_cast<std::uint32_t>(nodes_.size());
  std::vector<std::uint32_t> from{0};
  std::vector<Node> nodes;
  std::uint32_t depth = 0;
  for (std::size_t done = 0, level_end = 1; done < from.size(); ++done) {
    if (done == level_end) {
      ++depth;
      level_end = from.size();
    }
    const Parsed& node = (*parsed)[from[done]];
    const auto self = root + static_cast<std::uint32_t>(done);
    if (node.leaf) {
      nodes.push_back({std::numeric_limits<float>::infinity(), 0, self, node.value});
      continue;
    }
    nodes.push_back({node.value, node.feature, root + static_cast<std::uint32_t>(from.size()), 0});
    from.push_back(node.below);
    from.push_back(node.above);
    if (from.size() > kNodesMax) return unreadable("a tree with too many nodes");
  }
  for (const Parsed& node : *parsed) gain_[node.feature] += node.gain;
  nodes_.insert(nodes_.end(), nodes.begin(), nodes.end());
  trees_.push_back({root, depth});
  return {};
}

float Trees::walk(const Tree& tree, const Features& features) const {
  std::uint32_t at = tree.root;
  for (std::uint32_t step = 0; step < tree.depth; ++step) {
    const Node& node = nodes_[at];
    at = node.next + (features[node.feature] < node.threshold ? 0 : 1);
  }
  return nodes_[at].value;
}

float Trees::predict(const Features& features) const {
  float sum = base_;
  for (const Tree& tree : trees_) sum += walk(tree, features);
  return sum;
}

// Tree by tree: walks of different rows do not wait for each other.
void Trees::predict(std::span<const Features> rows, std::vector<float>& into) const {
  into.assign(rows.size(), base_);
  for (const Tree& tree : trees_) {
    for (std::size_t i = 0; i < rows.size(); ++i) into[i] += walk(tree, rows[i]);
  }
}

}  // namespace freshet::eviction::gl_cache
