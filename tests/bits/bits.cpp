// Prints a hash of the bits of everything that hence promises to keep equal. tests/bits/golden.txt
// holds the one answer; matrix.sh builds this file with several compilers, -O levels and
// instruction sets.
#include "reward.hpp"

#include <hence/core/math.hpp>
#include <hence/logits.hpp>
#include <hence/moe/balance_loss.hpp>
#include <hence/moe/combine.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/moe/permute.hpp>
#include <hence/policy.hpp>
#include <hence/policy/advantage_gdpo.hpp>
#include <hence/policy/advantage_leave_one_out.hpp>
#include <hence/policy/advantage_opo.hpp>
#include <hence/policy/advantage_pass_at_k.hpp>
#include <hence/policy/advantage_token.hpp>
#include <hence/policy/aggregate_prompt.hpp>
#include <hence/policy/correction_vetoed.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <variant>
#include <vector>

namespace {

struct hash {
  std::uint64_t h = 1469598103934665603ull;
  void bytes(const void* p, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
      h = (h ^ static_cast<const unsigned char*>(p)[i]) * 1099511628211ull;
  }
  template <class T> void value(const T& x) { bytes(&x, sizeof x); }
};

int failures = 0;
void report(const char* name, const hash& h) {
  std::printf("%-44s %016llx\n", name, static_cast<unsigned long long>(h.h));
}
void require(bool ok, const char* what) {
  if (!ok) std::printf("DIFFERENT: %s\n", what), ++failures;
}

/// Whole numbers scaled by a power of two: no compiler can round the data differently.
struct source {
  std::uint64_t state = 42;
  std::int32_t integer(std::int32_t low, std::int32_t high) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return low +
           static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(high - low + 1));
  }
  float number(std::int32_t low, std::int32_t high) {
    return static_cast<float>(integer(low * 1024, high * 1024)) * 0x1p-10f;
  }
};

template <class F> void function(const char* name, F f) {
  using V = hence::pack<float>;
  hash h;
  float x[64], y[64];
  int n = 0;
  for (std::uint64_t bits = 0; bits < 0x100000000ull; bits += 65521) {
    const auto pattern = static_cast<std::uint32_t>(bits);
    std::memcpy(&x[n++], &pattern, 4);
    if (n < V::lanes) continue;
    n = 0;
    f(V::load(x)).store(y);
    for (int i = 0; i < V::lanes; ++i) {
      const float scalar = f(hence::num<float>(x[i])).v;
      require((scalar != scalar && y[i] != y[i]) || std::memcmp(&scalar, &y[i], 4) == 0, name);
      if (scalar == scalar) h.value(scalar);
    }
  }
  // The lane count must not decide which numbers are hashed: 65552 inputs, the last few may be left
  // over.
  report(name, h);
}

struct threads {
  int count;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    std::vector<std::thread> workers;
    for (int w = 0; w < count; ++w)
      workers.emplace_back([&, w] {
        for (std::int64_t i = n - 1 - w; i >= 0; i -= count) f(i);
      });
    for (auto& w : workers) w.join();
  }
};

constexpr int rows = 53;
constexpr std::int64_t width = 2100;

struct data {
  std::vector<std::int64_t> cu{0}, cu_compact{0};
  std::vector<std::uint8_t> mask, padded_mask;
  std::vector<float> logp, old, ref, advantages;
  std::vector<float> wide_logp, wide_old, wide_ref;  // [rows, width], left-padded
  std::vector<float> live_logp, live_old, live_ref;  // dead tokens left out
  std::vector<std::int64_t> first;                   // column of a row's first token

  data() {
    source s;
    const float dead = __builtin_nanf("");
    wide_logp.assign(static_cast<std::size_t>(rows * width), dead);
    wide_old = wide_ref = wide_logp;
    padded_mask.assign(wide_logp.size(), 0);
    for (int i = 0; i < rows; ++i) {
      const std::int64_t length =
          i % 7 == 3 ? i % 3 : s.integer(1, static_cast<std::int32_t>(width) - 1);
      first.push_back(width - length);
      advantages.push_back(i % 11 == 5 ? 0.0f : s.number(-3, 3));
      for (std::int64_t t = 0; t < length; ++t) {
        const bool live = s.integer(0, 9) > 1;
        const float a = s.number(-20, 0), b = a + s.number(-1, 1), c = a + s.number(-2, 2);
        mask.push_back(live);
        logp.push_back(live ? a : dead), old.push_back(live ? b : dead),
            ref.push_back(live ? c : dead);
        if (live) live_logp.push_back(a), live_old.push_back(b), live_ref.push_back(c);
        const auto at = static_cast<std::size_t>(i * width + first.back() + t);
        wide_logp[at] = logp.back(), wide_old[at] = old.back(), wide_ref[at] = ref.back(),
        padded_mask[at] = live;
      }
      cu.push_back(static_cast<std::int64_t>(logp.size()));
      cu_compact.push_back(static_cast<std::int64_t>(live_logp.size()));
    }
  }
};

constexpr hence::sampled plain{.temperature = 1.0};

template <class Loss> void loss(const char* name, const data& d, const Loss& rule) {
  using namespace hence;
  const ragged batch{.cu_seqlens = d.cu, .mask = {.response = d.mask}};
  const policy_inputs<float> in{.logp = {d.logp, plain},
                                .old = {d.old, plain},
                                .ref = {d.ref, plain},
                                .advantages = d.advantages,
                                .rollout = {d.ref, plain}};
  std::vector<float> gradient(d.logp.size()), other(d.logp.size());
  const auto same = [&](const auto& a, const auto& b, const char* what) {
    require(a.loss() == b.loss() && a.metrics().ratio_mean() == b.metrics().ratio_mean() &&
                a.metrics().kl_mean() == b.metrics().kl_mean() &&
                a.metrics().max_ratio == b.metrics().max_ratio &&
                a.metrics().clipped_low == b.metrics().clipped_low &&
                a.metrics().clipped_high == b.metrics().clipped_high,
            what);
    require(std::memcmp(gradient.data(), other.data(), gradient.size() * 4) == 0, what);
  };
  const auto base =
      loss_and_gradient(cpu{}, rule, batch, in, over_this_call, gradient, with_metrics);
  hash h;
  h.value(base.loss());
  h.value(base.metrics().ratio_mean()), h.value(base.metrics().kl_mean()),
      h.value(base.metrics().max_ratio);
  h.value(base.metrics().clipped_low), h.value(base.metrics().clipped_high);
  for (const float g : gradient) h.value(g + 0.0f);
  report(name, h);

  same(base,
       loss_and_gradient(reference<float>{}, rule, batch, in, over_this_call, other, with_metrics),
       "reference<float>");
  for (const int n : {1, 2, 3, 8}) {
    threads pool{n};
    same(base, loss_and_gradient(cpu(pool), rule, batch, in, over_this_call, other, with_metrics),
         "threads");
  }
  const auto window = over_window(rule.aggregation, count(batch));
  for (const int cut : {1, 20, 52}) {
    auto part =
        loss_and_gradient_rows(cpu{}, rule, batch, in, window, other, cut, rows, with_metrics);
    part += loss_and_gradient_rows(cpu{}, rule, batch, in, window, other, 0, cut, with_metrics);
    same(base, part, "micro-batches");
  }
  {  // padded, and only the live tokens
    std::vector<float> wide(d.wide_logp.size()), live(d.live_logp.size());
    const auto on = [](const std::vector<float>& v) {
      return view<const float, 2>(v.data(), rows, width);
    };
    const padded wide_batch{
        .rows = rows,
        .width = width,
        .mask = {.response = view<const std::uint8_t, 2>(d.padded_mask.data(), rows, width)}};
    const auto p =
        loss_and_gradient(cpu{}, rule, wide_batch,
                          {.logp = {on(d.wide_logp), plain},
                           .old = {on(d.wide_old), plain},
                           .ref = {on(d.wide_ref), plain},
                           .advantages = d.advantages,
                           .rollout = {on(d.wide_ref), plain}},
                          over_this_call, view<float, 2>(wide.data(), rows, width), with_metrics);
    for (int i = 0; i < rows; ++i)
      for (std::int64_t t = d.cu[static_cast<std::size_t>(i)];
           t < d.cu[static_cast<std::size_t>(i) + 1]; ++t)
        other[static_cast<std::size_t>(t)] =
            wide[static_cast<std::size_t>(i * width + d.first[static_cast<std::size_t>(i)] + t -
                                          d.cu[static_cast<std::size_t>(i)])];
    same(base, p, "padded");
    const auto c = loss_and_gradient(cpu{}, rule, ragged{.cu_seqlens = d.cu_compact},
                                     {.logp = {d.live_logp, plain},
                                      .old = {d.live_old, plain},
                                      .ref = {d.live_ref, plain},
                                      .advantages = d.advantages,
                                      .rollout = {d.live_ref, plain}},
                                     over_this_call, live, with_metrics);
    std::size_t k = 0;
    for (std::size_t t = 0; t < other.size(); ++t) other[t] = d.mask[t] ? live[k++] : 0.0f;
    same(base, c, "compacted");
  }
  {  // rows in another order
    std::vector<std::int64_t> cu{0};
    std::vector<std::uint8_t> mask;
    std::vector<float> logp, old, ref, advantages, shuffled;
    const auto source_row = [](int i) { return static_cast<std::size_t>((i * 17 + 5) % rows); };
    for (int i = 0; i < rows; ++i) {
      const std::size_t r = source_row(i);
      for (auto t = static_cast<std::size_t>(d.cu[r]); t < static_cast<std::size_t>(d.cu[r + 1]);
           ++t)
        mask.push_back(d.mask[t]), logp.push_back(d.logp[t]), old.push_back(d.old[t]),
            ref.push_back(d.ref[t]);
      advantages.push_back(d.advantages[r]);
      cu.push_back(static_cast<std::int64_t>(logp.size()));
    }
    shuffled.resize(logp.size());
    const auto p =
        loss_and_gradient(cpu{}, rule, ragged{.cu_seqlens = cu, .mask = {.response = mask}},
                          {.logp = {logp, plain},
                           .old = {old, plain},
                           .ref = {ref, plain},
                           .advantages = advantages,
                           .rollout = {ref, plain}},
                          over_this_call, shuffled, with_metrics);
    for (int i = 0; i < rows; ++i)
      std::memcpy(&other[static_cast<std::size_t>(d.cu[source_row(i)])],
                  &shuffled[static_cast<std::size_t>(cu[static_cast<std::size_t>(i)])],
                  static_cast<std::size_t>(cu[static_cast<std::size_t>(i) + 1] -
                                           cu[static_cast<std::size_t>(i)]) *
                      4);
    same(base, p, "packed in another order");
  }
}

void advantages() {
  source s;
  std::vector<std::int64_t> cu{0};
  std::vector<float> rewards;
  for (int g = 0; g < 400; ++g) {
    const int size = g % 5 == 0 ? s.integer(0, 130) : g % 3 == 0 ? 64 : 16;
    for (int i = 0; i < size; ++i)
      rewards.push_back(g % 4 == 0 ? static_cast<float>(s.integer(0, 1)) : s.number(-9, 9) * 0.1f);
    cu.push_back(static_cast<std::int64_t>(rewards.size()));
  }
  std::vector<float> out(rewards.size()), other(rewards.size());
  const auto both = [&](const char* name, const auto& rule) {
    hence::advantages(hence::cpu{}, rule, hence::groups{.cu_groups = cu}, rewards, out);
    hash h;
    for (const float a : out) h.value(a);
    report(name, h);
    hence::advantages(hence::reference<float>{}, rule, hence::groups{.cu_groups = cu}, rewards,
                      other);
    require(std::memcmp(out.data(), other.data(), out.size() * 4) == 0, name);
  };
  both("advantage grpo ddof 1",
       hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}));
  both("advantage grpo ddof 0, eps 0",
       hence::advantage::grpo(0, 0.0, hence::advantage::singleton_raw{}));
  both("advantage dr_grpo", hence::advantage::dr_grpo(hence::advantage::singleton_zero{}));
}

/// Rows of logits of several kinds and widths; what is not finite is hashed as 0.
void token_logprob(const char* name, double temperature, double soft_cap, bool is_bf16) {
  using namespace hence;
  const softmax_rule rule{
      .temperature = temperature, .negative = negative_labels::ignored, .soft_cap = soft_cap};
  hash h;
  source s;
  for (const std::int64_t columns : {1, 7, 31, 256, 300, 1024, 2047, 4099, 9001, 32000}) {
    constexpr int kinds = 10;
    std::vector<float> x;
    std::vector<bf16> narrow;
    std::vector<std::int64_t> labels;
    for (int kind = 0; kind < kinds; ++kind) {
      labels.push_back(kind == 9 ? -1 : columns / 3);
      for (std::int64_t i = 0; i < columns; ++i) {
        float v = s.number(-4, 4);
        if (kind == 1) v = 10 * v;
        if (kind == 2 && i == labels.back()) v += 25;
        if (kind == 3) v += static_cast<float>(i * 300 / columns);
        if (kind == 4) v -= static_cast<float>(i * 300 / columns);
        if (kind == 5) v += 1e4f;
        if (kind == 6 && s.integer(0, 3) != 0 && i != labels.back()) v = -__builtin_inff();
        if (kind == 7) v = 0x1p+23f + 4 * v;
        if (kind == 8 && i == columns / 2) v = __builtin_nanf("");
        narrow.push_back(bf16(v));
        x.push_back(is_bf16 ? float(narrow.back()) : v);
      }
    }
    const std::vector<float> g(kinds, 0.75f), e(kinds, -0.25f);
    std::vector<float> out[10];
    for (auto& o : out) o.assign(kinds, 0);
    std::vector<float> gradient(x.size()), other(x.size());
    const auto run = [&](const auto& executor, const auto* data, int k, std::vector<float>& to) {
      return token_logprob_and_gradient(
          executor, rule, view<const std::remove_cvref_t<decltype(*data)>, 2>(data, kinds, columns),
          labels, {.logp = g, .entropy = e},
          {.logp = out[k],
           .entropy = out[k + 1],
           .anchor = out[k + 2],
           .log_sum = out[k + 3],
           .expected_logit = out[k + 4]},
          view<float, 2>(to.data(), kinds, columns));
    };
    const status a =
        is_bf16 ? run(cpu{}, narrow.data(), 0, gradient) : run(cpu{}, x.data(), 0, gradient);
    threads pool{3};
    const status b = columns % 2 ? run(reference<float>{}, x.data(), 5, other)
                                 : run(cpu{pool}, x.data(), 5, other);
    const auto number = [](float v) { return v == v ? v : 0.0f; };
    require(a == b, name);
    for (int k = 0; k < 5; ++k)
      for (std::size_t i = 0; i < kinds; ++i) {
        h.value(number(out[k][i]));
        const float p = number(out[k][i]), q = number(out[k + 5][i]);
        require(std::memcmp(&p, &q, 4) == 0, name);
      }
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const float p = number(gradient[i]), q = number(other[i]);
      h.value(p);
      require(std::memcmp(&p, &q, 4) == 0, name);
    }
  }
  report(name, h);
}
#include "moe.hpp"

/// Parts of every kind, each once.
void family(const data& d) {
  using namespace hence;
  namespace c = correction;
  const aggregate::token_mean mean{};
  const aggregate::sequence_mean_token_sum sum{};
  const c::policy_only policy{};
  loss("token sapo abs, tokens truncated", d,
       policy_loss{ratio::token{}, clip::sapo{1.0f, 1.05f}, kl::absolute{0.1f}, mean,
                   c::rollout{c::token_level{}, c::truncate{0.0f, 2.0f}, policy}});
  loss("token dppo_kl k1 importance, rollout", d,
       policy_loss{ratio::token{ratio::unclamped{}, ratio::against_rollout{}},
                   clip::dppo_kl{0.05f, 0.05f, clip::weight_capped{20.0f}},
                   kl::k1{0.1f, kl::as_k2_importance{10.0f}}, sum});
  loss("sequence gmpo k3 by ratio, veto", d,
       policy_loss{ratio::sequence{}, clip::gmpo{-0.4f, 0.4f}, kl::k3{0.1f, kl::ratio_weighted{}},
                   mean, c::veto{0.1f, 6.0f, policy}});
  loss("token vespo none, rows masked", d,
       policy_loss{ratio::token{}, clip::vespo{2.0f, 3.0f, 3.0f, 2.0f}, kl::none{}, mean,
                   c::rollout{c::geometric_level{}, c::mask{0.9f, 1.1f}, policy}});
  loss("product dual k3 saturated, opsm", d,
       policy_loss{ratio::sequence_product{ratio::log_clamp{-20.0f, 20.0f}},
                   clip::dual{0.8f, 1.2f, 3.0f}, kl::k3{0.1f, kl::own{}, kl::saturated{1.0f, 0.5f}},
                   sum, c::none{}, gate::opsm{0.01f, ratio::against_old{}}});
  loss("sequence_token dro none", d,
       policy_loss{ratio::sequence_token{}, clip::dro{0.1f}, kl::none{}, mean});
}

/// Prompt means, whose windows are counted first, and a veto beside weights.
void prompts_and_vetoes(const data& d) {
  using namespace hence;
  namespace c = correction;
  loss("token two_sided k3, tokens truncated, vetoed", d,
       policy_loss{
           ratio::token{}, clip::two_sided{0.8f, 1.2f}, kl::k3{0.04f}, aggregate::token_mean{},
           c::vetoed{c::rollout{c::token_level{}, c::truncate{0.0f, 2.0f}, c::policy_and_kl{}},
                     0.1f, 6.0f}});
  const policy_loss rule{
      ratio::sequence{}, clip::two_sided{0.8f, 1.2f}, kl::k3{0.04f},
      aggregate::prompt_mean_sequence_mean{aggregate::all_prompts{}, aggregate::all_rows{}}};
  const std::vector<std::int64_t> cu{0, 7, 7, 8, 30, rows};
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(rows));
  const ragged batch{.cu_seqlens = d.cu, .mask = {.response = d.mask}};
  const auto window = over_window(
      rule.aggregation, count_prompts(rule.aggregation, batch, groups{.cu_groups = cu}, sizes));
  std::vector<float> gradient(d.logp.size());
  const auto whole = loss_and_gradient(cpu{}, rule, batch,
                                       {.logp = {d.logp, plain},
                                        .old = {d.old, plain},
                                        .ref = {d.ref, plain},
                                        .advantages = d.advantages,
                                        .prompt_sizes = sizes},
                                       window, gradient);
  hash h;
  h.value(whole.loss());
  for (const float g : gradient) h.value(g + 0.0f);
  report("sequence two_sided k3 prompt_mean", h);
}

/// Log-probs and gradients through a head, in tiles of several sizes.
void linear_logprob() {
  using namespace hence;
  constexpr std::int64_t tokens = 29, features = 70, vocabulary = 700;
  source s;
  std::vector<float> hidden, weight, cot;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < tokens * features; ++i) hidden.push_back(s.number(-2, 2));
  for (std::int64_t i = 0; i < vocabulary * features; ++i) weight.push_back(s.number(-1, 1));
  for (std::int64_t i = 0; i < tokens; ++i)
    labels.push_back(i % 6 == 4 ? -1 : s.integer(0, vocabulary - 1)),
        cot.push_back(s.number(-1, 1));
  std::vector<float> first;
  for (const std::int64_t tile : {1, 4, 29}) {
    std::vector<float> logp(tokens), d_hidden(hidden.size()), d_weight(weight.size());
    std::vector<std::byte> memory(
        static_cast<std::size_t>(linear_logprob_bytes<gemm::ordered>(tile, features, vocabulary)));
    linear_logprob_and_gradient(
        cpu{}, gemm::ordered{},
        softmax_rule{.temperature = 0.9, .negative = negative_labels::ignored},
        view<const float, 2>(hidden.data(), tokens, features),
        linear_head<const float>{.weight =
                                     view<const float, 2>(weight.data(), vocabulary, features)},
        labels, {.logp = cot, .entropy = cot}, {.logp = logp},
        {.hidden = view<float, 2>(d_hidden.data(), tokens, features),
         .weight = view<float, 2>(d_weight.data(), vocabulary, features)},
        memory);
    logp.insert(logp.end(), d_hidden.begin(), d_hidden.end());
    logp.insert(logp.end(), d_weight.begin(), d_weight.end());
    if (first.empty()) first = logp;
    require(std::memcmp(first.data(), logp.data(), 4 * logp.size()) == 0, "linear_logprob tiles");
  }
  hash h;
  for (const float x : first) h.value(x);
  report("linear_logprob", h);
}

/// Rows that are long enough for the estimates of a nucleus, and a typical set.
void sample_long_rows() {
  using namespace hence;
  constexpr std::int64_t draws = 6, columns = 3001;
  source s;
  std::vector<float> x, uniforms;
  for (std::int64_t i = 0; i < draws * columns; ++i) x.push_back(s.number(-9, 5));
  for (std::uint32_t i = 0; i < draws; ++i) uniforms.push_back(uniform_of(9, {.token = i}));
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(columns)));
  hash drawn;
  for (const sample_rule& rule :
       {sample_rule{.temperature = 0.7, .top_p = 0.9}, sample_rule{.temperature = 1.0},
        sample_rule{.temperature = 1.0, .top_k = 90},
        sample_rule{.temperature = 1.3, .top_p = 0.95, .typical_p = 0.6}}) {
    std::vector<std::int64_t> token(draws);
    std::vector<float> logp(draws);
    std::vector<std::uint8_t> kept(x.size());
    sample(
        cpu{}, rule, view<const float, 2>(x.data(), draws, columns), uniforms,
        {.token = token, .logp = logp, .kept = view<std::uint8_t, 2>(kept.data(), draws, columns)},
        memory);
    for (std::size_t i = 0; i < draws; ++i) drawn.value(token[i]), drawn.value(logp[i]);
    drawn.bytes(kept.data(), kept.size());
  }
  report("sample, long rows", drawn);
}

/// Rows a third of which are candidates: what room is left for them depends on the registers.
void sample_a_third() {
  using namespace hence;
  source s;
  hash drawn;
  for (std::int64_t columns = 1024; columns < 1088; ++columns)
    for (std::int64_t more = -6; more < 8; ++more) {
      std::vector<float> x;
      for (std::int64_t i = 0; i < columns; ++i)
        x.push_back(i * 7 % columns < columns / 3 + more ? 0.01f * s.number(-20, 20)
                                                         : 0.01f * (s.number(-710, -690)));
      const std::vector<float> u{uniform_of(9, {.token = static_cast<std::uint32_t>(columns)})};
      const sample_rule rule{.temperature = 1.0, .top_p = 0.97};
      std::vector<std::int64_t> token(1);
      std::vector<std::uint8_t> kept(x.size());
      std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(columns)));
      sample(cpu{}, rule, view<const float, 2>(x.data(), 1, columns), u,
             {.token = token, .kept = view<std::uint8_t, 2>(kept.data(), 1, columns)}, memory);
      drawn.value(token[0]);
      drawn.bytes(kept.data(), kept.size());
    }
  report("sample, a third of the row", drawn);
}

/// Kept sets, tokens and log-probs; divergences and their gradients.
void sample_and_distill() {
  using namespace hence;
  constexpr std::int64_t draws = 12, columns = 900;
  source s;
  std::vector<float> x, y;
  for (std::int64_t i = 0; i < draws * columns; ++i)
    x.push_back(s.number(-5, 5)), y.push_back(s.number(-5, 5));
  const view<const float, 2> student(x.data(), draws, columns), teacher(y.data(), draws, columns);
  std::vector<float> uniforms;
  for (std::uint32_t i = 0; i < draws; ++i) uniforms.push_back(uniform_of(5, {.token = i}));
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(columns)));
  hash drawn;
  for (const sample_rule& rule : {sample_rule{.temperature = 0.7, .top_p = 0.9},
                                  sample_rule{.temperature = 1.0, .top_k = 40, .min_p = 0.01}}) {
    std::vector<std::int64_t> token(draws);
    std::vector<float> logp(draws), full(draws);
    std::vector<std::uint8_t> kept(x.size());
    sample(cpu{}, rule, student, uniforms,
           {.token = token,
            .logp = logp,
            .logp_full = full,
            .kept = view<std::uint8_t, 2>(kept.data(), draws, columns)},
           memory);
    for (std::size_t i = 0; i < draws; ++i)
      drawn.value(token[i]), drawn.value(logp[i]), drawn.value(full[i]);
    drawn.bytes(kept.data(), kept.size());
  }
  report("sample", drawn);
  hash h;
  const auto each = [&](const auto& how) {
    std::vector<float> value[2], gradient[2];
    for (int k = 0; k < 2; ++k) {
      value[k].resize(draws), gradient[k].resize(x.size());
      const distill_results<float> out{
          .per_token = value[k], .gradient = view<float, 2>(gradient[k].data(), draws, columns)};
      if (k == 0)
        distill(cpu{}, how, {.temperature = 0.8}, student, teacher, {}, out);
      else
        distill(reference<float>{}, how, {.temperature = 0.8}, student, teacher, {}, out);
    }
    require(std::memcmp(gradient[0].data(), gradient[1].data(), 4 * x.size()) == 0, "distill");
    for (const float v : value[0]) h.value(v);
    for (const float v : gradient[0]) h.value(v);
  };
  each(divergence::forward_kl{});
  each(divergence::mixed_kl{0.5f});
  each(divergence::generalized_jsd{0.3f});
  report("distill", h);
}

/// The rules that came after the first three, over the same kind of groups.
void more_advantages() {
  namespace advantage = hence::advantage;
  source s;
  std::vector<std::int64_t> cu{0};
  std::vector<float> rewards;
  for (int g = 0; g < 400; ++g) {
    const int size = g % 5 == 0 ? s.integer(0, 130) : g % 3 == 0 ? 64 : 16;
    for (int i = 0; i < size; ++i)
      rewards.push_back(g % 4 == 0 ? static_cast<float>(s.integer(0, 1)) : s.number(-9, 9) * 0.1f);
    cu.push_back(static_cast<std::int64_t>(rewards.size()));
  }
  std::vector<float> out(rewards.size()), other(rewards.size());
  const auto both = [&](const char* name, const auto& rule) {
    const hence::groups batch{.cu_groups = cu};
    hence::advantages(hence::cpu{}, rule, batch, rewards, out);
    hash h;
    for (const float a : out) h.value(a);
    report(name, h);
    hence::advantages(hence::reference<float>{}, rule, batch, rewards, other);
    require(std::memcmp(out.data(), other.data(), out.size() * 4) == 0, name);
  };
  const advantage::singleton_raw raw;
  both("advantage rloo", advantage::rloo(raw));
  both("advantage maxrl", advantage::maxrl(1e-6, raw));
  both("advantage gpg", advantage::gpg(raw));
  both(
      "advantage over the batch's deviation",
      advantage::group_baseline{advantage::baseline_group{}, advantage::scale_batch{1, 1e-4}, raw});
  both("advantage over the centred deviation",
       advantage::group_baseline{advantage::baseline_leave_one_out{},
                                 advantage::scale_batch_centred{0, 0.0}, raw});
  both("advantage about the batch's mean",
       advantage::group_baseline{advantage::baseline_batch{}, advantage::scale_batch{1, 0.0},
                                 advantage::singleton_as_group{}});
  both("advantage pass@k", advantage::pass_at_k{advantage::scale_group{1, 1e-6}, raw});
  both("advantage leave-one-out deviation",
       advantage::leave_one_out{1, 1e-6, advantage::zero_variance_zero{}, raw});
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < rewards.size(); ++i) lengths.push_back(s.integer(0, 30000));
  both("advantage opo", advantage::opo{hence::view<const std::int64_t>(lengths), raw});
  const auto pairs = static_cast<std::int64_t>(rewards.size() / 2);
  const std::vector<std::int64_t> halves{0, pairs / 3, pairs};
  std::fill(out.begin(), out.end(), 0.0f);
  hence::advantages(hence::cpu{}, advantage::gdpo{{1.0, 0.5}, 1e-8, 1e-8, raw},
                    hence::groups{.cu_groups = halves},
                    hence::view<const float, 2>(rewards.data(), pairs, 2),
                    hence::view<float>(out.data(), pairs));
  hash h;
  for (const float a : out) h.value(a);
  report("advantage gdpo", h);
  // the groups as sequences
  const auto tokens = [&](const char* name, const auto& rule, const auto& whitening) {
    const std::vector<float> values(rewards.rbegin(), rewards.rend());
    const hence::ragged batch{.cu_seqlens = cu};
    const hence::token_advantage_inputs<float> in{.token_rewards = rewards, .values = values};
    hence::token_advantages(hence::cpu{}, rule, whitening, batch, in, out, other);
    hash all;
    for (const float a : out) all.value(a);
    for (const float r : other) all.value(r);
    report(name, all);
  };
  tokens("advantage gae, whitened", advantage::gae{0.99, 0.95, advantage::hole_skip{}},
         advantage::whiten_add{1, 1e-8});
  tokens("advantage reinforce++", advantage::reinforce_plus_plus{0.9, advantage::hole_discount{}},
         advantage::whiten_none{});
}

}  // namespace

int main() {
  using namespace hence;
  function("exp", [](auto x) { return exp(x); });
  function("expm1", [](auto x) { return expm1(x); });
  function("k3", [](auto x) { return k3(x); });
  function("log", [](auto x) { return log(x); });
  function("log1p", [](auto x) { return log1p(x); });
  function("sigmoid", [](auto x) { return sigmoid(x); });
  function("softplus", [](auto x) { return softplus(x); });
  function("tanh", [](auto x) { return tanh(x); });
  function("log1mexp", [](auto x) { return log1mexp(x); });
  function("sqrt", [](auto x) { return sqrt(x); });
  function("normal_cdf", [](auto x) { return normal_cdf(x); });

  const data d;
  using rule = std::variant<clip::two_sided<float>, clip::cispo<float>>;
  using estimator =
      std::variant<kl::none, kl::k1<float>, kl::k2<float>, kl::k3<float>, kl::k3<float, kl::as_k2>>;
  const rule two_sided = clip::two_sided{0.8f, 1.2f}, cispo = clip::cispo{0.0f, 1.3f};
  const auto each = [&](const char* name, const auto& r, const rule& c, const estimator& k,
                        const auto& a) { loss(name, d, policy_loss{r, c, k, a}); };
  each("token two_sided none token_mean", ratio::token{}, two_sided, kl::none{},
       aggregate::token_mean{});
  each("token two_sided k3 token_mean", ratio::token{}, two_sided, kl::k3{0.04f},
       aggregate::token_mean{});
  each("token cispo k1 token_mean", ratio::token{}, cispo, kl::k1{0.1f}, aggregate::token_mean{});
  each("token cispo k2 token_mean", ratio::token{}, cispo, kl::k2{0.1f}, aggregate::token_mean{});
  each("token two_sided k3+ token_mean", ratio::token{}, two_sided, kl::k3{0.1f, kl::as_k2{}},
       aggregate::token_mean{});
  each("sequence two_sided k3 sequence_mean", ratio::sequence{}, two_sided, kl::k3{0.04f},
       aggregate::sequence_mean_token_mean{});
  each("sequence cispo none sequence_mean", ratio::sequence{}, cispo, kl::none{},
       aggregate::sequence_mean_token_mean{});
  advantages();
  const auto numbers = [](const char* name, const auto& give) {
    hash h;
    give([&](double x) { h.value(x); });
    report(name, h);
  };
  numbers("rewards of texts", [](const auto& f) { reward_numbers(f); });
  numbers("rewards of lengths, evaluation", [](const auto& f) { evaluation_numbers(f); });
  token_logprob("token_logprob", 1.0, 0, false);
  token_logprob("token_logprob bf16, temperature 0.7", 0.7, 0, true);
  token_logprob("token_logprob, soft-cap 30", 1.0, 30, false);
  routing();
  family(d);
  linear_logprob();
  sample_and_distill();
  more_advantages();
  prompts_and_vetoes(d);
  sample_long_rows();
  sample_a_third();
  return failures == 0 ? 0 : 1;
}
