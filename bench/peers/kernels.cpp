// hence's blocks and the machine's bounds as C functions, so that one Python process times them and
// a framework on the same arrays. One thread. Arrays are float32; every function runs its block
// once.
#include "../probe.hpp"

#include <hence/hence.hpp>

using hence::view;

namespace {

hence::softmax_rule softmax() {
  return {.temperature = 1.0, .negative = hence::negative_labels::ignored};
}

}  // namespace

extern "C" {

/// Numbers in [low, high) that depend on their place and the seed alone.
void peers_fill(float* out, std::int64_t n, std::uint64_t seed, float low, float high) {
  for (std::int64_t i = 0; i < n; ++i) {
    const hence::draw place{.token = static_cast<std::uint32_t>(i & 0xfffffff),
                            .sequence = static_cast<std::uint64_t>(i >> 28)};
    out[i] = low + (high - low) * hence::uniform_of(seed, place);
  }
}

/// Reads `inputs` arrays of n numbers and writes one.
void peers_bound_streams(const float* a, const float* b, const float* c, float* out, std::int64_t n,
                         std::int64_t inputs) {
  const float* in[] = {a, b, c};
  if (inputs == 3)
    probe::sum_streams<3, false>(in, out, static_cast<std::size_t>(n));
  else
    probe::sum_streams<1, false>(in, out, static_cast<std::size_t>(n));
}
/// Reads one array.
float peers_bound_read(const float* a, std::int64_t n) {
  return probe::read_stream(a, static_cast<std::size_t>(n));
}

/// The three matrix products of a log-prob from hidden states and its gradients, by hence's backend
/// in hence's tiles of 256 rows: logits = hidden head^T, d_hidden = logits head, d_head += logits^T
/// hidden.
void peers_bound_products(const float* hidden, const float* head, float* d_hidden, float* d_head,
                          std::int64_t rows, std::int64_t width, std::int64_t vocabulary) {
  using gemm = hence::gemm::ordered;
  const std::int64_t tile = 256, stride = hence::detail::rounded_up(vocabulary);
  static thread_local std::vector<float> logits, scratch;
  logits.resize(static_cast<std::size_t>(tile * stride));
  scratch.resize(static_cast<std::size_t>(gemm::scratch_floats));
  const view<const float, 2> h(hidden, rows, width), w(head, vocabulary, width);
  const view<float, 2> dh(d_hidden, rows, width), dw(d_head, vocabulary, width);
  for (std::int64_t t = 0; t < rows; t += tile) {
    const std::int64_t n = std::min(tile, rows - t);
    const view<float, 2> z(logits.data(), n, vocabulary, stride);
    const view<const float, 2> read = z;
    const auto how = t == 0 ? hence::update::overwrite : hence::update::accumulate;
    gemm{}(hence::rows_of(h, t, n), hence::transposed(w), z, hence::update::overwrite,
           scratch.data());
    gemm{}(read, w, hence::rows_of(dh, t, n), hence::update::overwrite, scratch.data());
    gemm{}(hence::transposed(read), hence::rows_of(h, t, n), dw, how, scratch.data());
  }
}

/// Two-sided clip 0.8, 1.2 with 0.04 k3, token mean: value, and gradient for logp.
double peers_policy(const float* logp, const float* old_logp, const float* ref_logp,
                    const float* advantages, float* gradient, std::int64_t rows,
                    std::int64_t width) {
  const auto on = [&](const float* p) { return view<const float, 2>(p, rows, width); };
  const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.2f},
                                hence::kl::k3{0.04f}, hence::aggregate::token_mean{}};
  return hence::loss_and_gradient(hence::cpu{}, loss, hence::padded{.rows = rows, .width = width},
                                  {.logp = {on(logp), {.temperature = 1.0}},
                                   .old = {on(old_logp), {.temperature = 1.0}},
                                   .ref = {on(ref_logp), {.temperature = 1.0}},
                                   .advantages = view<const float>(advantages, rows)},
                                  hence::over_this_call, view<float, 2>(gradient, rows, width))
      .loss();
}

/// (r - mean)/(std + 1e-4), groups of one size.
void peers_advantages(const float* rewards, float* out, std::int64_t groups, std::int64_t size) {
  static thread_local std::vector<std::int64_t> offsets;
  offsets.resize(static_cast<std::size_t>(groups + 1));
  for (std::int64_t g = 0; g <= groups; ++g) offsets[static_cast<std::size_t>(g)] = g * size;
  hence::advantages(hence::cpu{},
                    hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}),
                    hence::groups{.cu_groups = offsets}, view<const float>(rewards, groups * size),
                    view<float>(out, groups * size));
}

/// log p of the labels and the entropies.
void peers_token_logprob(const float* logits, const std::int64_t* labels, float* logp,
                         float* entropy, std::int64_t rows, std::int64_t vocabulary) {
  hence::token_logprob(hence::cpu{}, softmax(), view<const float, 2>(logits, rows, vocabulary),
                       view<const std::int64_t>(labels, rows),
                       {.logp = view<float>(logp, rows), .entropy = view<float>(entropy, rows)});
}

/// log p of the labels, and the gradient of sum(cotangent log p) for the logits.
void peers_token_logprob_gradient(const float* logits, const std::int64_t* labels,
                                  const float* cotangent, float* logp, float* gradient,
                                  std::int64_t rows, std::int64_t vocabulary) {
  hence::token_logprob_and_gradient(
      hence::cpu{}, softmax(), view<const float, 2>(logits, rows, vocabulary),
      view<const std::int64_t>(labels, rows), {.logp = view<const float>(cotangent, rows)},
      {.logp = view<float>(logp, rows)}, view<float, 2>(gradient, rows, vocabulary));
}

/// The same from hidden states and the head; gradients of both. Tiles of 256 rows.
void peers_linear_logprob(const float* hidden, const float* head, const std::int64_t* labels,
                          const float* cotangent, float* logp, float* d_hidden, float* d_head,
                          std::int64_t rows, std::int64_t width, std::int64_t vocabulary) {
  static thread_local std::vector<std::byte> memory;
  using gemm = hence::gemm::ordered;
  memory.resize(
      static_cast<std::size_t>(hence::linear_logprob_bytes<gemm>(256, width, vocabulary)));
  const hence::linear_head<const float> layer{.weight =
                                                  view<const float, 2>(head, vocabulary, width)};
  hence::linear_logprob_and_gradient(
      hence::cpu{}, gemm{}, softmax(), view<const float, 2>(hidden, rows, width), layer,
      view<const std::int64_t>(labels, rows), {.logp = view<const float>(cotangent, rows)},
      {.logp = view<float>(logp, rows)},
      {.hidden = view<float, 2>(d_hidden, rows, width),
       .weight = view<float, 2>(d_head, vocabulary, width)},
      memory);
}

}  // extern "C"
