#include <hence/reward/structure.hpp>

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace detail = hence::reward::detail;
using detail::shape;
using isa = hence::native_isa;

namespace {

std::vector<std::string> parts(std::string_view s, bool unions = false) {
  std::vector<std::string> found;
  detail::part_reader<isa> reader(s, unions);
  for (std::string_view part; reader.next(part);) found.emplace_back(part);
  CHECK(static_cast<int>(found.size()) == detail::count_parts<isa>(s, unions, 1000));
  return found;
}
using list = std::vector<std::string>;

}  // namespace

TEST_CASE("parts are cut where no bracket encloses") {
  CHECK(parts("1, 2") == list{"1", "2"});
  CHECK(parts("(1,2), [3,4)") == list{"(1,2)", "[3,4)"});
  CHECK(parts("\\frac{1,2}{3}, 4") == list{"\\frac{1,2}{3}", "4"});
  CHECK(parts("1 or 2 and 3") == list{"1", "2", "3"});
  CHECK(parts("1\\text{ or }2") == list{"1", "2"});
  CHECK(parts("1,,2,") == list{"1", "2"});
  CHECK(parts("(),1") == list{"()", "1"});
  CHECK(parts("[()],1") == list{"[()]", "1"});
  CHECK(parts("\\{\\},1") == list{"\\{\\}", "1"});
  CHECK(parts("1\\") == list{"1\\"});
  CHECK(parts("") == list{});
  CHECK(parts(",") == list{});
  CHECK(parts("a\\;b") == list{"a\\;b"});
  CHECK(parts(")1,2") == list{")1", "2"});  // more closed than opened
  CHECK(parts("(1,2") == list{"(1,2"});
  CHECK(parts("A \\cup B", true) == list{"A", "B"});
  CHECK(parts("\\cupcake", true) == list{"\\cupcake"});
}

TEST_CASE("shapes") {
  const auto form = [](std::string_view s) { return detail::structure_of<isa>(s).form; };
  CHECK(form("5") == shape::single);
  CHECK(form("(5)") == shape::single);
  CHECK(form("(1,2)") == shape::ordered);
  CHECK(form("[1,2)") == shape::ordered);
  CHECK(form("\\left(1,2\\right)") == shape::ordered);
  CHECK(form("((1,2),(3,4))") == shape::ordered);
  CHECK(form("\\{1\\}") == shape::unordered);
  CHECK(form("\\{\\{1,2\\},3\\}") == shape::unordered);
  CHECK(form("1,2") == shape::unordered);
  CHECK(form("(1,2),(3,4)") == shape::unordered);
  CHECK(form("(1,2) \\cup (3,4)") == shape::union_of);
  CHECK(form("(1,2)x") == shape::single);
  CHECK(form("(1,2") == shape::single);
  CHECK(form("\\{1,2)") == shape::single);
  CHECK(detail::structure_of<isa>("\\left[ 1, 2 \\right)").inside == "1, 2");
  CHECK(detail::structure_of<isa>("[1,2)").close == ')');
}

TEST_CASE("a million brackets") {
  for (const char* bracket : {"(", ")", "\\{", "\\}", "{", "}", ",", "\\", "\\left("}) {
    std::string s;
    while (s.size() < 1000000) s += bracket;
    CHECK(detail::structure_of<isa>(s).form == shape::single);
  }
}

TEST_CASE("words in a font separate, alone in their braces") {
  for (const char* word : {"\\text{and}", "\\text{ and }", "\\textrm{or}", "\\mbox{  or }"})
    CHECK(parts("1 " + std::string(word) + " 2") == list{"1", "2"});
  for (const char* word : {"\\text and", "\\text and}", "\\text{and x}", "\\text{nor}",
                           "\\text{and", "\\text{", "\\text{ or", "\\textand"})
    CHECK(parts("1 " + std::string(word)) == list{"1 " + std::string(word)});
  CHECK(parts(std::string_view("1 \\text{and}").substr(0, 11)) == list{"1 \\text{and"});
}

TEST_CASE("nothing behind the end of a text is read") {
  static constexpr char word[] = {'1', ' ', '\\', 't', 'e', 'x', 't', '{', ' ', 'o', 'r', ' '};
  static_assert(detail::count_parts<isa>({word, 12}, false, 3) == 1);
  static_assert(detail::count_parts<isa>({word, 11}, false, 3) == 1);
  static_assert(detail::count_parts<isa>({word, 9}, false, 3) == 1);
  static_assert(detail::count_parts<isa>({word, 8}, false, 3) == 1);
  static constexpr char list[] = {'(', '1', ',', '2', ')', '\\'};
  static_assert(detail::structure_of<isa>({list, 5}).form == shape::ordered);
  static_assert(detail::structure_of<isa>({list, 4}).form == shape::single);
  static_assert(detail::structure_of<isa>({list, 6}).form == shape::single);
  static_assert(detail::structure_of<isa>({list, 0}).form == shape::single);
}
