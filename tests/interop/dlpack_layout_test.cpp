#include <hence/interop/dlpack_layout.hpp>
#include <hence/interop/dlpack_lend.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <utility>

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
  CHECK(offsetof(DLTensor, device) == offsetof(dlpack::tensor, device));
  CHECK(offsetof(DLTensor, dtype) == offsetof(dlpack::tensor, dtype));
  CHECK(offsetof(DLTensor, shape) == offsetof(dlpack::tensor, shape));
  CHECK(offsetof(DLTensor, strides) == offsetof(dlpack::tensor, strides));
  CHECK(offsetof(DLTensor, byte_offset) == offsetof(dlpack::tensor, byte_offset));
  CHECK(offsetof(DLManagedTensor, deleter) == offsetof(dlpack::managed_tensor, deleter));
  CHECK(int(kDLCPU) == dlpack::device_cpu);
  CHECK(int(kDLCUDA) == dlpack::device_cuda);
  CHECK(int(kDLCUDAHost) == dlpack::device_cuda_host);
  CHECK(int(kDLROCM) == dlpack::device_rocm);
  CHECK(int(kDLROCMHost) == dlpack::device_rocm_host);
  CHECK(int(kDLCUDAManaged) == dlpack::device_cuda_managed);
  CHECK(int(kDLInt) == dlpack::type_of<int>().code);
  CHECK(int(kDLUInt) == dlpack::type_of<unsigned>().code);
  CHECK(int(kDLFloat) == dlpack::type_of<float>().code);
  CHECK(int(kDLBfloat) == dlpack::code_bfloat);
}

namespace {

/// A 2 x 2 tensor of the struct that the header declares; its deleter counts.
template <class Managed> Managed made(float* data, std::int64_t* shape, int& deleted) {
  Managed m{};
  m.dl_tensor = {data, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 0};
  m.manager_ctx = &deleted;
  m.deleter = [](Managed* p) { ++*static_cast<int*>(p->manager_ctx); };
  return m;
}

/// Takes it, lends it on, reads that as the header's struct, gives both back.
template <class Managed, class Own> void there_and_back(Managed m, int& deleted) {
  Own* back = nullptr;
  {
    auto taken = dlpack::take<float, 2>(&m, "x", dlpack::on_host);
    const hence::view<float, 2> v = taken;
    v(1, 0) = 7;
    back = dlpack::lend<Own>(v, std::move(taken));
  }
  CHECK(deleted == 0);
  auto* const theirs = reinterpret_cast<Managed*>(back);
  CHECK(static_cast<float*>(theirs->dl_tensor.data)[theirs->dl_tensor.strides[0]] == 7);
  CHECK(theirs->dl_tensor.device.device_type == kDLCPU);
  CHECK(theirs->dl_tensor.dtype.code == kDLFloat);
  // called by its own type, as the undefined behaviour sanitizer demands within one program
  CHECK(reinterpret_cast<void*>(theirs->deleter) == reinterpret_cast<void*>(back->deleter));
  back->deleter(back);
  CHECK(deleted == 1);
}

}  // namespace

TEST_CASE("the unversioned struct of dlpack.h, there and back") {
  float data[4] = {};
  std::int64_t shape[2] = {2, 2};
  int deleted = 0;
  there_and_back<DLManagedTensor, dlpack::managed_tensor>(
      made<DLManagedTensor>(data, shape, deleted), deleted);
  CHECK(data[2] == 7);
}
#endif

#if defined(DLPACK_MAJOR_VERSION)
TEST_CASE("the versioned struct of dlpack.h, there and back") {
  using theirs = DLManagedTensorVersioned;
  using ours = dlpack::managed_tensor_versioned;
  static_assert(DLPACK_MAJOR_VERSION == 1, "hence knows version 1");
  CHECK(sizeof(theirs) == sizeof(ours));
  CHECK(offsetof(theirs, manager_ctx) == offsetof(ours, manager_ctx));
  CHECK(offsetof(theirs, deleter) == offsetof(ours, deleter));
  CHECK(offsetof(theirs, flags) == offsetof(ours, flags));
  CHECK(offsetof(theirs, dl_tensor) == offsetof(ours, dl_tensor));
  CHECK(DLPACK_FLAG_BITMASK_READ_ONLY == std::uint64_t{dlpack::flag_read_only});
  CHECK(int(kDLBool) == dlpack::code_bool);
  float data[4] = {};
  std::int64_t shape[2] = {2, 2};
  int deleted = 0;
  auto m = made<theirs>(data, shape, deleted);
  m.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION};
  there_and_back<theirs, ours>(m, deleted);
  CHECK(data[2] == 7);
  m.flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  CHECK_THROWS((dlpack::take<float, 2>(&m, "x", dlpack::on_host)));
  m.flags = 0, m.version.major = 2;
  CHECK_THROWS((dlpack::take<float, 2>(&m, "x", dlpack::on_host)));
}
#endif
