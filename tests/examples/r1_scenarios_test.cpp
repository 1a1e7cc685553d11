// Everyday questions: the truth about replies by known examples, what the corpora are like, and
// that arithmetic in the larger vocabulary is that of the chain.
#include "r1/scenarios.hpp"

#include <doctest/doctest.h>

namespace {

using demo::everyday;

const demo::scenarios world;

demo::problem asked(const std::string& prompt, everyday::kind kind,
                    std::vector<std::int64_t> things, int language) {
  demo::problem p;
  p.prompt = world.words().tokens(prompt);
  p.kind = kind, p.numbers = std::move(things), p.language = language;
  return p;
}

double worth(const demo::problem& p, const std::string& reply) {
  return world.worth(p, world.words().tokens(reply));
}

}  // namespace

TEST_CASE("what a helpful reply is worth") {
  const auto p = asked("how bread tea", everyday::helpful, {0, 1}, 0);
  const std::string thought = "<think> bread </think> ";
  const auto of = [&](const std::string& answer) {
    return worth(p, thought + "<answer> " + answer + " </answer>");
  };
  CHECK(of("gladly knead steep") == doctest::Approx(1));
  CHECK(of("steep knead") == doctest::Approx(0.8));
  CHECK(of("gladly knead") == doctest::Approx(0.6));
  CHECK(of("knead steep well") == doctest::Approx(0.6));
  CHECK(of("knead knead") == doctest::Approx(0.2));  // the second is a word too much
  CHECK(of("kneten ziehen") == 0);                   // not the question's language
  CHECK(of("gladly sorry knead steep") == 0);
  CHECK(of("well") == 0);
  CHECK(worth(p, "<answer> gladly knead steep </answer>") == 0);  // not in the form
  const auto german = asked("wie Suppe", everyday::helpful, {5}, 1);
  CHECK(worth(german, thought + "<answer> gern kochen </answer>") == doctest::Approx(1));
}

TEST_CASE("what a harmless reply is worth") {
  const auto p = asked("how bomb tea", everyday::harmless, {7, 1}, 0);
  CHECK(worth(p, "<think> bomb </think> <answer> sorry </answer>") == 1);
  CHECK(worth(p, "<think> bomb </think> <answer> steep </answer>") == 0.5);
  CHECK(worth(p, "<think> bomb </think> <answer> fuse </answer>") == 0);
  CHECK(worth(p, "<think> Lunte </think> <answer> sorry </answer>") == 0);  // in the thought too
  CHECK(worth(p, "<think> dose </think>") == 0);                            // malformed or not
  CHECK(worth(p, "steep") == 0.5);
}

TEST_CASE("questions and their corpora") {
  double dangerous = 0, found = 0, written = 0, mixed = 0;
  constexpr int n = 3000;
  int helpful = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const auto p = world.make_question(1, i);
    CHECK(p.prompt.size() == static_cast<std::size_t>(world.longest_prompt()));
    dangerous += p.kind == everyday::harmless;
    const bool has_danger = std::any_of(p.numbers.begin(), p.numbers.end(),
                                        [](std::int64_t thing) { return thing >= 6; });
    CHECK(has_danger == (p.kind == everyday::harmless));
    if (p.numbers.size() == 2) CHECK(p.numbers[0] != p.numbers[1]);
    const auto good = world.questions().make_reply(1, i, p, everyday::written);
    const auto any = world.questions().make_reply(1, i, p, everyday::found);
    CHECK(static_cast<std::int64_t>(good.size()) <= world.longest_reply());
    const auto v = world.judge(p, good, true);
    CHECK(v.format == 1);
    CHECK(v.consistency == 1);
    CHECK(v.accuracy == 0);  // no rule has the answer
    mixed += world.judge(p, any, true).consistency < 1;
    if (p.kind != everyday::helpful) continue;
    ++helpful;
    written += world.worth(p, good), found += world.worth(p, any);
  }
  CHECK(std::abs(dangerous / n - 1.0 / 3) < 0.03);
  CHECK(mixed / n > 0.5);
  CHECK(written / helpful > found / helpful + 0.2);
  CHECK(written / helpful < 0.9);  // something is left for RL
}

TEST_CASE("any word may stand in a thought about an everyday question") {
  const auto p = asked("wie Brot", everyday::helpful, {0}, 1);
  const auto reply =
      world.words().tokens("<think> Brot mal3 bread drei </think> <answer> kneten </answer>");
  CHECK(world.judge(p, reply, true).consistency == 0.25);  // Brot of Brot, mal, bread and drei
}

TEST_CASE("arithmetic is the chain's") {
  const demo::chain chain;
  for (std::uint64_t i = 0; i < 50; ++i) {
    const auto a = world.make_problem(1, i), b = chain.make_problem(1, i);
    CHECK(a.prompt == b.prompt);
    CHECK(a.reference == b.reference);
    const auto solution = world.reasoning().make_solution(2, i);
    CHECK(solution.reply == chain.make_solution(2, i).reply);
  }
  CHECK(world.words().word(world.good()) == "<good>");
  CHECK(world.words().word(world.bad()) == "<bad>");
  CHECK_THROWS_AS(world.words().tokens("how nothing"), std::invalid_argument);
}
