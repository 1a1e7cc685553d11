// expect: ^hence: an unversioned DLPack tensor cannot be read-only
// A consumer before version 1 could not be told that it must not write.
#include <hence/interop/dlpack_lend.hpp>

hence::dlpack::managed_tensor* lend(hence::view<float> v) {
#ifdef FIXED
  return hence::dlpack::lend<hence::dlpack::managed_tensor>(v);
#else
  return hence::dlpack::lend<hence::dlpack::managed_tensor>(hence::view<const float>(v));
#endif
}
