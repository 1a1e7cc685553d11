// Log-probs from hidden states and a head: against the definition in float64; tiles, calls and
// ignored tokens leave no trace; refusals.
#include <doctest/doctest.h>
#include <hence/logits/linear_logprob.hpp>
#include <hence/logits/token_logprob.hpp>
#include <hence/threads/pool.hpp>
#include <logits/linear_oracle.hpp>
#include <refusal.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;

constexpr std::int64_t tokens = 23, width = 37, vocabulary = 1111;

softmax_rule rule(double temperature = 0.8) {
  return {.temperature = temperature, .negative = negative_labels::ignored};
}

using problem = linear_problem;

struct answer {
  std::vector<float> logp, entropy, hidden, weight, bias;
  status found = status::ok;
  bool operator==(const answer& o) const {
    return logp == o.logp && entropy == o.entropy && hidden == o.hidden && weight == o.weight &&
           bias == o.bias && found == o.found;
  }
};

template <class Gemm = gemm::ordered, class W = float, class Executor = cpu<>>
answer run(const problem& p, const std::vector<W>& weight, std::int64_t tile, bool in_one_call,
           const softmax_rule& r = rule(), const Executor& executor = cpu{}) {
  const auto n = static_cast<std::size_t>(tokens);
  answer a{std::vector<float>(n, NAN), std::vector<float>(n, NAN),
           std::vector<float>(p.hidden.size(), NAN), std::vector<float>(p.weight.size(), NAN),
           std::vector<float>(p.bias.size(), NAN)};
  std::vector<softmax_state> states(n);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(linear_logprob_bytes<Gemm>(
          tile, width, vocabulary, Executor::is_parallel ? linear_parts : 1)) +
      7);
  const view<std::byte> odd(memory.data() + 7, static_cast<std::int64_t>(memory.size()) - 7);
  const view<const float, 2> hidden(p.hidden.data(), tokens, width);
  const linear_head<const W> head{.weight = view<const W, 2>(weight.data(), vocabulary, width),
                                  .bias = p.bias};
  const linear_gradients<> to{.hidden = view<float, 2>(a.hidden.data(), tokens, width),
                              .weight = view<float, 2>(a.weight.data(), vocabulary, width),
                              .bias = a.bias};
  const token_results<float> out{.logp = a.logp, .entropy = a.entropy, .states = states};
  const token_cotangents<float> cot{.logp = p.cot_logp, .entropy = p.cot_entropy};
  if (in_one_call) {
    a.found =
        linear_logprob_and_gradient(executor, Gemm{}, r, hidden, head, p.labels, cot, out, to, odd);
  } else {
    a.found = linear_logprob(executor, Gemm{}, r, hidden, head, p.labels, out, odd);
    a.found |=
        linear_logprob_gradient(executor, Gemm{}, r, hidden, head, p.labels, states, cot, to, odd);
  }
  return a;
}

TEST_CASE("against the definition in float64") {
  const problem p;
  const answer a = run(p, p.weight, 4, true);
  CHECK(a.found == status::ok);
  const linear_definition want(p);
  // logits of 20 or so, summed in fp32
  CHECK(apart(a.logp, want.logp) < 5e-6);
  CHECK(apart(a.entropy, want.entropy) < 5e-6);
  CHECK(relatively_apart(a.hidden, want.hidden) < 3e-6);
  CHECK(relatively_apart(a.weight, want.weight) < 3e-6);
  CHECK(relatively_apart(a.bias, want.bias) < 3e-6);
}

TEST_CASE("tiles and calls leave no trace") {
  problem p;
  const answer whole = run(p, p.weight, 100, true);
  for (const std::int64_t tile : {1, 2, 5, 19})
    for (const bool in_one_call : {true, false})
      CHECK(run(p, p.weight, tile, in_one_call) == whole);
  // a dead token may hold anything
  for (std::int64_t t = 0; t < tokens; ++t)
    if (p.labels[std::size_t(t)] < 0) {
      for (std::int64_t d = 0; d < width; ++d) p.hidden[std::size_t(t * width + d)] = NAN;
      p.cot_logp[std::size_t(t)] = NAN;
    }
  CHECK(run(p, p.weight, 7, false) == whole);

  // two calls that add up have the bits of one; log-probs do not know the batch
  std::vector<float> weight(p.weight.size(), NAN), bias(p.bias.size(), NAN),
      hidden(p.hidden.size(), 2.0f), logp(std::size_t(tokens), NAN);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(linear_logprob_bytes<gemm::ordered>(3, width, vocabulary)));
  const linear_head<const float> head{
      .weight = view<const float, 2>(p.weight.data(), vocabulary, width), .bias = p.bias};
  for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 9}, {9, tokens}}) {
    const std::int64_t n = end - begin;
    linear_logprob_and_gradient(cpu{}, gemm::ordered{}, rule(),
                                view<const float, 2>(p.hidden.data() + begin * width, n, width),
                                head, view<const std::int64_t>(p.labels.data() + begin, n),
                                {.logp = view<const float>(p.cot_logp.data() + begin, n),
                                 .entropy = view<const float>(p.cot_entropy.data() + begin, n)},
                                {.logp = view<float>(logp.data() + begin, n)},
                                {.hidden = view<float, 2>(hidden.data() + begin * width, n, width),
                                 .weight = view<float, 2>(weight.data(), vocabulary, width),
                                 .bias = bias,
                                 .of_hidden = update::accumulate,
                                 .of_head = begin == 0 ? update::overwrite : update::accumulate},
                                memory);
  }
  CHECK(weight == whole.weight);
  CHECK(bias == whole.bias);
  CHECK(logp == whole.logp);
  float worst = 0;
  for (std::size_t i = 0; i < hidden.size(); ++i)
    worst = std::max(worst, std::abs(hidden[i] - 2 - whole.hidden[i]));
  CHECK(worst < 1e-5f);
}

TEST_CASE("threads leave no trace") {
  problem p;
  const answer whole = run(p, p.weight, 100, true);
  for (const int threads : {1, 2, 3, 7}) {
    thread_pool pool(threads);
    for (const std::int64_t tile : {1, 5, 100})
      CHECK(run(p, p.weight, tile, tile > 1, rule(), cpu{pool}) == whole);
  }
  p.labels[1] = vocabulary;
  p.hidden[std::size_t(2 * width)] = NAN;
  thread_pool pool(3);
  CHECK(run(p, p.weight, 9, true, rule(), cpu{pool}).found == (status::label | status::non_finite));
  std::string told;
  std::vector<std::byte> few(
      static_cast<std::size_t>(linear_logprob_bytes<gemm::ordered>(1, width, vocabulary)));
  try {
    linear_logprob(
        cpu{pool}, gemm::ordered{}, rule(), view<const float, 2>(p.hidden.data(), tokens, width),
        linear_head<const float>{.weight =
                                     view<const float, 2>(p.weight.data(), vocabulary, width)},
        p.labels, {}, few);
  } catch (const std::invalid_argument& e) {
    told = e.what();
  }
  CHECK(told.find("hence: memory has ") == 0);
  CHECK(told.find("(linear_logprob_bytes, linear_parts for a pool)") != std::string::npos);
}

/// A head and hidden states of whole cache lines, and their logits as an array.
struct square_problem {
  static constexpr std::int64_t n = 5, d = 64, v = 128;
  std::vector<float> hidden, weight, logits;
  square_problem() : logits(std::size_t(n * v)) {
    std::mt19937 random(31);
    std::normal_distribution<float> normal(0, 0.3f);
    for (std::int64_t i = 0; i < n * d; ++i) hidden.push_back(normal(random));
    for (std::int64_t i = 0; i < v * d; ++i) weight.push_back(normal(random));
    std::vector<float> scratch(std::size_t(gemm::ordered::scratch_floats) + 1);
    gemm::ordered{}(h(), transposed(w()), view<float, 2>(logits.data(), n, v), update::overwrite,
                    scratch.data());
  }
  view<const float, 2> h() const { return {hidden.data(), n, d}; }
  view<const float, 2> w() const { return {weight.data(), v, d}; }
};

TEST_CASE("widths of whole pages; negative labels that are not ignored") {
  const square_problem p;
  constexpr std::int64_t n = square_problem::n, d = square_problem::d, v = square_problem::v;
  const softmax_rule strict{.temperature = 0.8, .negative = negative_labels::out_of_range};
  const std::vector<std::int64_t> labels{3, -1, 127, 0, 64};
  std::vector<float> logp(n), want(n), gradient(std::size_t(n * v)), cot(n, 0.5f);
  token_logprob_and_gradient(cpu{}, strict, view<const float, 2>(p.logits.data(), n, v), labels,
                             {.logp = cot}, {.logp = want}, view<float, 2>(gradient.data(), n, v));
  std::vector<std::byte> memory(
      std::size_t(linear_logprob_bytes<gemm::ordered>(2, d, v, linear_parts)));
  std::vector<float> d_bias(std::size_t(v), NAN), d_hidden(std::size_t(n * d), NAN);
  const linear_head<const float> head{.weight = p.w()};
  // each gradient may be asked for alone
  CHECK(linear_logprob_and_gradient(cpu{}, gemm::ordered{}, strict, p.h(), head, labels,
                                    {.logp = cot}, {.logp = logp}, {.bias = d_bias},
                                    memory) == status::label);
  for (std::size_t t = 0; t < n; ++t) CHECK(std::memcmp(&logp[t], &want[t], 4) == 0);
  CHECK(std::isnan(logp[1]));
  for (std::size_t c = 0; c < std::size_t(v); ++c) {
    float sum = 0;
    for (std::size_t t = 0; t < n; ++t) sum += gradient[t * std::size_t(v) + c];
    CHECK(std::memcmp(&d_bias[c], &sum, 4) == 0);
  }
  // a pool, and fewer columns than one part has
  thread_pool pool(2);
  CHECK(linear_logprob_and_gradient(
            cpu{pool}, gemm::ordered{}, strict, p.h(), head, labels, {.logp = cot}, {},
            {.hidden = view<float, 2>(d_hidden.data(), n, d)}, memory) == status::label);
  for (std::size_t t = 0; t < n; ++t)
    for (std::size_t i = 0; i < std::size_t(d); ++i) {
      double sum = 0;
      for (std::size_t c = 0; c < std::size_t(v); ++c)
        sum += double(gradient[t * std::size_t(v) + c]) * double(p.weight[c * std::size_t(d) + i]);
      if (t == 1) CHECK(std::isnan(d_hidden[t * std::size_t(d) + i]));
      if (t != 1) CHECK(std::abs(double(d_hidden[t * std::size_t(d) + i]) - sum) <= 1e-6);
    }
  // no tokens at all: nothing to do, but the head's gradient is that of nothing
  const std::vector<std::int64_t> none;
  CHECK(linear_logprob_gradient(cpu{}, gemm::ordered{}, strict, view<const float, 2>(nullptr, 0, d),
                                head, none, {}, {}, {.bias = d_bias}, memory) == status::ok);
  CHECK(std::count(d_bias.begin(), d_bias.end(), 0.0f) == v);
}

TEST_CASE("one token, one column, one width") {
  const float hidden = 3, weight = 2;
  const std::vector<std::int64_t> labels{0};
  float logp = NAN, slope = NAN;
  std::vector<std::byte> memory(std::size_t(linear_logprob_bytes<gemm::ordered>(1, 1, 1)));
  const view<const float, 2> h(&hidden, 1, 1);
  const linear_head<const float> head{.weight = view<const float, 2>(&weight, 1, 1)};
  CHECK(linear_logprob_and_gradient(
            cpu{}, gemm::ordered{}, rule(), h, head, labels, {}, {.logp = view<float>(&logp, 1)},
            {.weight = view<float, 2>(&slope, 1, 1)}, memory) == status::ok);
  CHECK(logp == 0);
  CHECK(slope == 0);
}

TEST_CASE("memory of exactly one token's floats; more columns than the parts take at the least") {
  constexpr std::int64_t n = 3, d = 8, v = 256 * 40;
  std::vector<float> hidden(std::size_t(n * d)), weight(std::size_t(v * d));
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.5f);
  for (float& x : hidden) x = normal(random);
  for (float& x : weight) x = normal(random);
  const std::vector<std::int64_t> labels{0, 10239, 77};
  const linear_head<const float> head{.weight = view<const float, 2>(weight.data(), v, d)};
  std::vector<float> want(n), logp(n);
  struct alignas(64) line {
    std::byte bytes[64];
  };
  const auto call = [&](const auto& executor, std::int64_t bytes, std::vector<float>& to) {
    std::vector<line> memory(std::size_t(bytes / 64 + 1));
    return linear_logprob(executor, gemm::ordered{}, rule(),
                          view<const float, 2>(hidden.data(), n, d), head, labels, {.logp = to},
                          view<std::byte>(memory[0].bytes, bytes));
  };
  // at a cache line the 64 bytes of alignment are not needed
  const std::int64_t one = linear_logprob_bytes<gemm::ordered>(1, d, v) - 64;
  CHECK(call(cpu{}, one, want) == status::ok);
  CHECK_THROWS_AS(call(cpu{}, one - 4, logp), std::invalid_argument);
  thread_pool pool(2);
  CHECK(call(cpu{pool}, linear_logprob_bytes<gemm::ordered>(1, d, v, linear_parts) - 64, logp) ==
        status::ok);
  CHECK(logp == want);
}

template <int N> struct scratchy {
  static constexpr std::int64_t scratch_floats = N;
};

TEST_CASE("how memory is laid out") {
  CHECK(detail::scratch_of<scratchy<0>>() == 0);
  CHECK(detail::scratch_of<scratchy<1>>() == 16);
  CHECK(detail::scratch_of<scratchy<16>>() == 16);
  CHECK(detail::scratch_of<scratchy<17>>() == 32);
  // whole lines of 16 floats, and no multiple of four of them
  CHECK(detail::rounded_up(1) == 16);
  CHECK(detail::rounded_up(16) == 16);
  CHECK(detail::rounded_up(17) == 32);
  CHECK(detail::rounded_up(49) == 80);
  CHECK(detail::rounded_up(64) == 80);
  CHECK(detail::rounded_up(65) == 80);
  alignas(64) std::byte bytes[256];
  const auto floats = [&](std::int64_t begin, std::int64_t size) {
    return detail::aligned_floats<float>(view<std::byte>(bytes + begin, size));
  };
  CHECK(static_cast<void*>(floats(0, 100).data) == bytes);
  CHECK(floats(0, 100).extent[0] == 25);
  CHECK(static_cast<void*>(floats(7, 249).data) == bytes + 64);
  CHECK(floats(7, 249).extent[0] == 48);
  CHECK(floats(7, 60).extent[0] == 0);
  CHECK_FALSE(floats(7, 50).present());
  CHECK_FALSE(detail::aligned_floats<float>(view<std::byte>(nullptr, 100)).present());
}

TEST_CASE("bf16 weights have the bits of their values") {
  problem p;
  std::vector<bf16> narrow;
  for (float& x : p.weight) narrow.push_back(bf16(x)), x = float(narrow.back());
  CHECK(run(p, narrow, 6, true) == run(p, p.weight, 6, true));
}

TEST_CASE("no live token gives zeros, or leaves what is there") {
  problem p;
  for (auto& label : p.labels) label = -1;
  const answer a = run(p, p.weight, 4, true);
  for (const auto* v : {&a.logp, &a.entropy, &a.hidden, &a.weight, &a.bias})
    CHECK(std::count(v->begin(), v->end(), 0.0f) == static_cast<std::int64_t>(v->size()));
  std::vector<std::byte> memory(
      static_cast<std::size_t>(linear_logprob_bytes<gemm::ordered>(4, width, vocabulary)));
  std::vector<float> bias(p.bias.size(), 3.0f), weight(p.weight.size(), 3.0f);
  const auto call = [&](const linear_gradients<>& to) {
    return linear_logprob_and_gradient(
        cpu{}, gemm::ordered{}, rule(), view<const float, 2>(p.hidden.data(), tokens, width),
        linear_head<const float>{.weight =
                                     view<const float, 2>(p.weight.data(), vocabulary, width)},
        p.labels, {}, {}, to, memory);
  };
  CHECK(call({.weight = view<float, 2>(weight.data(), vocabulary, width),
              .bias = bias,
              .of_head = update::accumulate}) == status::ok);
  CHECK(std::count(bias.begin(), bias.end(), 3.0f) == vocabulary);
  CHECK(std::count(weight.begin(), weight.end(), 3.0f) == vocabulary * width);
  CHECK(call({.weight = view<float, 2>(weight.data(), vocabulary, width)}) == status::ok);
  CHECK(std::count(weight.begin(), weight.end(), 0.0f) == vocabulary * width);
}

TEST_CASE("a bad row tells and spoils no other log-prob") {
  problem p;
  const answer good = run(p, p.weight, 4, true);
  p.labels[1] = vocabulary;
  p.hidden[std::size_t(2 * width)] = NAN;
  const answer a = run(p, p.weight, 4, true);
  CHECK(has(a.found, status::label));
  CHECK(has(a.found, status::non_finite));
  CHECK(std::isnan(a.logp[1]));
  CHECK(std::isnan(a.logp[2]));
  for (std::size_t t = 4; t < std::size_t(tokens); ++t) CHECK(a.logp[t] == good.logp[t]);
  CHECK(std::memcmp(&a.hidden[std::size_t(4 * width)], &good.hidden[std::size_t(4 * width)], 40) ==
        0);
}

TEST_CASE("wrong arguments are refused before anything is written") {
  problem p;
  std::vector<float> logp(std::size_t(tokens), -7.0f), d_hidden(p.hidden.size(), -7.0f), few(3);
  std::vector<std::byte> memory(
      static_cast<std::size_t>(linear_logprob_bytes<gemm::ordered>(1, width, vocabulary)));
  const view<const float, 2> hidden(p.hidden.data(), tokens, width);
  const view<const float, 2> weight(p.weight.data(), vocabulary, width);
  const auto forward = [&](view<const float, 2> h, const linear_head<const float>& head,
                           const std::vector<std::int64_t>& labels, const token_results<float>& out,
                           view<std::byte> m) {
    return refusal(
        [&] { linear_logprob(cpu{}, gemm::ordered{}, rule(), h, head, labels, out, m); });
  };
  const token_results<float> out{.logp = logp};
  CHECK(forward(hidden, {.weight = weight}, p.labels, out, view<std::byte>(memory.data(), 100))
            .find("hence: memory has 100 bytes, expected at least ") == 0);
  CHECK(forward(hidden, {.weight = view<const float, 2>(p.weight.data(), width, vocabulary)},
                p.labels, out, memory)
            .find("hence: head.weight has shape [37, 1111]") == 0);
  CHECK(forward(view<const float, 2>(p.hidden.data(), tokens, 0), {.weight = weight}, p.labels, out,
                memory)
            .find("hence: head.weight has shape [1111, 37] and hidden [23, 0]") == 0);
  CHECK(forward(hidden, {.weight = view<const float, 2>(p.weight.data(), 0, width)}, p.labels, out,
                memory)
            .find("hence: head.weight has shape [0, 37] and hidden [23, 37]") == 0);
  CHECK(forward(hidden, {.weight = weight}, {}, out, memory) ==
        "hence: labels is null, expected 23 tokens");
  CHECK(forward(hidden, {.weight = weight}, p.labels, out, {}).find("hence: memory has 0 bytes") ==
        0);
  view<std::byte> one_byte(memory.data(), 1);
  one_byte.stride[0] = 5;  // of one entry it says nothing
  CHECK(forward(hidden, {.weight = weight}, p.labels, out, one_byte)
            .find("hence: memory has 1 bytes") == 0);
  CHECK(forward(hidden, {.weight = weight}, p.labels, out, view<std::byte>(memory.data() + 1, 9))
            .find("hence: memory has 9 bytes") == 0);
  CHECK(forward(hidden, {.weight = weight, .bias = few}, p.labels, out, memory) ==
        "hence: head.bias has 3 entries, head.weight has 1111 rows");
  CHECK(forward(hidden, {.weight = weight}, {1, 2}, out, memory) ==
        "hence: labels has 2 entries, hidden has 23 tokens");
  CHECK(forward(hidden, {.weight = weight}, p.labels, {.logp = few}, memory) ==
        "hence: out.logp has 3 entries, hidden has 23 tokens");
  const auto backward = [&](view<const softmax_state> states, const token_cotangents<float>& cot,
                            const linear_gradients<>& to) {
    return refusal([&] {
      linear_logprob_gradient(cpu{}, gemm::ordered{}, rule(), hidden,
                              linear_head<const float>{.weight = weight}, p.labels, states, cot, to,
                              memory);
    });
  };
  const std::vector<softmax_state> states(static_cast<std::size_t>(tokens));
  CHECK(backward({}, {}, {}) ==
        "hence: states is null, expected 23 tokens as linear_logprob wrote them");
  CHECK(backward(states, {.logp = few}, {}) ==
        "hence: cot.logp has 3 entries, hidden has 23 tokens");
  CHECK(backward(states, {}, {.hidden = view<float, 2>(d_hidden.data(), width, tokens)}) ==
        "hence: gradients.hidden has shape [37, 23], expected [23, 37]");
  CHECK(backward(states, {}, {.hidden = view<float, 2>(p.hidden.data(), tokens, width)})
            .find("hence: gradients.hidden overlaps hidden, expected separate arrays") == 0);
  CHECK(backward(states, {}, {.weight = view<float, 2>(p.hidden.data(), vocabulary, width)})
            .find("hence: gradients.weight overlaps hidden, expected separate arrays") == 0);
  std::vector<float> d_weight(p.weight.size(), -7.0f);
  CHECK(backward(states, {},
                 {.hidden = view<float, 2>(d_weight.data() + 5, tokens, width),
                  .weight = view<float, 2>(d_weight.data(), vocabulary, width)}) ==
        "hence: gradients.weight overlaps gradients.hidden, expected separate arrays");
  CHECK(std::count(d_weight.begin(), d_weight.end(), -7.0f) == vocabulary * width);
  CHECK(backward(states, {}, {.bias = few}) ==
        "hence: gradients.bias has 3 entries, head.weight has 1111 rows");
  // the memory and the results are arrays of their own
  const auto bytes_of = [](std::vector<float>& v) {
    return view<std::byte>(reinterpret_cast<std::byte*>(v.data()),
                           static_cast<std::int64_t>(v.size() * 4));
  };
  std::vector<float> whole(p.weight);
  whole.resize(memory.size() / 4 + 1);
  const std::vector<float> before = whole;
  CHECK(forward(hidden, {.weight = view<const float, 2>(whole.data(), vocabulary, width)}, p.labels,
                out,
                bytes_of(whole)) == "hence: memory overlaps head.weight, expected separate arrays");
  CHECK(forward(hidden, {.weight = weight}, p.labels,
                {.logp = view<float>(p.hidden.data(), tokens)},
                memory) == "hence: out.logp overlaps hidden, expected separate arrays");
  CHECK(forward(hidden, {.weight = weight, .bias = p.bias}, p.labels,
                {.entropy = view<float>(p.bias.data(), tokens)},
                memory) == "hence: out.entropy overlaps head.bias, expected separate arrays");
  CHECK(forward(hidden, {.weight = weight}, p.labels, {.logp = logp, .entropy = logp}, memory) ==
        "hence: out.entropy overlaps out.logp, expected separate arrays");
  CHECK(forward(hidden, {.weight = weight}, p.labels,
                {.logp = view<float>(reinterpret_cast<float*>(memory.data()), tokens)},
                memory) == "hence: out.logp overlaps memory, expected separate arrays");
  std::vector<std::byte> twice(2 * memory.size());
  view<std::byte> every_other(twice.data(), static_cast<std::int64_t>(memory.size()));
  every_other.stride[0] = 2;
  CHECK(forward(hidden, {.weight = weight}, p.labels, out, every_other) ==
        "hence: memory has stride 2, expected 1");
  view<float> still(logp.data(), tokens);
  still.stride[0] = 0;
  CHECK(forward(hidden, {.weight = weight}, p.labels, {.logp = still}, memory) ==
        "hence: out.logp has stride 0, expected another: its 23 entries are one");
  std::vector<float> cot(std::size_t(vocabulary), 1.0f);
  CHECK(backward(states, {.logp = view<const float>(cot.data(), tokens)}, {.bias = cot}) ==
        "hence: gradients.bias overlaps cot.logp, expected separate arrays");
  CHECK(whole == before);
  CHECK(std::count(logp.begin(), logp.end(), -7.0f) == tokens);
  CHECK(std::count(d_hidden.begin(), d_hidden.end(), -7.0f) == tokens * width);
}

}  // namespace
