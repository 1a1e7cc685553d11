// What a binding does between a Python array library and hence: C functions over the pointers that
// the capsules hold. The row sums of a [rows, columns] tensor, as a new tensor.
#include <hence/interop/dlpack.hpp>
#include <hence/interop/dlpack_lend.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

namespace dlpack = hence::dlpack;

template <class Managed> Managed* row_sums(Managed* m) try {
  const auto x = dlpack::take<const float, 2>(m, "x", dlpack::on_host);
  std::vector<float> sums;
  for (std::int64_t i = 0; i < x.get().extent[0]; ++i) {
    sums.push_back(0);
    for (std::int64_t j = 0; j < x.get().extent[1]; ++j) sums.back() += x.get()(i, j);
  }
  const hence::view<float> out(sums);
  return dlpack::lend<Managed>(out, std::move(sums));
} catch (const std::invalid_argument& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return nullptr;
}

extern "C" dlpack::managed_tensor* row_sums_of(dlpack::managed_tensor* m) { return row_sums(m); }
extern "C" dlpack::managed_tensor_versioned* row_sums_of_versioned(
    dlpack::managed_tensor_versioned* m) {
  return row_sums(m);
}
