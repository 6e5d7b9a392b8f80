// Texts: parameters in queries, and canonical keys.
#include "storage/postgres/observed/fill_sql.h"

#include <gtest/gtest.h>

#include "storage/postgres/observed/catalog.h"

namespace freshet::storage::postgres {
namespace {

std::string replaced(std::string_view query) { return replace_parameters(query, {"A", "B"}); }

TEST(ReplaceParameters, replaces_parameters_and_nothing_else) {
  EXPECT_EQ(replaced("SELECT * FROM t WHERE a = $1 AND b=$2;"), "SELECT * FROM t WHERE a = (A) AND b=(B)");
  EXPECT_EQ(replaced("SELECT $1::int+$1"), "SELECT (A)::int+(A)");
  EXPECT_EQ(replaced("SELECT '$1', \"$2\", $1"), "SELECT '$1', \"$2\", (A)");
  EXPECT_EQ(replaced("SELECT 'it''s $1' || $2"), "SELECT 'it''s $1' || (B)");
  EXPECT_EQ(replaced("SELECT E'\\'$1' || $2"), "SELECT E'\\'$1' || (B)");
  EXPECT_EQ(replaced("SELECT 'a\\' || $1"), "SELECT 'a\\' || (A)");
  EXPECT_EQ(replaced("SELECT $$ $1 $$, $tag$ $2 $$ $tag$, $2"), "SELECT $$ $1 $$, $tag$ $2 $$ $tag$, (B)");
  EXPECT_EQ(replaced("SELECT 1 -- $1\n + $1"), "SELECT 1 -- $1\n + (A)");
  EXPECT_EQ(replaced("SELECT /* $1 /* $2 */ $1 */ $1"), "SELECT /* $1 /* $2 */ $1 */ (A)");
  EXPECT_EQ(replaced("SELECT a$1, $12 FROM t"), "SELECT a$1, $12 FROM t") << "a name with a dollar, and no such parameter";
  EXPECT_EQ(replaced("SELECT 'open $1"), "SELECT 'open $1");
}

TEST(KeyText, equal_values_have_one_text) {
  EXPECT_EQ(canonical(KeyForm::trim_scale, "1.50"), "1.5");
  EXPECT_EQ(canonical(KeyForm::trim_scale, "100"), "100");
  EXPECT_EQ(canonical(KeyForm::trim_scale, "-2.000"), "-2");
  EXPECT_EQ(canonical(KeyForm::trim_scale, "0.00"), "0");
  EXPECT_EQ(canonical(KeyForm::trim_scale, "NaN"), "NaN");
  EXPECT_EQ(canonical(KeyForm::positive_zero, "-0"), "0");
  EXPECT_EQ(canonical(KeyForm::positive_zero, "-0.5"), "-0.5");
  EXPECT_EQ(canonical(KeyForm::trim_blanks, "a  "), "a");
  EXPECT_EQ(canonical(KeyForm::as_is, "1.50 "), "1.50 ");
}

TEST(KeyText, types_whose_equal_values_have_several_texts_make_no_keys) {
  for (const Oid type : {1186u /* interval */, 3802u /* jsonb */, 114u /* json */, 1007u /* int4[] */, 3904u /* int4range */,
                         600u /* point */, 2205u /* regclass */, 790u /* money */, 1560u /* bit */, 142u /* xml */}) {
    EXPECT_FALSE(key_form_of(type, -1, 'b')) << type;
  }
  EXPECT_EQ(key_form_of(1700, -1, 'b'), KeyForm::trim_scale);
  EXPECT_EQ(key_form_of(1700, 655366, 'b'), KeyForm::as_is);
  EXPECT_EQ(key_form_of(1042, 9, 'b'), KeyForm::as_is);
  EXPECT_EQ(key_form_of(123456, -1, 'e'), KeyForm::as_is);
}

TEST(KeyText, plain_spellings_need_no_server) {
  EXPECT_TRUE(is_plainly_canonical(23, "17"));
  EXPECT_TRUE(is_plainly_canonical(23, "-17"));
  for (const char* text : {"017", "+17", "-0", " 17", "17 ", "", "2147483648", "x"}) {
    EXPECT_FALSE(is_plainly_canonical(23, text)) << text;
  }
  EXPECT_TRUE(is_plainly_canonical(2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
  EXPECT_FALSE(is_plainly_canonical(2950, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"));
  EXPECT_FALSE(is_plainly_canonical(1700, "17"));
}

TEST(Positions, the_header_of_a_page_is_no_record) {
  EXPECT_EQ(without_page_header(8192 + 24), 8192u);
  EXPECT_EQ(without_page_header(16 * 1024 * 1024 + 40), 16u * 1024 * 1024);
  EXPECT_EQ(without_page_header(8192 + 48), 8192u + 48);
  EXPECT_EQ(without_page_header(8192), 8192u);
}

}  // namespace
}  // namespace freshet::storage::postgres
