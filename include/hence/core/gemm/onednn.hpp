/// \file
/// `gemm::onednn` and `gemm::onednn_bf16`: the matrix product by oneDNN 2 or 3 (Debian:
/// libdnnl-dev). Include it and link the library; hence itself does neither.
///
/// Their bits depend on oneDNN, its threads, the processor and the shapes. Error of `onednn` about
/// k 2^-24 sum |a b|; `onednn_bf16` rounds float operands to bf16 first, 2^-8 |a b| each, and sums
/// in fp32. oneDNN allocates, reports its own faults as dnnl::error, and takes the threads that its
/// runtime is set to (OMP_NUM_THREADS): one, where hence's executor has a pool.
#pragma once

#include <hence/core/gemm/leading.hpp>
#include <hence/core/load.hpp>

#include <dnnl.hpp>

namespace hence::inline v0 {

namespace detail {

/// A block of a matrix, rounded to bf16 with its rows (columns) one after another.
/// \return where it lies: in `room`, or in place if it is bf16 already.
template <class Isa, class T>
view<const bf16, 2> as_bf16(const view<const T, 2>& m, bool by_columns, bf16* room) {
  if constexpr (std::same_as<T, bf16>) {
    return m;
  } else {
    using V = pack<float, Isa>;
    const std::int64_t outer = m.extent[by_columns ? 1 : 0], inner = m.extent[by_columns ? 0 : 1];
    for (std::int64_t i = 0; i < outer; ++i) {
      const float* from = m.data + i * m.stride[by_columns ? 1 : 0];
      bf16* const to = room + i * inner;
      std::int64_t k = 0;
      for (; k + V::lanes <= inner; k += V::lanes) store_as(to + k, load_as<V>(from + k));
      for (; k < inner; ++k) to[k] = bf16(from[k]);
    }
    const view<const bf16, 2> whole(room, outer, inner);
    return by_columns ? transposed(whole) : whole;
  }
}

/// C = A B or C += A B.
template <class Isa>
void onednn_matmul(const dnnl::engine& engine, dnnl::stream& stream, const view<const bf16, 2>& a,
                   const view<const bf16, 2>& b, const view<float, 2>& c, bool adds) {
  using dnnl::memory;
  const auto shape = [](const auto& m, memory::data_type type) {
    const auto stored = leading_of("an operand", m);
    const memory::dim leading = stored.leading;
    return memory::desc({m.extent[0], m.extent[1]}, type,
                        stored.by_columns ? memory::dims{1, leading} : memory::dims{leading, 1});
  };
  const auto of_a = shape(a, memory::data_type::bf16), of_b = shape(b, memory::data_type::bf16),
             of_c = shape(c, memory::data_type::f32);
  dnnl::primitive_attr attributes;
  if (adds) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc what(engine, of_a, of_b, of_c, attributes);
#else
  const dnnl::matmul::primitive_desc what(dnnl::matmul::desc(of_a, of_b, of_c), attributes, engine);
#endif
  const auto at = [&](const memory::desc& d, const void* p) {
    return memory(d, engine, const_cast<void*>(p));
  };
  dnnl::matmul(what).execute(stream, {{DNNL_ARG_SRC, at(of_a, a.data)},
                                      {DNNL_ARG_WEIGHTS, at(of_b, b.data)},
                                      {DNNL_ARG_DST, at(of_c, c.data)}});
  stream.wait();
}

}  // namespace detail

namespace gemm {

/// fp32. A `backend`; A and B have a stride of 1. \tparam Isa keeps translation units apart.
template <class Isa = native_isa> struct onednn_on {
  static constexpr std::int64_t scratch_floats = 0;

  void operator()(view<const float, 2> a, view<const float, 2> b, view<float, 2> c, update u,
                  float*) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    const auto left = detail::leading_of("A", a), right = detail::leading_of("B", b);
    const auto out = detail::leading_of("C", c);
    if (detail::is_empty_product(c, a.extent[1], u)) return;
    const auto order = [](const detail::leading_layout& m) { return m.by_columns ? 'T' : 'N'; };
    const dnnl::status done =
        dnnl::sgemm(order(left), order(right), c.extent[0], c.extent[1], a.extent[1], 1.0f, a.data,
                    left.leading, b.data, right.leading, u == update::accumulate ? 1.0f : 0.0f,
                    c.data, out.leading);
    if (done != dnnl::status::success)
      detail::refuse(detail::message() << "hence: gemm::onednn: oneDNN's sgemm returned status "
                                       << static_cast<std::int64_t>(done));
  }
};
/// The usual one, fp32.
using onednn = onednn_on<>;

/// Operands of float or bf16, both multiplied as bf16, sums in fp32. Needs AVX-512 in oneDNN 2.
/// Float operands are rounded block by block, so that a float copy of neither is needed.
template <class Isa = native_isa> struct onednn_bf16_on {
  static constexpr std::int64_t block = 262144;          ///< numbers of a rounded block
  static constexpr std::int64_t scratch_floats = block;  // two blocks of 16-bit numbers

  template <class A, class B>
    requires((std::same_as<A, const float> || std::same_as<A, const bf16>) &&
             (std::same_as<B, const float> || std::same_as<B, const bf16>))
  void operator()(view<A, 2> a, view<B, 2> b, view<float, 2> c, update u, float* scratch) const {
    detail::check_product(a.extent, b.extent, c.extent, c.stride[1]);
    const bool a_columns = detail::leading_of("A", a).by_columns;
    const bool b_columns = detail::leading_of("B", b).by_columns;
    detail::leading_of("C", c);
    const std::int64_t m = c.extent[0], n = c.extent[1], depth = a.extent[1];
    if (detail::is_empty_product(c, depth, u)) return;
    constexpr bool rounds_a = std::same_as<A, const float>, rounds_b = std::same_as<B, const float>;
    const auto smaller = [](std::int64_t x, std::int64_t y) { return x < y ? x : y; };
    const std::int64_t deep = rounds_a || rounds_b ? smaller(depth, 1024) : depth;
    const std::int64_t high = rounds_a ? smaller(m, block / deep) : m;
    const std::int64_t wide = rounds_b ? smaller(n, block / deep) : n;
    bf16* const room = reinterpret_cast<bf16*>(scratch);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    const auto part = [](const auto& x, std::int64_t i, std::int64_t j, std::int64_t rows,
                         std::int64_t columns) {
      auto y = x;
      y.data += i * x.stride[0] + j * x.stride[1];
      y.extent[0] = rows, y.extent[1] = columns;
      return y;
    };
    for (std::int64_t k = 0; k < depth; k += deep) {
      const std::int64_t d = smaller(deep, depth - k);
      for (std::int64_t j = 0; j < n; j += wide) {
        const std::int64_t w = smaller(wide, n - j);
        const auto right = detail::as_bf16<Isa>(part(b, k, j, d, w), b_columns, room + block);
        for (std::int64_t i = 0; i < m; i += high) {
          const std::int64_t h = smaller(high, m - i);
          const auto left = detail::as_bf16<Isa>(part(a, i, k, h, d), a_columns, room);
          detail::onednn_matmul<Isa>(engine, stream, left, right, part(c, i, j, h, w),
                                     k > 0 || u == update::accumulate);
        }
      }
    }
  }
};
/// The usual one, bf16.
using onednn_bf16 = onednn_bf16_on<>;

}  // namespace gemm

}  // namespace hence::inline v0
