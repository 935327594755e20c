#include "client/crrctl/rules.h"

#include <gtest/gtest.h>

namespace crr {
namespace {

TEST(RulesTableTest, NoRulesAreALineOfHeadings) {
  EXPECT_EQ(RulesTable({}),
            "NAME  DESTINATION  STATE  OPERATIONS  CONDITIONS\n");
}

TEST(RulesTableTest, ColumnsLineUp) {
  v1::Rule first;
  first.set_name("buckets/photos/rules/dr");
  first.set_destination_bucket("buckets/photos-dr");
  first.set_state(v1::Rule::ACTIVE);
  first.set_operations(v1::Rule::ADD_DELETE_CHANGE);
  v1::Rule second;
  second.set_name("buckets/x/rules/r");
  second.set_destination_bucket("buckets/y");
  second.set_state(v1::Rule::STARTING);
  second.set_operations(v1::Rule::ADD_CHANGE);
  second.add_conditions()->set_type("STORE_NOT_SET");
  second.add_conditions()->set_type("RESYNC_NEEDED");
  EXPECT_EQ(
      RulesTable({first, second}),
      "NAME                     DESTINATION        STATE     OPERATIONS       "
      "  CONDITIONS\n"
      "buckets/photos/rules/dr  buckets/photos-dr  ACTIVE    "
      "ADD_DELETE_CHANGE  -\n"
      "buckets/x/rules/r        buckets/y          STARTING  ADD_CHANGE       "
      "  STORE_NOT_SET,RESYNC_NEEDED\n");
}

}  // namespace
}  // namespace crr
