#include <hence/interop/dlpack_layout.hpp>

#include <doctest/doctest.h>

#include <cstring>

#if __has_include(<dlpack/dlpack.h>)
#  include <dlpack/dlpack.h>
#endif

namespace dlpack = hence::dlpack;

// The 64-bit layout of the specification, byte by byte.
static_assert(sizeof(dlpack::pack_version) == 8);
static_assert(offsetof(dlpack::device, device_id) == 4);
static_assert(offsetof(dlpack::data_type, bits) == 1 && offsetof(dlpack::data_type, lanes) == 2);
static_assert(offsetof(dlpack::tensor, data) == 0 && offsetof(dlpack::tensor, device) == 8);
static_assert(offsetof(dlpack::tensor, ndim) == 16 && offsetof(dlpack::tensor, dtype) == 20);
static_assert(offsetof(dlpack::tensor, shape) == 24 && offsetof(dlpack::tensor, strides) == 32);
static_assert(offsetof(dlpack::tensor, byte_offset) == 40 && sizeof(dlpack::tensor) == 48);
static_assert(offsetof(dlpack::managed_tensor, manager_ctx) == 48);
static_assert(offsetof(dlpack::managed_tensor, deleter) == 56 &&
              sizeof(dlpack::managed_tensor) == 64);
static_assert(offsetof(dlpack::managed_tensor_versioned, manager_ctx) == 8);
static_assert(offsetof(dlpack::managed_tensor_versioned, deleter) == 16);
static_assert(offsetof(dlpack::managed_tensor_versioned, flags) == 24);
static_assert(offsetof(dlpack::managed_tensor_versioned, dl_tensor) == 32);
static_assert(sizeof(dlpack::managed_tensor_versioned) == 80);

TEST_CASE("types have the codes of the specification") {
  const auto is = [](dlpack::data_type t, int code, int bits) {
    return t.code == code && t.bits == bits && t.lanes == 1;
  };
  CHECK(is(dlpack::type_of<std::int8_t>(), 0, 8));
  CHECK(is(dlpack::type_of<std::int64_t>(), 0, 64));
  CHECK(is(dlpack::type_of<std::uint8_t>(), 1, 8));
  CHECK(is(dlpack::type_of<std::uint32_t>(), 1, 32));
  CHECK(is(dlpack::type_of<hence::f16>(), 2, 16));
  CHECK(is(dlpack::type_of<const float>(), 2, 32));
  CHECK(is(dlpack::type_of<double>(), 2, 64));
  CHECK(is(dlpack::type_of<hence::bf16>(), 4, 16));
  CHECK(is(dlpack::type_of<bool>(), 6, 8));
}

#if defined(DLPACK_VERSION) || defined(DLPACK_MAJOR_VERSION)
TEST_CASE("the layout is that of the system's dlpack.h") {
  CHECK(sizeof(DLTensor) == sizeof(dlpack::tensor));
  CHECK(sizeof(DLManagedTensor) == sizeof(dlpack::managed_tensor));
  CHECK(offsetof(DLTensor, shape) == offsetof(dlpack::tensor, shape));
  CHECK(offsetof(DLTensor, byte_offset) == offsetof(dlpack::tensor, byte_offset));
  CHECK(int(kDLCUDA) == dlpack::device_cuda);
  CHECK(int(kDLCUDAManaged) == dlpack::device_cuda_managed);
  CHECK(int(kDLBfloat) == dlpack::code_bfloat);
}
#endif
