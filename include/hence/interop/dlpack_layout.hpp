/// \file
/// The memory layout of DLPack, the tensor that array libraries hand each other: its unversioned
/// structs and those of version 1. Written down from the public specification
/// (dmlc.github.io/dlpack), with its member names, so that code which takes these takes the structs
/// of <dlpack/dlpack.h> as well.
#pragma once

#include <hence/core/storage.hpp>

#include <cstddef>      // offsetof
#include <cstdint>      // int64_t
#include <type_traits>  // is_integral_v

namespace hence::inline v0::dlpack {

/// DLPackVersion: a new major version may change every other struct, a new minor one adds values.
struct pack_version {
  std::uint32_t major, minor;
};

/// DLDevice: the kind of memory and the number of the device.
struct device {
  std::int32_t device_type, device_id;  ///< the kind, and the number among its kind
};
/// Kinds of memory that hence knows (DLDeviceType).
enum : std::int32_t {
  device_cpu = 1,
  device_cuda = 2,
  device_cuda_host = 3,  ///< pinned by the CUDA runtime
  device_rocm = 10,
  device_rocm_host = 11,
  device_cuda_managed = 13,
};

/// DLDataType: the kind of number, its bits, and how many of them an element has.
struct data_type {
  std::uint8_t code, bits;  ///< the kind, and the bits of one number
  std::uint16_t lanes;      ///< numbers in an element: 1 but for vectors
};
/// Kinds of numbers that hence knows (DLDataTypeCode).
enum : std::uint8_t {
  code_int = 0,
  code_uint = 1,
  code_float = 2,
  code_bfloat = 4,
  code_bool = 6,
};

/// DLTensor: borrowed memory.
struct tensor {
  void* data;                 ///< where `byte_offset` counts from
  dlpack::device device;      ///< where the memory is
  std::int32_t ndim;          ///< dimensions
  data_type dtype;            ///< of the elements
  std::int64_t* shape;        ///< `[ndim]`
  std::int64_t* strides;      ///< `[ndim]`, in elements; null: compact and row-major
  std::uint64_t byte_offset;  ///< of the first element behind `data`
};

/// DLManagedTensor: the capsule "dltensor".
struct managed_tensor {
  tensor dl_tensor;                       ///< the memory
  void* manager_ctx;                      ///< the producer's, for its deleter
  void (*deleter)(managed_tensor* self);  ///< may be null
};

/// DLManagedTensorVersioned: the capsule "dltensor_versioned".
struct managed_tensor_versioned {
  pack_version version;                             ///< comes first in every version
  void* manager_ctx;                                ///< the producer's, for its deleter
  void (*deleter)(managed_tensor_versioned* self);  ///< may be null
  std::uint64_t flags;                              ///< bits, see below
  tensor dl_tensor;                                 ///< the memory
};
/// Bits of managed_tensor_versioned::flags.
enum : std::uint64_t {
  flag_read_only = 1,
  flag_is_copied = 2,
  flag_subbyte_padded = 4,
};

static_assert(sizeof(device) == 8 && sizeof(data_type) == 4);
static_assert(sizeof(void*) != 8 || (sizeof(tensor) == 48 && offsetof(tensor, shape) == 24));
static_assert(sizeof(void*) != 8 || offsetof(managed_tensor_versioned, dl_tensor) == 32);

/// The DLPack type of elements of T: bool, integers, float, double, f16, bf16.
template <class T> constexpr data_type type_of() {
  using U = std::remove_const_t<T>;
  constexpr auto bits = static_cast<std::uint8_t>(8 * sizeof(U));
  if constexpr (std::is_same_v<U, bool>) {
    return {code_bool, bits, 1};
  } else if constexpr (std::is_same_v<U, bf16>) {
    return {code_bfloat, bits, 1};
  } else if constexpr (std::is_same_v<U, f16> || std::is_same_v<U, float> ||
                       std::is_same_v<U, double>) {
    return {code_float, bits, 1};
  } else {
    static_assert(std::is_integral_v<U>,
                  "hence: DLPack tensors hold bool, integers, float, double, f16 or bf16");
    return {std::is_signed_v<U> ? code_int : code_uint, bits, 1};
  }
}

}  // namespace hence::inline v0::dlpack
