// The losses that a run can name against the papers' formulas in double, with and without what a
// flag changes of them; that a step of Dr. GRPO has that paper's advantage; what is refused.
#include "rl/losses.hpp"

#include "rl/chain.hpp"
#include "rl/trainer.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t longest = 7;

/// Three replies of 4, 2 and 5 tokens whose log-ratios leave every range on both sides.
struct minibatch {
  std::vector<std::int64_t> ends{0, 4, 6, 11};
  std::vector<double> log_ratio{.05, 1.3, -.4, .02, -.35, -.2, .3, .21, -.1, 1.5, .24};
  std::vector<double> advantage{.8, -1.2, 1.5};
  std::vector<float> logp, old, ref, advantages{.8f, -1.2f, 1.5f};
  minibatch() {
    for (std::size_t t = 0; t < log_ratio.size(); ++t) {
      old.push_back(static_cast<float>(-1 - .1 * static_cast<double>(t)));
      logp.push_back(static_cast<float>(static_cast<double>(old[t]) + log_ratio[t]));
      ref.push_back(logp[t] + (t % 2 == 0 ? .3f : -.6f));
    }
  }
};

/// A recipe as its paper writes it, and with which bounds and KL coefficient.
struct formula {
  std::string name;
  double low, high, kl_coef;
  bool of_sequence, is_weight;  ///< the ratio; CISPO's weight, of which no gradient is taken
  /// What the sum over a row's tokens is divided by, of its length.
  double (*divisor)(double);
};
const std::array<formula, 5> papers{{
    {"grpo", .8, 1.2, .001, false, false, [](double n) { return 3 * n; }},  // 2402.03300 eq. 3
    {"dr_grpo", .8, 1.2, 0, false, false,
     [](double) { return 3.0 * longest; }},                                   // 2503.20783 eq. 2
    {"dapo", .8, 1.28, 0, false, false, [](double) { return 11.0; }},         // 2503.14476 eq. 8
    {"gspo", .9997, 1.0004, 0, true, false, [](double n) { return 3 * n; }},  // 2507.18071 eq. 5
    {"cispo", -infinity, 3, 0, false, true, [](double) { return 11.0; }},     // 2506.13585 eq. 4
}};

struct expected {
  double loss = 0, kl = 0, clipped = 0;
  std::vector<double> gradient;
};
expected by_the_paper(const formula& f, const minibatch& m) {
  expected e;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto begin = static_cast<std::size_t>(m.ends[i]);
    const auto end = static_cast<std::size_t>(m.ends[i + 1]);
    const double n = static_cast<double>(end - begin), a = m.advantage[i], d = f.divisor(n);
    double sum = 0;
    for (std::size_t t = begin; t < end; ++t) sum += m.log_ratio[t];
    double of_row = 0;  // GSPO: every token's gradient is the row's
    for (std::size_t t = begin; t < end; ++t) {
      const double r = std::exp(f.of_sequence ? sum / n : m.log_ratio[t]);
      const double cut = std::min(std::max(r, f.low), f.high);
      const double u = static_cast<double>(m.ref[t]) - static_cast<double>(m.logp[t]);
      const double kl = std::exp(u) - u - 1;
      e.kl += kl / 11;
      e.clipped += (a > 0 ? r > f.high : r < f.low) / 11.0;
      double value = -std::min(r * a, cut * a), gradient = r * a <= cut * a ? -r * a : 0;
      if (f.is_weight) value = -cut * a * static_cast<double>(m.logp[t]), gradient = -cut * a;
      e.loss += (value + f.kl_coef * kl) / d;
      if (f.of_sequence) of_row += gradient / n / d;
      e.gradient.push_back((f.of_sequence ? 0 : gradient / d) + f.kl_coef * (1 - std::exp(u)) / d);
    }
    for (std::size_t t = begin; t < end; ++t) e.gradient[t] += of_row;
  }
  return e;
}

demo::settings named(const std::string& recipe) {
  demo::settings s;
  s.recipe = recipe, s.questions = 2, s.group = 3, s.minibatches = 2;  // minibatches of 3 replies
  return s;
}

void check_against(const formula& f, const demo::any_loss& loss) {
  CAPTURE(f.name);
  const auto c = demo::constants_of(loss);
  CHECK(c.low == f.low);
  CHECK(c.high == f.high);
  CHECK(c.kl_coef == f.kl_coef);

  const minibatch m;
  const expected e = by_the_paper(f, m);
  const auto whole = hence::count(hence::ragged{.cu_seqlens = m.ends});
  const hence::sampled how{.temperature = 1};
  double sum = 0;
  hence::policy_metrics<float> metrics;
  std::vector<float> gradient;
  for (const std::size_t first : {std::size_t{0}, std::size_t{2}}) {  // two parts
    const std::size_t last = first == 0 ? 2 : 3;
    std::vector<std::int64_t> ends;
    for (std::size_t i = first; i <= last; ++i) ends.push_back(m.ends[i] - m.ends[first]);
    const auto part_of = [&](const std::vector<float>& x) {
      return std::vector<float>(x.begin() + m.ends[first], x.begin() + m.ends[last]);
    };
    const auto logp = part_of(m.logp), old = part_of(m.old), ref = part_of(m.ref);
    const std::vector<float> a(m.advantages.begin() + static_cast<std::ptrdiff_t>(first),
                               m.advantages.begin() + static_cast<std::ptrdiff_t>(last));
    std::vector<float> cotangent(logp.size());
    const auto got = demo::loss_and_gradient(
        loss, whole, {.cu_seqlens = ends},
        {.logp = {logp, how}, .old = {old, how}, .ref = {ref, how}, .advantages = a}, cotangent);
    CHECK(got.is_finite);
    sum += got.loss, metrics += got.metrics;
    gradient.insert(gradient.end(), cotangent.begin(), cotangent.end());
  }
  CHECK(sum == doctest::Approx(e.loss).epsilon(1e-5));
  CHECK(metrics.kl_mean() == doctest::Approx(e.kl).epsilon(1e-5));  // measured at coefficient 0 too
  CHECK(metrics.clip_region_mean() == doctest::Approx(e.clipped));
  for (std::size_t t = 0; t < gradient.size(); ++t) {
    CAPTURE(t);
    CHECK(static_cast<double>(gradient[t]) == doctest::Approx(e.gradient[t]).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE("a named loss is its paper's, and a setting changes one constant of it") {
  for (const formula& own : papers) {
    auto s = named(own.name);
    check_against(own, demo::make_loss(s, longest));
    auto f = own;
    s.epsilon_low = .3, f.low = .7;
    check_against(f, demo::make_loss(s, longest));
    s.epsilon_high = .5, f.high = 1.5;
    check_against(f, demo::make_loss(s, longest));
    s.kl_coef = .25, f.kl_coef = .25;
    check_against(f, demo::make_loss(s, longest));
  }
  REQUIRE(demo::loss_names().size() == papers.size());
  for (std::size_t i = 0; i < papers.size(); ++i) CHECK(demo::loss_names()[i] == papers[i].name);
  // the papers of these two state no epsilon
  for (const char* name : {"grpo", "dr_grpo"}) {
    auto s = named(name);
    s.epsilon = 10;
    CHECK(demo::constants_of(demo::make_loss(s, longest)).low == -9);
    CHECK(demo::constants_of(demo::make_loss(s, longest)).high == 11);
  }
}

TEST_CASE("a token whose log-prob is NaN makes a loss that says so") {
  const std::vector<std::int64_t> ends{0, 1};
  const std::vector<float> logp{std::nanf("")}, old{-1}, a{1};
  const hence::sampled how{.temperature = 1};
  std::vector<float> cotangent(1);
  for (const auto& name : demo::loss_names())
    CHECK(!demo::loss_and_gradient(
               demo::make_loss(named(name), longest),
               hence::count(hence::ragged{.cu_seqlens = ends}), {.cu_seqlens = ends},
               {.logp = {logp, how}, .old = {old, how}, .ref = {old, how}, .advantages = a},
               cotangent)
               .is_finite);
}

TEST_CASE("what is no recipe and what is no constant is refused by name") {
  const auto refuses = [](const demo::settings& s, const char* text) {
    CHECK_THROWS_WITH_AS(demo::make_loss(s, longest), text, std::invalid_argument);
  };
  refuses(named("ppo"), "there is no recipe ppo, expected grpo, dr_grpo, dapo, gspo or cispo");
  auto s = named("dapo");
  s.epsilon_low = -.5;
  refuses(s, "epsilon_low is -0.500000, expected a number of 0 or more");
  s = named("dapo"), s.epsilon_high = std::nan("");
  refuses(s, "epsilon_high is nan, expected a number of 0 or more");
  s = named("dapo"), s.kl_coef = infinity;
  refuses(s, "kl_coef is inf, expected a number of 0 or more");
}

TEST_CASE("a rollout's advantages are those of the recipe, and it has a reply for each minibatch") {
  const demo::chain task;
  hence::thread_pool pool(1);
  for (const auto& name : demo::loss_names()) {
    CAPTURE(name);
    auto s = named(name);
    s.width = 16, s.heads = 1, s.layers = 1, s.ff = 16, s.group = 4;
    demo::trainer t(s, task, pool);
    t.initialise();
    t.begin_reinforcement();
    auto goal = demo::r1_zero_objective(s, task);
    goal.rewards = [](const demo::judged_rollout&, std::span<float> r) {
      std::iota(r.begin(), r.end(), 1.0f);  // the first group: 1 2 3 4
    };
    demo::sample_group shown;
    t.reinforce(goal, &shown);
    const double deviation = name == "dr_grpo" ? 1 : std::sqrt(5.0 / 3) + 1e-4;
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(shown.rows[i].advantage ==
            doctest::Approx((static_cast<double>(i) - 1.5) / deviation).epsilon(1e-6));
  }
  auto s = named("grpo");
  s.minibatches = 7;
  CHECK_THROWS_WITH_AS(
      demo::trainer(s, task, pool),
      "minibatches is 7, expected 1 to the 6 replies of a rollout (2 questions x 3)",
      std::invalid_argument);
  s.minibatches = 0;
  CHECK_THROWS_AS(demo::trainer(s, task, pool), std::invalid_argument);
  s.minibatches = 6;
  const demo::trainer as_many(s, task, pool);
}
