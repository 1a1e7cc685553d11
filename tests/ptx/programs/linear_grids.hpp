// The kernels of the linear log-prob by fewer blocks than they have tiles, against loops on the
// host.
#pragma once

#include "check.hpp"

#include <hence/cuda/linear_logprob.cuh>

#include <cmath>
#include <random>

namespace linear_grids {

using hence::view;

/// Which tokens are ignored, where a negative label says so: nothing tells, or labels of either
/// width.
enum class told { nothing, narrow, wide, wide_in_vain };

/// Labels -2 to 1, of which those count that lie `apart`.
class labels {
 public:
  labels(told by, std::int64_t n, std::int64_t apart, std::mt19937& random)
      : by_(by),
        n_(n),
        apart_(apart),
        values_(made(n * apart + 1, random)),
        wide_(values_),
        narrow_({values_.begin(), values_.end()}) {}

  hence::cuda::detail::ignored_tokens on_device() const {
    hence::cuda::detail::ignored_tokens out{{}, by_ == told::narrow || by_ == told::wide};
    if (by_ == told::narrow) out.labels = spaced(narrow_.get());
    if (by_ >= told::wide) out.labels = spaced(wide_.get());
    return out;
  }
  bool ignored(std::int64_t t) const {
    return (by_ == told::narrow || by_ == told::wide) &&
           values_[static_cast<std::size_t>(t * apart_)] < 0;
  }

 private:
  static std::vector<std::int64_t> made(std::int64_t n, std::mt19937& random) {
    std::vector<std::int64_t> out;
    while (std::ssize(out) < n) out.push_back(std::int64_t(random() % 4) - 2);
    return out;
  }
  template <class T> view<const T> spaced(const T* p) const {
    view<const T> v(p, n_);
    v.stride[0] = apart_;
    return v;
  }
  told by_;
  std::int64_t n_, apart_;
  std::vector<std::int64_t> values_;
  test::input<std::int64_t> wide_;
  test::input<std::int32_t> narrow_;
};

inline std::vector<float> noise(std::int64_t n, std::mt19937& random) {
  std::vector<float> out;
  while (std::ssize(out) < n) out.push_back(static_cast<float>(random()) / 2147483648.0f - 1);
  return out;
}

inline void compare(const test::output<float>& got, const std::vector<float>& wanted,
                    const std::string& what) {
  test::check(cudaStreamSynchronize(nullptr));
  test::check(std::memcmp(got.read().data(), wanted.data(), wanted.size() * 4) == 0, what);
}

/// An output that begins as these values.
inline void begin_as(const test::output<float>& to, const std::vector<float>& values) {
  test::check(cudaMemcpy(to.get(), values.data(), values.size() * 4, cudaMemcpyHostToDevice));
}

/// The bias's gradient; what is ignored is not 0, one column is all -0.
inline void sum_columns(std::int64_t tokens, std::int64_t columns, told by, bool begins) {
  std::mt19937 random(static_cast<unsigned>(8 * tokens + 2 * int(by) + begins));
  const std::int64_t pitch = columns + 3, apart = 1 + tokens % 3;
  std::vector<float> g = noise(tokens * pitch, random), wanted = noise(columns * apart, random);
  for (std::int64_t t = 0; t < tokens; ++t) g[static_cast<std::size_t>(t * pitch)] = -0.0f;
  const labels of(by, tokens, apart, random);
  const test::input<float> from(g);
  const test::output<float> to(wanted.size());
  begin_as(to, wanted);
  for (std::int64_t v = 0; v < columns; ++v) {
    float& sum = wanted[static_cast<std::size_t>(v * apart)];
    if (begins) sum = 0;
    for (std::int64_t t = 0; t < tokens; ++t)
      if (!of.ignored(t)) sum += g[static_cast<std::size_t>(t * pitch + v)];
  }
  view<float> out(to.get(), columns);
  out.stride[0] = apart;
  hence::cuda::launch(
      "bias_gradient_kernel", hence::cuda::detail::bias_gradient_kernel<float>, 2,
      hence::cuda::detail::product_threads, nullptr, std::source_location::current(),
      view<const float, 2>(from.get(), tokens, columns, pitch), of.on_device(), out, begins);
  compare(to, wanted, "bias's gradient of " + std::to_string(tokens) + " tokens");
}

/// A product of 6 tiles by two blocks, from matrices that are read along or across their rows.
inline void multiply(bool turned, told rows, told steps, bool begins, bool biased, bool zeroes) {
  constexpr std::int64_t m = 70, k = 35, n = 131, pitch = 140;
  std::mt19937 random(static_cast<unsigned>(8 * int(rows) + 2 * int(steps) + begins));
  std::vector<float> a = noise(pitch * pitch, random), b = noise(pitch * pitch, random),
                     c = noise(m * pitch, random), bias = noise(n * 2, random);
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return static_cast<std::size_t>(row * pitch + column);
  };
  for (std::int64_t s = 0; s < k; ++s)
    for (std::int64_t row = 4; row < 8; ++row) a[turned ? at(s, row) : at(row, s)] = -0.0f;
  const labels of_rows(rows, m, 2, random), of_steps(steps, k, 3, random);
  const test::input<float> left(a), right(b), first(bias);
  const test::output<float> to(c.size());
  begin_as(to, c);
  const auto read = [&](const float* p, std::int64_t r, std::int64_t w) {
    return turned ? transposed(view<const float, 2>(p, w, r, pitch))
                  : view<const float, 2>(p, r, w, pitch);
  };
  hence::cuda::detail::product_call<float, float> call{read(left.get(), m, k),
                                                       read(right.get(), k, n),
                                                       {to.get(), m, n, pitch},
                                                       begins,
                                                       {},
                                                       of_rows.on_device(),
                                                       of_steps.on_device(),
                                                       zeroes};
  if (biased) call.bias = {first.get(), n}, call.bias.stride[0] = 2;
  hence::cuda::launch("product_kernel", hence::cuda::detail::product_kernel<float, float>, 2,
                      hence::cuda::detail::product_threads, nullptr,
                      std::source_location::current(), call);
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      float& sum = c[at(i, j)];
      if (of_rows.ignored(i)) {
        if (zeroes) sum = 0;
        continue;
      }
      if (begins) sum = biased ? bias[static_cast<std::size_t>(2 * j)] : 0.0f;
      for (std::int64_t s = 0; s < k; ++s)
        if (!of_steps.ignored(s))
          sum =
              std::fma(turned ? a[at(s, i)] : a[at(i, s)], turned ? b[at(j, s)] : b[at(s, j)], sum);
    }
  compare(to, c, "product by two blocks");
}

inline void run() {
  for (std::int64_t tokens = 0; tokens < 10; ++tokens)
    for (const told by : {told::nothing, told::narrow, told::wide, told::wide_in_vain})
      for (const bool begins : {false, true})
        sum_columns(tokens, tokens == 9 ? 1300 : tokens == 8 ? 1024 : 7 + tokens, by, begins);
  multiply(false, told::wide, told::narrow, true, false, true);
  multiply(true, told::narrow, told::wide, false, true, false);
  multiply(true, told::wide_in_vain, told::nothing, true, true, false);
}

}  // namespace linear_grids
