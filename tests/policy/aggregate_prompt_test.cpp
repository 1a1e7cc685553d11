#include <hence/policy/aggregate_prompt.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

namespace {

namespace aggregate = hence::aggregate;
using fixture::form;
constexpr aggregate::all_prompts all{};
constexpr aggregate::non_empty_prompts non_empty{};

/// -A r + 0.0625 (e^u - 1 - u): a loss without a clip, so that differences are smooth.
template <class S, class A> auto loss_with(A a) {
  return hence::policy_loss{hence::ratio::token{}, [](auto r, auto x) { return -r * x; },
                            hence::kl::k3{S(0.0625)}, a};
}
long double plain_term(const fixture::row& r, const fixture::position& p) {
  const long double u = static_cast<long double>(p.ref) - static_cast<long double>(p.logp);
  return -static_cast<long double>(r.advantage) *
             std::exp(static_cast<long double>(p.logp) - static_cast<long double>(p.old)) +
         0.0625L * (std::exp(u) - 1 - u);
}
std::int64_t live_tokens(const fixture::row& r) {
  std::int64_t n = 0;
  for (const auto& p : r.at) n += p.live;
  return n;
}
/// What the mean of one prompt is, from its rows.
using prompt_mean = std::function<long double(const std::vector<fixture::row>&)>;

long double token_mean(const std::vector<fixture::row>& rows) {
  long double sum = 0;
  std::int64_t n = 0;
  for (const auto& r : rows)
    for (const auto& p : r.at)
      if (p.live) sum += plain_term(r, p), ++n;
  return n > 0 ? sum / static_cast<long double>(n) : 0;
}
template <bool NonEmpty> long double sequence_mean(const std::vector<fixture::row>& rows) {
  long double sum = 0;
  std::int64_t g = 0;
  for (const auto& r : rows) {
    if (!NonEmpty || live_tokens(r) > 0) ++g;
    if (live_tokens(r) > 0) sum += token_mean({r});
  }
  return g > 0 ? sum / static_cast<long double>(g) : 0;
}
long double plain_loss(const fixture::description& d, const std::vector<std::int64_t>& cu,
                       const prompt_mean& mean, bool skip_empty) {
  long double sum = 0;
  std::int64_t prompts = 0;
  for (std::size_t g = 0; g + 1 < cu.size(); ++g) {
    const std::vector<fixture::row> rows(d.rows.begin() + cu[g], d.rows.begin() + cu[g + 1]);
    std::int64_t n = 0;
    for (const auto& r : rows) n += live_tokens(r);
    if (n > 0 || !skip_empty) ++prompts;
    sum += mean(rows);
  }
  return prompts > 0 ? sum / static_cast<long double>(prompts) : 0;
}

struct answer {
  double loss = 0;
  std::vector<std::vector<double>> gradient;
  bool operator==(const answer&) const = default;
};

/// The loss over the whole batch, or over row ranges that cut prompts apart, in one layout.
template <class Executor, class A>
answer run(const Executor& executor, A a, const fixture::description& d,
           const std::vector<std::int64_t>& cu, form f, std::vector<std::size_t> cuts = {}) {
  using T = typename Executor::scalar;
  const auto loss = loss_with<T>(a);
  fixture::arrays<T> whole(d, f);
  std::vector<std::int64_t> sizes(d.rows.size(), -1);
  const auto prompts = whole.with_batch([&](const auto& batch) {
    return hence::count_prompts(a, batch, hence::groups{.cu_groups = cu}, sizes);
  });
  const auto window = hence::over_window(a, prompts);
  cuts.push_back(d.rows.size());
  answer out;
  auto total = hence::loss_result<T, A, hence::scope::window, hence::no_metrics>();
  std::size_t from = 0;
  for (const std::size_t to : cuts) {
    fixture::description part = d;
    part.rows.assign(d.rows.begin() + long(from), d.rows.begin() + long(to));
    fixture::arrays<T> x(part, f);
    const std::vector<T> before = x.gradient;
    x.with_batch([&](const auto& batch) {
      auto in = x.inputs();
      in.prompt_sizes = hence::view<const std::int64_t>(sizes.data() + from, long(to - from));
      total += hence::loss_and_gradient(executor, loss, batch, in, window, x.output());
    });
    fixture::outcome<T> o;
    take_gradient(o, part, x, before);
    CHECK(o.dead_are_zero);
    for (const auto& g : o.gradient) out.gradient.emplace_back(g.begin(), g.end());
    from = to;
  }
  out.loss = total.loss();
  return out;
}

const std::vector<std::int64_t> cu{0, 3, 3, 4, 7, 9};  // the second prompt has no row
fixture::description batch_of(unsigned seed) {
  fixture::dice random(seed);
  auto d = fixture::random_batch(random, {5, 40, 9, 7, 3, 0, 11, 6, 4}, {.live = 0.8});
  for (auto& p : d.rows[7].at) p.live = false;
  for (auto& p : d.rows[8].at) p.live = false;  // the last prompt has no live token
  return d;
}

template <class A> void check_against(A a, const prompt_mean& mean, bool skip_empty) {
  const auto d = batch_of(1);
  const answer o = run(hence::reference<double>{}, a, d, cu, form::ragged);
  CHECK(o.loss == doctest::Approx(double(plain_loss(d, cu, mean, skip_empty))).epsilon(1e-13));
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      constexpr double h = 0x1p-16;
      auto up = d, down = d;
      up.rows[i].at[t].logp += h, down.rows[i].at[t].logp -= h;
      const auto slope =
          (plain_loss(up, cu, mean, skip_empty) - plain_loss(down, cu, mean, skip_empty)) / (2 * h);
      CHECK(o.gradient[i][t] == doctest::Approx(double(slope)).epsilon(1e-7));
    }
}

}  // namespace

TEST_CASE("loss and gradient are the formula's, for every choice") {
  check_against(aggregate::prompt_mean_token_mean{all}, token_mean, false);
  check_against(aggregate::prompt_mean_token_mean{non_empty}, token_mean, true);
  check_against(aggregate::prompt_mean_sequence_mean{all, aggregate::all_rows{}},
                sequence_mean<false>, false);
  check_against(aggregate::prompt_mean_sequence_mean{non_empty, aggregate::non_empty_rows{}},
                sequence_mean<true>, true);
}

TEST_CASE("the same bits on every executor, in every layout, cut anywhere") {
  const auto d = batch_of(2);
  const auto check = [&](const auto& a) {
    const answer first = run(hence::reference<float>{}, a, d, cu, form::ragged);
    fixture::threads_of pool{2};
    for (const form f : fixture::every_form) {
      CHECK(run(hence::cpu{}, a, d, cu, f) == first);
      CHECK(run(hence::cpu{pool}, a, d, cu, f) == first);
      CHECK(run(hence::cpu{}, a, d, cu, f, {1, 2, 5, 8}) == first);
    }
  };
  check(aggregate::prompt_mean_token_mean{all});
  check(aggregate::prompt_mean_sequence_mean{non_empty, aggregate::non_empty_rows{}});
}

TEST_CASE("ranges of rows add up to the call, to the bit, and check the sizes of their own rows") {
  const auto d = batch_of(4);
  const aggregate::prompt_mean_token_mean mean{non_empty};
  const auto loss = loss_with<float>(mean);
  fixture::arrays<float> a(d, form::ragged);
  std::vector<std::int64_t> sizes(9);
  const auto prompts =
      hence::count_prompts(mean, a.ragged(), hence::groups{.cu_groups = cu}, sizes);
  const auto window = hence::over_all_ranks(mean, prompts);
  auto in = a.inputs();
  in.prompt_sizes = sizes;
  const auto whole =
      hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), in, window, a.output());
  const std::vector<float> wanted = a.gradient;
  a.gradient.assign(wanted.size(), 7);
  const auto range = [&](std::int64_t begin, std::int64_t end) {
    return hence::loss_and_gradient_rows(hence::cpu{}, loss, a.ragged(), in, window, a.output(),
                                         begin, end);
  };
  CHECK((range(5, 9) + range(0, 2) + range(2, 5)).loss() == whole.loss());
  CHECK(a.gradient == wanted);
  sizes[1] = 1;
  CHECK_NOTHROW(range(2, 9));
  CHECK_THROWS_AS(range(1, 2), std::invalid_argument);
}

TEST_CASE("a single prompt's token mean is the token mean; equal groups give the sequence mean") {
  fixture::dice random(3);
  const auto d = fixture::random_batch(random, {5, 9, 3, 7}, {.live = 0.9});
  const auto other = [&](const auto& a) {
    return fixture::run(hence::reference<double>{}, loss_with<double>(a), d).loss;
  };
  const auto prompt = [&](const auto& a, const std::vector<std::int64_t>& groups) {
    return run(hence::reference<double>{}, a, d, groups, form::ragged).loss;
  };
  CHECK(prompt(aggregate::prompt_mean_token_mean{all}, {0, 4}) ==
        doctest::Approx(other(aggregate::token_mean{})).epsilon(1e-14));
  const aggregate::prompt_mean_sequence_mean sequences{all, aggregate::all_rows{}};
  const double rows = other(aggregate::sequence_mean_token_mean{});
  CHECK(prompt(sequences, {0, 2, 4}) == doctest::Approx(rows).epsilon(1e-14));
  CHECK(prompt(aggregate::prompt_mean_token_mean{all}, {0, 1, 2, 3, 4}) ==
        doctest::Approx(rows).epsilon(1e-14));
  CHECK(std::fabs(prompt(sequences, {0, 1, 4}) - rows) > 1e-3);
}

TEST_CASE("sizes and denominators") {
  const auto d = batch_of(1);
  fixture::arrays<float> a(d, form::ragged);
  std::vector<std::int64_t> sizes(9, -1);
  const hence::groups groups{.cu_groups = cu};
  const auto n = [&](std::size_t i) { return live_tokens(d.rows[i]); };
  const aggregate::prompt_mean_token_mean tokens{all};
  auto c = hence::count_prompts(tokens, a.ragged(), groups, sizes);
  CHECK(c.prompts == 5);
  CHECK(c.non_empty_prompts == 3);
  CHECK(sizes == std::vector<std::int64_t>{n(0) + n(1) + n(2), n(0) + n(1) + n(2),
                                           n(0) + n(1) + n(2), n(3), n(4) + n(6), n(4) + n(6),
                                           n(4) + n(6), 0, 0});
  hence::count_prompts(aggregate::prompt_mean_sequence_mean{all, aggregate::all_rows{}}, a.ragged(),
                       groups, sizes);
  CHECK(sizes == std::vector<std::int64_t>{3, 3, 3, 1, 3, 3, 3, 2, 2});
  hence::count_prompts(aggregate::prompt_mean_sequence_mean{all, aggregate::non_empty_rows{}},
                       a.ragged(), groups, sizes);
  CHECK(sizes == std::vector<std::int64_t>{3, 3, 3, 1, 2, 2, 2, 0, 0});
  CHECK(hence::over_window(tokens, c).value == 5);
  CHECK(hence::over_all_ranks(aggregate::prompt_mean_token_mean{non_empty}, c + c).value == 6);
  CHECK(hence::over_window(tokens, hence::prompt_counts{}).value == 1);
  CHECK(std::is_same_v<decltype(hence::over_all_ranks(tokens, c)),
                       hence::denominator<aggregate::prompt_mean_token_mean<aggregate::all_prompts>,
                                          hence::scope::ranks>>);
}

TEST_CASE("what does not fit is refused before anything is written") {
  const auto d = batch_of(1);
  fixture::arrays<float> a(d, form::ragged);
  const aggregate::prompt_mean_token_mean mean{all};
  std::vector<std::int64_t> sizes(9, 100);
  const auto refusal = [&](auto&& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const std::vector<float> before = a.gradient;
  const auto loss = [&](hence::view<const std::int64_t> given) {
    return refusal([&] {
      auto in = a.inputs();
      in.prompt_sizes = given;
      hence::loss_and_gradient(hence::cpu{}, loss_with<float>(mean), a.ragged(), in,
                               hence::over_window(mean, hence::prompt_counts(5, 3)), a.output());
    });
  };
  CHECK(loss({}).starts_with("hence: prompt_sizes is null, and the loss is a mean over prompts"));
  CHECK(loss(hence::view<const std::int64_t>(sizes.data(), 8)) ==
        "hence: prompt_sizes has 8 entries, the batch has 9 rows");
  sizes[3] = live_tokens(d.rows[3]) - 1;
  CHECK(loss(sizes).starts_with("hence: prompt_sizes[3] is "));
  CHECK(a.gradient.size() == before.size());
  CHECK(std::memcmp(a.gradient.data(), before.data(), before.size() * sizeof(float)) == 0);
  sizes[3] += 1, sizes[7] = 0;  // as large as its row; that of a row without a live token
  CHECK(loss(sizes) == "accepted");
  const auto count = [&](const std::vector<std::int64_t>& groups, hence::view<std::int64_t> out) {
    return refusal(
        [&] { hence::count_prompts(mean, a.ragged(), hence::groups{.cu_groups = groups}, out); });
  };
  CHECK(count({0, 8}, sizes) == "hence: cu_groups describes 8 rows, the batch has 9");
  CHECK(count({0, 5, 4, 9}, sizes) ==
        "hence: cu_groups[2] is 4, expected at least its predecessor 5");
  CHECK(count(cu, hence::view<std::int64_t>(sizes.data(), 8)) ==
        "hence: sizes has 8 entries, the batch has 9 rows");
  CHECK(
      count(cu, hence::view<std::int64_t>(reinterpret_cast<std::int64_t*>(a.response.data()), 9)) ==
      "hence: sizes overlaps mask.response, expected separate arrays");
}

TEST_CASE("rows that are more prompts than their window are refused") {
  const auto d = batch_of(5);
  const auto check = [&](const auto& mean) {
    fixture::arrays<float> a(d, form::ragged);
    std::vector<std::int64_t> sizes(9);
    const auto prompts =
        hence::count_prompts(mean, a.ragged(), hence::groups{.cu_groups = cu}, sizes);
    auto in = a.inputs();
    in.prompt_sizes = sizes;
    const std::vector<float> before = a.gradient;
    const auto loss = loss_with<float>(mean);
    const auto rows = [&](std::int64_t window, std::int64_t begin, std::int64_t end) {
      return hence::loss_and_gradient_rows(
          hence::cpu{}, loss, a.ragged(), in,
          hence::over_window(mean, hence::prompt_counts(window, window)), a.output(), begin, end);
    };
    // three prompts have a live token, two of them lie in rows 0 to 3
    CHECK_THROWS_WITH_AS(rows(1, 0, 4),
                         "hence: these rows alone hold 2 prompts, their denominator 1; over_window "
                         "takes what count_prompts returns for the whole window",
                         std::invalid_argument);
    CHECK_THROWS_AS(
        hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), in,
                                 hence::over_window(mean, hence::prompt_counts(2, 2)), a.output()),
        std::invalid_argument);
    CHECK(std::memcmp(a.gradient.data(), before.data(), before.size() * sizeof(float)) == 0);
    CHECK_NOTHROW(rows(2, 0, 4));
    // each cut at other rows: together all of them once, then the first rows twice
    const std::int64_t all_of_them = prompts.non_empty_prompts;
    auto sum = rows(all_of_them, 0, 1) + rows(all_of_them, 4, 9);
    CHECK_NOTHROW(sum += rows(all_of_them, 1, 4));
    const auto again = rows(all_of_them, 3, 4);
    const double loss_before = sum.loss();
    CHECK_THROWS_AS(sum += again, std::invalid_argument);  // 4, or 3 2/3 where a row is empty
    CHECK(sum.loss() == loss_before);
    // a window of prompts without a token counts them too, and leaves room
    auto more = rows(5, 0, 9);
    CHECK_NOTHROW(more += rows(5, 3, 4));
    CHECK_NOTHROW(more += hence::loss_result<float, std::remove_cvref_t<decltype(mean)>,
                                             hence::scope::window, hence::no_metrics>());
  };
  check(aggregate::prompt_mean_token_mean{non_empty});
  check(aggregate::prompt_mean_token_mean{all});
  check(aggregate::prompt_mean_sequence_mean{all, aggregate::all_rows{}});
  check(aggregate::prompt_mean_sequence_mean{non_empty, aggregate::non_empty_rows{}});
}

TEST_CASE("a size below the row's own gives no finite loss, where nothing checks it") {
  using mean = aggregate::prompt_mean_token_mean<aggregate::all_prompts>;
  using rows = aggregate::prompt_mean_sequence_mean<aggregate::all_prompts, aggregate::all_rows>;
  CHECK(std::isnan(mean::row_divisor(5, 4)));
  CHECK(mean::row_divisor(5, 5) == 5);
  CHECK(mean::row_divisor(0, 0) == 1);
  CHECK(std::isnan(rows::row_divisor(5, 0)));
  CHECK(rows::row_divisor(5, 3) == 15);
  CHECK(rows::row_divisor(0, 0) == 1);
}

TEST_CASE("the shares of a prompt's rows, and how many prompts fit a denominator") {
  using hence::detail::check_prompt_shares;
  using hence::detail::prompt_share;
  CHECK(prompt_share(5, 5) == std::int64_t{1} << 32);
  CHECK(prompt_share(1, 4) == std::int64_t{1} << 30);
  CHECK(prompt_share(0, 4) == 0);
  CHECK(prompt_share(5, std::numeric_limits<double>::quiet_NaN()) == 0);
  CHECK(prompt_share(5, 0) == 0);
  // 2^20 and a millionth more of it, which 2^-32 divides
  const double most = 0x1p20 * (1 + 1e-6);
  const auto shares = static_cast<std::int64_t>(most * 0x1p32);
  CHECK_NOTHROW(check_prompt_shares("rows", shares, 0x1p20));
  CHECK_THROWS_AS(check_prompt_shares("rows", shares + 1, 0x1p20), std::invalid_argument);
  CHECK_NOTHROW(check_prompt_shares("rows", shares, 0));  // nothing was counted
}
