// The kernels' source, run on the host by the stand-in of CUDA, against the reference to the bit.
#include <doctest/doctest.h>
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy/aggregate_prompt.hpp>
#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/recipe.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <cmath>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>

namespace {

using hence::cuda::loss_state_for;

/// Rows of one width with masks, laid out padded and ragged; garbage wherever nothing may be read.
struct batch_data {
  std::int64_t rows, width;
  std::vector<std::uint8_t> masks[4];
  std::vector<float> logp, old, ref, rollout, entropy, token_advantages, advantages, scores;
  bool with_masks, with_roles, by_token;
  std::vector<std::int64_t> prompt_sizes{};  // no smaller than the rows' own
};

const float garbage = std::bit_cast<float>(0x7fa00001u);  // signalling NaN

batch_data make_batch(std::int64_t rows, std::int64_t width, bool with_masks, bool with_roles,
                      bool by_token, unsigned seed) {
  batch_data b{rows, width, {}, {}, {}, {}, {}, {}, {}, {}, {}, with_masks, with_roles, by_token};
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<float>(random()) / 4294967296.0f; };
  const auto tokens = static_cast<std::size_t>(rows * width);
  for (auto& m : b.masks) m.assign(tokens, 1);
  for (auto* a : {&b.logp, &b.old, &b.ref, &b.rollout, &b.entropy, &b.token_advantages})
    a->assign(tokens, garbage);
  for (std::int64_t i = 0; i < rows; ++i) {
    const bool is_dead = with_masks && i % 5 == 3;
    bool any = false;
    for (std::int64_t t = 0; t < width; ++t) {
      const auto at = static_cast<std::size_t>(i * width + t);
      if (with_masks)
        b.masks[0][at] = !is_dead && (t < width / 2 || random() % 4 != 0)
                             ? static_cast<std::uint8_t>(1 + random() % 255)
                             : 0;
      if (with_roles)
        for (int role = 1; role < 4; ++role) b.masks[role][at] = random() % 3 != 0;
      if (b.masks[0][at] == 0) continue;
      const bool policy = b.masks[1][at] != 0, kl = b.masks[2][at] != 0;
      const float spread = random() % 8 == 0 ? 30.0f : random() % 8 == 0 ? 1e-6f : 0.5f;
      const float logp = -3.0f * uniform();
      if (policy || kl) b.logp[at] = logp;
      if (policy) {
        b.old[at] = logp + spread * (uniform() - 0.5f);
        b.rollout[at] = b.old[at] + 0.1f * (uniform() - 0.5f);
        b.entropy[at] = uniform();
      } else if (kl) {  // for a KL term with the ratio or the correction in it
        b.old[at] = logp + uniform() - 0.5f, b.rollout[at] = b.old[at] + 0.1f * uniform();
      }
      if (kl) b.ref[at] = logp + spread * (uniform() - 0.5f);
      if (policy) b.token_advantages[at] = 2.0f * uniform() - 1.0f, any = true;
    }
    b.advantages.push_back(any ? 2.0f * uniform() - 1.0f : garbage);
    b.scores.push_back(is_dead ? garbage : uniform());
    b.prompt_sizes.push_back(is_dead ? -1 : width + 3 * (i / 2));
  }
  return b;
}

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b);
}
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (a != a && b != b);
}

template <class Result> void compare(const Result& got, const Result& wanted) {
  CHECK(same(got.loss(), wanted.loss()));
  CHECK(got.counts() == wanted.counts());
  CHECK(got.conditions() == wanted.conditions());
  if constexpr (requires { got.metrics().kls; }) {
    const auto &m = got.metrics(), &w = wanted.metrics();
    CHECK(m.tokens == w.tokens);
    CHECK(m.clipped_low == w.clipped_low);
    CHECK(m.clipped_high == w.clipped_high);
    CHECK(same(m.max_ratio, w.max_ratio));
    CHECK(same(m.ratio_mean(), w.ratio_mean()));
    CHECK(same(m.kl_mean(), w.kl_mean()));
    CHECK(same(m.entropy_mean(), w.entropy_mean()));
  }
}

enum class layouts { padded, both };

/// One batch, one loss: padded, then if wanted ragged with another launch shape and threads and
/// blocks backwards.
template <class Choice, layouts In = layouts::both, class Loss, class D>
void run(const batch_data& b, const Loss& loss, const D& d, std::size_t shift) {
  const auto tokens = static_cast<std::size_t>(b.rows * b.width);
  std::vector<float> wanted(tokens, -7.0f), wanted_entropy(tokens, -7.0f),
      entropy_gradient(tokens, -7.0f);
  const hence::masks<2> mask = [&] {
    hence::masks<2> m;
    if (b.with_masks) m.response = {b.masks[0].data(), b.rows, b.width};
    if (b.with_roles) {
      m.policy = {b.masks[1].data(), b.rows, b.width};
      m.kl = {b.masks[2].data(), b.rows, b.width};
      m.metric = {b.masks[3].data(), b.rows, b.width};
    }
    return m;
  }();
  const auto inputs = [&](const auto& view_of) {
    hence::policy_inputs<float> in;
    in.logp = {view_of(b.logp), {1.0}}, in.old = {view_of(b.old), {1.0}},
    in.ref = {view_of(b.ref), {1.0}}, in.rollout = {view_of(b.rollout), {1.0}},
    in.entropy = view_of(b.entropy);
    if (b.by_token)
      in.token_advantages = view_of(b.token_advantages);
    else
      in.advantages = b.advantages;
    in.scores = b.scores;
    in.prompt_sizes = b.prompt_sizes;
    return in;
  };
  const auto in_rows = [&](const std::vector<float>& a) {
    return hence::per_token<const float>(hence::view<const float, 2>(a.data(), b.rows, b.width));
  };
  const hence::padded padded{b.rows, b.width, mask};
  const auto reference =
      hence::loss_and_gradient(hence::reference<float>{}, loss, padded, inputs(in_rows), d,
                               {hence::view<float, 2>(wanted.data(), b.rows, b.width),
                                hence::view<float, 2>(wanted_entropy.data(), b.rows, b.width)},
                               Choice{});
  loss_state_for<Loss, D, Choice> state;
  const auto check = [&](const std::vector<float>& gradient, std::size_t offset) {
    compare(state.result(), reference);
    CHECK(state.sums.prompt_shares == reference.state().prompt_shares);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < tokens; ++i)
      wrong +=
          !same(gradient[offset + i], wanted[i]) || !same(entropy_gradient[i], wanted_entropy[i]);
    CHECK(wrong == 0);
  };
  std::vector<float> gradient(tokens + shift, -7.0f);
  hence::cuda::loss_and_gradient<hence::cuda::policy_loss_tuning{64, 3}>(
      nullptr, loss, padded, inputs(in_rows), d,
      {hence::view<float, 2>(gradient.data() + shift, b.rows, b.width),
       hence::view<float, 2>(entropy_gradient.data(), b.rows, b.width)},
      &state, Choice{});
  check(gradient, shift);
  if constexpr (In == layouts::both) {
    std::vector<std::int32_t> cu(1, 0);
    for (std::int64_t i = 0; i < b.rows; ++i)
      cu.push_back(static_cast<std::int32_t>((i + 1) * b.width));
    const auto flat = [](const std::vector<float>& a) {
      return hence::per_token<const float>(hence::view<const float>(a));
    };
    hence::ragged ragged{cu, {}};
    if (b.with_masks) ragged.mask.response = b.masks[0];
    if (b.with_roles)
      ragged.mask.policy = b.masks[1], ragged.mask.kl = b.masks[2], ragged.mask.metric = b.masks[3];
    std::fill(gradient.begin(), gradient.end(), -7.0f);
    std::fill(entropy_gradient.begin(), entropy_gradient.end(), -7.0f);
    standin::now().backwards = true;
    hence::cuda::loss_and_gradient<hence::cuda::policy_loss_tuning{128, 1000}>(
        nullptr, loss, ragged, inputs(flat), d,
        {hence::view<float>(gradient.data() + shift, b.rows * b.width),
         hence::view<float>(entropy_gradient)},
        &state, Choice{});
    standin::now().backwards = false;
    check(gradient, shift);
  }
}

/// A user's own rule that reads the whole token.
struct own_rule {
  float center;
  HENCE_FN constexpr auto operator()(const auto& t) const {
    return -t.ratio * t.advantage * exp(-(t.log_ratio - center) * (t.log_ratio - center)) +
           log1p(t.ratio) * t.score;
  }
};

/// With metrics and the window's counts; with In == layouts::both also ragged, and without metrics
/// over this call alone. Compiling all of it for every formula would take minutes.
template <layouts In = layouts::padded, class Loss> void run_all(const Loss& loss) {
  const hence::counts n(7, 7, 2000, 1900, 1800, 1700);  // no smaller than any of the batches
  static unsigned seed = 1;  // over the cases, so that compositions take turns at the widest kinds
  for (const std::int64_t width : {1, 3, 131, 700})
    for (int half = 0; half < 2; ++half) {  // fibers are slow: a width meets two kinds at a time
      const int kind = static_cast<int>(seed + seed / 8) % 4;
      CAPTURE(seed);
      const batch_data b =
          make_batch(width > 500 ? 2 : 7, width, kind > 0, kind > 1, kind == 3, seed++);
      CAPTURE(width);
      CAPTURE(kind);
      if constexpr (hence::detail::prompt_aggregation<decltype(loss.aggregation)>) {
        const hence::prompt_counts prompts(8, 7);  // no fewer than the rows
        run<hence::with_metrics_t, In>(b, loss, hence::over_window(loss.aggregation, prompts),
                                       seed % 4);
      } else {
        run<hence::with_metrics_t, In>(b, loss, hence::over_window(loss.aggregation, n), seed % 4);
        if constexpr (In == layouts::both)
          run<hence::without_metrics_t>(b, loss, hence::over_this_call, 0);
      }
    }
}

}  // namespace

using namespace hence;

TEST_CASE("token level") {
  run_all<layouts::both>(recipe::grpo(0.2f));
  run_all<layouts::both>(recipe::dapo());
  run_all(recipe::cispo(2.0f));
  run_all(recipe::dr_grpo(0.2f, 7.0, 100.0));
  run_all<layouts::both>(policy_loss{ratio::token{ratio::log_clamp{-20.0f, 20.0f}}, own_rule{0.1f},
                                     kl::k2{0.1f}, aggregate::token_mean{}});
}

TEST_CASE("prompt means") {
  const clip::two_sided ppo{0.8f, 1.2f};
  run_all<layouts::both>(policy_loss{ratio::token{}, ppo, kl::k3{0.1f},
                                     aggregate::prompt_mean_token_mean{aggregate::all_prompts{}}});
  run_all(policy_loss{
      ratio::sequence{}, ppo, kl::none{},
      aggregate::prompt_mean_sequence_mean{aggregate::non_empty_prompts{}, aggregate::all_rows{}}});
}

TEST_CASE("sequence level") {
  const aggregate::sequence_mean_token_mean rows{aggregate::non_empty_rows{}};
  run_all<layouts::both>(
      policy_loss{ratio::sequence{}, clip::two_sided{0.9f, 1.1f}, kl::none{}, rows});
  run_all(policy_loss{ratio::sequence{ratio::log_clamp{-20.0f, 20.0f}}, clip::two_sided{0.9f, 1.1f},
                      kl::k3{0.1f}, aggregate::sequence_mean_token_mean_over{7.0}});
  run_all(policy_loss{ratio::sequence{}, clip::cispo{0.0f, 2.0f}, kl::k1{0.1f, kl::as_k2{}},
                      aggregate::token_mean{}});
}

TEST_CASE("every surrogate") {
  const auto with = [](const auto& rule) {
    run_all(policy_loss{ratio::token{}, rule, kl::none{}, aggregate::token_mean{}});
  };
  with(clip::dual{0.8f, 1.2f, 3.0f});
  with(clip::upper_bound{0.8f, 1.2f, 4.0f});
  with(clip::sapo{1.0f, 1.05f});
  with(clip::band{0.8f, 1.2f});
  with(clip::topr{0.0f, 1.0f});
  with(clip::dro{0.1f});
  with(clip::dppo_tv{0.1f, 0.15f, clip::weight_capped{20.0f}});
  with(clip::dppo_kl{0.05f, 0.04f, clip::through_ratio{}});
  run_all(policy_loss{ratio::sequence{}, clip::gmpo{-0.1f, 0.1f}, kl::none{},
                      aggregate::sequence_mean_token_mean{}});
  run_all(policy_loss{ratio::sequence_token{}, clip::none{}, kl::none{},
                      aggregate::sequence_mean_token_sum{}});
  run_all(policy_loss{ratio::sequence_product{ratio::log_clamp{-20.0f, 20.0f}},
                      clip::two_sided{0.8f, 1.2f}, kl::none{},
                      aggregate::sequence_mean_token_mean{}});
  run_all(policy_loss{ratio::token{ratio::unclamped{}, ratio::against_self{}}, clip::reinforce{},
                      kl::none{}, aggregate::token_mean{}});
}

TEST_CASE("every KL policy") {
  const auto with = [](const auto& estimator) {
    run_all(policy_loss{ratio::token{}, clip::two_sided{0.8f, 1.2f}, estimator,
                        aggregate::token_mean{}});
  };
  with(kl::absolute{0.1f, kl::own{}, kl::saturated{0.25f, 0.5f}});
  with(kl::k1{0.1f, kl::as_k2_importance{2.0f}});
  with(kl::k3{0.1f, kl::ratio_weighted{}, kl::clamped{-0.3f, 0.3f, -0.01f, 0.05f}});
  run_all(policy_loss{ratio::sequence{}, clip::cispo{0.8f, 1.2f},
                      kl::k3{0.1f, kl::ratio_weighted{}}, aggregate::token_mean{}});
}

TEST_CASE("corrections, gate and entropy bonus") {
  const auto with = [](const auto& correct) {
    run_all(policy_loss{ratio::token{}, clip::two_sided{0.8f, 1.2f}, kl::k3{0.1f},
                        aggregate::token_mean{}, correct});
  };
  namespace c = correction;
  const c::policy_only policy{};
  const c::policy_and_kl both{};
  with(c::rollout{c::token_level{}, c::truncate{0.0f, 1.01f}, policy});
  with(c::vetoed{c::rollout{c::token_level{}, c::truncate{0.0f, 1.01f}, both}, 0.96f, 1.04f});
  with(c::vetoed{c::rollout{c::geometric_level{}, c::mask{0.5f, 2.0f}, policy}, 0.96f, 1.04f});
  with(c::rollout{c::token_level{}, c::mask{0.98f, 1.02f}, both});
  with(c::rollout{c::sequence_level{}, c::truncate{0.0f, 1.01f}, both,
                  ratio::log_clamp{-20.0f, 20.0f}});
  with(c::rollout{c::geometric_level{}, c::reject{0.999f, 1.001f}, policy});
  with(c::veto{0.96f, 1.04f, policy});
  const c::rollout tis{c::token_level{}, c::truncate{0.0f, 1.01f}, policy};
  run_all(policy_loss{ratio::token{}, clip::vespo{2.0f, 3.0f, 3.0f, 2.0f}, kl::none{},
                      aggregate::token_mean{}, tis});
  const policy_loss gated{ratio::token{},
                          clip::two_sided{0.8f, 1.2f},
                          kl::k3{0.1f},
                          aggregate::token_mean{},
                          tis,
                          gate::opsm{0.001f, ratio::against_rollout{}},
                          entropy::bonus{0.01f}};
  run<with_metrics_t>(make_batch(9, 70, true, true, false, 5), gated, over_this_call, 2);
  run<with_metrics_t>(make_batch(9, 70, false, false, false, 6), gated, over_this_call, 0);
}

TEST_CASE("infinities, NaN and magnitudes that the splitters leave") {
  batch_data b = make_batch(4, 70, false, false, true, 99);
  const float odd[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-44f, 1e-30f, -0.0f};
  for (std::size_t k = 0; k < 8; ++k) {
    batch_data c = b;
    c.token_advantages[75 + k] = odd[k];
    run<with_metrics_t>(c, recipe::dapo(), over_this_call, 1);
    c.logp[11 * k] = odd[k];
    run<with_metrics_t>(c, recipe::grpo(0.2f), over_this_call, 1);
  }
}

TEST_CASE("ragged rows of any length, a row without tokens among them") {
  const batch_data b = make_batch(1, 900, false, false, true, 3);
  const std::vector<std::int64_t> cu{0, 0, 5, 6, 6, 137, 900, 900};
  const view<const std::int64_t> boundaries = cu;
  policy_inputs<float> in{
      {b.logp, {1.0}}, {b.old, {1.0}}, {b.ref, {1.0}}, {}, b.token_advantages, {}};
  std::vector<float> wanted(900), gradient(900);
  const auto loss = recipe::grpo(0.2f);
  const auto reference = loss_and_gradient(hence::reference<float>{}, loss, ragged{boundaries, {}},
                                           in, over_this_call, wanted, with_metrics);
  loss_state_for<std::remove_const_t<decltype(loss)>, over_this_call_t, with_metrics_t> state;
  cuda::loss_and_gradient(nullptr, loss, ragged{boundaries, {}}, in, over_this_call, gradient,
                          &state, with_metrics);
  compare(state.result(), reference);
  CHECK(std::memcmp(gradient.data(), wanted.data(), 900 * sizeof(float)) == 0);
}

TEST_CASE("a variant of rules") {
  std::variant<clip::two_sided<float>, clip::cispo<float>> rule = clip::cispo<float>{0.0f, 2.0f};
  const policy_loss loss{ratio::token{}, rule, kl::none{}, aggregate::token_mean{}};
  run<with_metrics_t>(make_batch(3, 40, true, true, false, 5), loss, over_this_call, 2);
}

namespace {

/// Two rows of 3 and 5 tokens on the "device", and a call on them.
struct call {
  std::vector<float> a = std::vector<float>(8, -1.0f), old = std::vector<float>(8, -1.25f),
                     gradient = std::vector<float>(8, -7.0f);
  std::vector<float> advantages{1.0f, -1.0f};
  std::vector<std::int64_t> cu{0, 3, 8};
  policy_inputs<float> in{{a, {1.0}}, {old, {1.0}}, {}, advantages, {}, {}};
  view<float> out{gradient};
  decltype(recipe::dapo()) loss = recipe::dapo();
  loss_state_for<decltype(recipe::dapo()), over_this_call_t> state;
  decltype(state)* where = &state;

  void operator()() {
    cuda::loss_and_gradient(nullptr, loss, ragged{cu, {}}, in, over_this_call, out, where);
  }
  std::string refusal() {
    standin::now().kernels = standin::now().memsets = 0;
    try {
      (*this)();
    } catch (const std::invalid_argument& e) {
      CHECK(standin::now().kernels + standin::now().memsets == 0);
      for (const float g : gradient) CHECK(g == -7.0f);
      return e.what();
    }
    return "accepted";
  }
};

}  // namespace

TEST_CASE("bad shapes are refused before anything is queued") {
  call c;
  c.where = nullptr;
  CHECK(c.refusal() == "hence: state is null, expected a loss_state in device memory");
  call a;
  a.cu.clear();
  CHECK(a.refusal() == "hence: cu_seqlens is empty, expected rows + 1 entries from 0");
  call b;
  b.cu.resize(1);
  CHECK(b.refusal() == "hence: advantages has 2 entries, the batch has 0 rows");
  b.in.advantages = view<const float>(b.advantages.data(), 0);
  CHECK(b.refusal() == "hence: cu_seqlens describes 0 rows, gradient has 8 tokens");
  call d;
  d.in.old.values = view<const float>(d.old.data(), 7);
  CHECK(d.refusal() == "hence: old has 7 entries, gradient has 8 tokens");
  call e;
  e.in.logp.values = {};
  CHECK(e.refusal() == "hence: logp is null, expected 8 tokens");
  call f;
  f.out = view<float>(f.a.data(), 8);
  CHECK(f.refusal() == "hence: gradient overlaps logp, expected separate arrays");
  call g;
  g.in.advantages = view<const float>(g.advantages.data(), 1);
  CHECK(g.refusal() == "hence: advantages has 1 entries, the batch has 2 rows");
}

TEST_CASE("row boundaries that leave the arrays are skipped and reported") {
  for (const auto& cu :
       {std::vector<std::int64_t>{0, 9, 8}, {0, -1, 8}, {1, 3, 8}, {0, 3, 7}, {0, 3, 9}}) {
    call c;
    c.cu = cu;
    c();
    CHECK(has(c.state.result().conditions(), status::malformed));
  }
}

TEST_CASE("a failing call is reported with its name, code and place") {
  for (const int calls : {0, 1, 2}) {
    call c;
    standin::now().fail_after = calls;
    bool thrown = false;
    try {
      c();
    } catch (const cuda_error& e) {
      thrown = true;
      CHECK(e.code() == 1);
      CHECK(std::string(e.name()) == "cudaErrorInvalidValue");
      CHECK(std::string(e.call()) == (calls == 0   ? "cudaMemsetAsync"
                                      : calls == 1 ? "policy_count_kernel"
                                                   : "policy_loss_kernel"));
      CHECK(std::string(e.location().file_name()).find("policy_loss_test.cpp") !=
            std::string::npos);
      CHECK(std::string(e.what()).find("hence: ") == 0);
      CHECK(std::string(e.what()).find("cudaErrorInvalidValue (1), invalid argument, at ") !=
            std::string::npos);
    }
    CHECK(thrown);
    standin::now().fail_after = -1;
  }
}

TEST_CASE("a batch without tokens launches nothing and still counts its rows") {
  standin::now().kernels = 0;
  const auto loss = recipe::dapo();
  loss_state_for<decltype(loss), over_this_call_t> state;
  std::vector<float> advantages(300, 1.0f);
  policy_inputs<float> in;
  in.advantages = advantages;
  cuda::loss_and_gradient(nullptr, loss, padded{300, 0, {}}, in, over_this_call, {}, &state);
  CHECK(standin::now().kernels == 0);
  CHECK(state.result().counts() == counts(300, 0, 0, 0, 0, 0));
  CHECK(state.result().loss() == 0);
  CHECK(has(state.result().conditions(), status::empty));
}

TEST_CASE("the tuning prints itself") {
  std::ostringstream text;
  text << cuda::policy_loss_tuning{};
  CHECK(text.str() == "policy_loss_tuning{.threads = 256, .max_blocks = 2048}");
}
