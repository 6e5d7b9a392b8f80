// Reading node trees. The form is that of PostgreSQL's src/backend/nodes/outfuncs.c and read.c: tokens stand between spaces,
// brackets and braces are tokens, a backslash takes the next character's meaning away.
#include "storage/postgres/query/tree.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace freshet::storage::postgres::analysis {
namespace {

constexpr std::string_view kSpaces = " \t\n\r";
constexpr std::string_view kBrackets = "(){}";

class TreeReader {
 public:
  explicit TreeReader(std::string_view text) : rest_(text) { advance(); }

  std::optional<Node> read() {
    auto node = value(0);
    if (!node || !token_.empty()) return std::nullopt;
    return node;
  }

 private:
  // token_ becomes the next one; empty at the end.
  void advance() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpaces), rest_.size()));
    std::size_t length = 0;
    while (length < rest_.size() && kSpaces.find(rest_[length]) == kSpaces.npos) {
      const bool bracket = kBrackets.find(rest_[length]) != kBrackets.npos;
      if (bracket && length > 0) break;
      length += rest_[length] == '\\' && length + 1 < rest_.size() ? 2 : 1;
      if (bracket) break;
    }
    token_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
  }

  bool at(char bracket) const { return token_.size() == 1 && token_[0] == bracket; }

  std::optional<Node> value(int depth) {
    if (depth > kTreeDepthMax || token_.empty() || at(')') || at('}')) return std::nullopt;
    if (at('{')) return node(depth);
    Node result;
    if (!at('(')) {
      result.text = token_;
      advance();
      return result;
    }
    result.kind = Node::Kind::list;
    for (advance(); !at(')'); ) {
      auto item = value(depth + 1);
      if (!item) return std::nullopt;
      result.items.push_back(*std::move(item));
    }
    advance();
    return result;
  }

  std::optional<Node> node(int depth) {
    advance();
    Node result;
    result.kind = Node::Kind::node;
    result.text = token_;
    if (!at('}')) advance();
    while (!at('}')) {
      if (token_.size() < 2 || token_[0] != ':') return std::nullopt;
      auto& [name, values] = result.fields.emplace_back(token_.substr(1), std::vector<Node>());
      advance();
      // The first value may itself begin with a colon: a name that somebody chose.
      do {
        auto one = value(depth + 1);
        if (!one) return std::nullopt;
        values.push_back(*std::move(one));
      } while (!at('}') && !token_.starts_with(':'));
    }
    advance();
    return result;
  }

  std::string_view rest_;
  std::string_view token_;
};

}  // namespace

const Node* Node::field(std::string_view name) const {
  for (const auto& [label, values] : fields) {
    if (label == name) return values.size() == 1 ? &values.front() : nullptr;
  }
  return nullptr;
}

bool Node::has(std::string_view name, std::string_view atom) const {
  const Node* value = field(name);
  return value != nullptr && value->kind == Kind::atom && value->text == atom;
}

long long Node::number(std::string_view name) const {
  const Node* value = field(name);
  long long result = 0;
  if (value == nullptr || value->kind != Kind::atom) return 0;
  const auto* end = value->text.data() + value->text.size();
  const auto parsed = std::from_chars(value->text.data(), end, result);
  return parsed.ec == std::errc() && parsed.ptr == end ? result : 0;
}

Result<Node> parse_tree(std::string_view text) {
  if (auto tree = TreeReader(text).read()) return *std::move(tree);
  return Error::of(ErrorCode::unsupported, "the server's form of the parsed query is not known here",
                   "please report it with the server's version; meanwhile leave the collection out");
}

void visit_nodes(const Node& root, base::FunctionRef<void(const Node&)> visit) {
  if (root.kind == Node::Kind::node) visit(root);
  for (const Node& item : root.items) visit_nodes(item, visit);
  for (const auto& [name, values] : root.fields) {
    for (const Node& value : values) visit_nodes(value, visit);
  }
}

}  // namespace freshet::storage::postgres::analysis
