/// \file
/// What a scalar computes with. float: hence's packs and the product of gemm.hpp, `gemm::ordered`
/// unless told otherwise, whose bits depend on the data alone. double: plain loops of the same
/// formulas, in which the tests take finite differences.
#pragma once

#include "gemm.hpp"

#include <hence/core/execute.hpp>
#include <hence/core/math.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace lm {

template <class S> struct engine;
template <> struct engine<float> {
  using executor = hence::cpu<>;
  using gemm = chosen_gemm;
  using vector = hence::pack<float>;
  static constexpr int vector_lanes = vector::lanes;
};
template <> struct engine<double> {
  using executor = hence::reference<double>;
  using gemm = hence::gemm::chain<double>;
  using vector = hence::num<double>;
  static constexpr int vector_lanes = 1;
};

/// Memory that begins at a cache line. It is not cleared.
template <class T> class aligned_array {
 public:
  aligned_array() = default;
  explicit aligned_array(std::int64_t n)
      : data_(static_cast<T*>(
            ::operator new(static_cast<std::size_t>(n) * sizeof(T) + 64, std::align_val_t{64}))),
        size_(n) {}
  aligned_array(aligned_array&& o) noexcept : data_(o.data_), size_(o.size_) {
    o.data_ = nullptr, o.size_ = 0;
  }
  aligned_array& operator=(aligned_array&& o) noexcept {
    std::swap(data_, o.data_), std::swap(size_, o.size_);
    return *this;
  }
  ~aligned_array() { ::operator delete(data_, std::align_val_t{64}); }
  T* data() const { return data_; }
  std::int64_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// At least n elements of scratch memory of this thread; what an earlier call left is lost.
/// \tparam Use keeps scratch of different uses apart.
template <class T, int Use> T* scratch(std::int64_t n) {
  thread_local aligned_array<T> memory;
  if (memory.size() < n) memory = aligned_array<T>(n + n / 2);
  return memory.data();
}

/// C = A B or C += A B with this thread's scratch memory.
template <class S>
void product(hence::view<const S, 2> a, hence::view<const S, 2> b, hence::view<S, 2> c,
             hence::update u) {
  using gemm = typename engine<S>::gemm;
  gemm{}(a, b, c, u, scratch<S, 0>(gemm::scratch_floats + 1));
}

}  // namespace lm
