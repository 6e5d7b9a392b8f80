// PostgreSQL's own text of a parsed query (pg_node_tree: pg_proc.prosqlbody, pg_rewrite.ev_action), as a tree. The text is
// what the server believes the query to be, so nothing hides in it: no comment, no quoted name, no constant. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "freshet/result.h"

namespace freshet::storage::postgres::analysis {

struct Node {
  enum class Kind : unsigned char { atom, list, node };
  Kind kind = Kind::atom;
  std::string text;          // An atom as it is written, escapes included; a node's type: "QUERY".
  std::vector<Node> items;   // A list's.
  std::vector<std::pair<std::string, std::vector<Node>>> fields;  // A node's, without their colons.

  bool is(std::string_view type) const { return kind == Kind::node && text == type; }
  // The only value of a field; null if there is none, or more of them.
  const Node* field(std::string_view name) const;
  // A field that is this one atom. False too if there is no such field.
  bool has(std::string_view name, std::string_view atom) const;
  // A field that is a whole number; 0 if it is none.
  long long number(std::string_view name) const;
  // A field that is empty: "<>", which is how NULL and the empty list are written.
  bool lacks(std::string_view name) const { return has(name, "<>"); }
};

// Deeper ones are refused.
inline constexpr int kTreeDepthMax = 2000;

// Errors: unsupported, if the text is no tree.
Result<Node> parse_tree(std::string_view text);

// Every node below, itself included, parents first.
void visit_nodes(const Node& root, base::FunctionRef<void(const Node&)> visit);

}  // namespace freshet::storage::postgres::analysis
