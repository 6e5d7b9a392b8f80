// Node trees: what is read, what hides in names, and that any text ends in a tree or an error.
#include "storage/postgres/query/tree.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace freshet::storage::postgres::analysis {
namespace {

TEST(QueryTree, ReadsNodesListsAndAtoms) {
  const auto tree = parse_tree(
      "(({QUERY :commandType 1 :cteList <> :args ({VAR :varno 1} {CONST :constvalue 4 [ 1 -1 ]})}))");
  ASSERT_TRUE(tree) << tree.error().what;
  const Node& query = tree->items[0].items[0];
  EXPECT_TRUE(query.is("QUERY"));
  EXPECT_EQ(query.number("commandType"), 1);
  EXPECT_TRUE(query.lacks("cteList"));
  EXPECT_FALSE(query.lacks("none"));
  ASSERT_EQ(query.field("args")->items.size(), 2u);
  EXPECT_EQ(query.field("args")->items[1].field("constvalue"), nullptr) << "it has many values";
}

TEST(QueryTree, NamesHideNothing) {
  const auto tree = parse_tree(R"({T :resname :funcid :other \<> :alias "a\ b\}\ \{QUERY" :x a\)b})");
  ASSERT_TRUE(tree) << tree.error().what;
  EXPECT_TRUE(tree->has("resname", ":funcid"));
  EXPECT_EQ(tree->field("funcid"), nullptr);
  EXPECT_FALSE(tree->lacks("other")) << "a text, not NULL";
  std::size_t queries = 0;
  visit_nodes(*tree, [&](const Node& node) { queries += node.is("QUERY") ? 1 : 0; });
  EXPECT_EQ(queries, 0u);
}

TEST(QueryTree, WhatIsNoneIsRefused) {
  for (const auto* text : {"", " ", "(", ")", "{", "}", "{A", "{A b}", "{A :b}", "{A :b }", "(a", "(a))", "a b", "{A :b (}",
                           "{A : c}"}) {
    EXPECT_FALSE(parse_tree(text)) << text;
  }
  EXPECT_FALSE(parse_tree(std::string(1 << 20, '(')));
  EXPECT_FALSE(parse_tree(std::string(5000, '(') + std::string(5000, ')')));
}

RC_GTEST_PROP(QueryTree, any_text_ends, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("(){}: \\a1<>\"\n")));
  if (const auto tree = parse_tree(text)) {
    std::size_t nodes = 0;
    visit_nodes(*tree, [&](const Node&) { ++nodes; });
    RC_ASSERT(nodes <= text.size());
  }
}

}  // namespace
}  // namespace freshet::storage::postgres::analysis
