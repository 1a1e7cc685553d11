#include <hence/interop/dlpack.hpp>
#include <hence/policy.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace {

namespace dlpack = hence::dlpack;

/// A producer's tensor [2, 3], whose deleter counts.
template <class Managed> struct producer {
  std::vector<float> data{1, 2, 3, 4, 5, 6};
  std::int64_t shape[2] = {2, 3}, strides[2] = {3, 1};
  int deleted = 0;
  Managed managed{};

  producer() {
    managed.dl_tensor = {data.data(), {1, 0}, 2, {2, 32, 1}, shape, nullptr, 0};
    managed.manager_ctx = this;
    managed.deleter = [](Managed* m) { ++static_cast<producer*>(m->manager_ctx)->deleted; };
    if constexpr (requires { managed.version; }) managed.version = {1, 3};
  }
};
using old_producer = producer<dlpack::managed_tensor>;
using new_producer = producer<dlpack::managed_tensor_versioned>;

template <class T, int Rank, class Managed>
std::string refusal(Managed& m, dlpack::place where = dlpack::on_host) {
  try {
    auto taken = dlpack::take<T, Rank>(&m, "logp", where);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

/// The structs of dlpack.h have other names and an enum as device type: the same members do.
enum other_device_type : int { other_cpu = 1 };
struct other_tensor {
  void* data;
  struct {
    other_device_type device_type;
    int device_id;
  } device;
  int ndim;
  struct {
    unsigned char code, bits;
    unsigned short lanes;
  } dtype;
  std::int64_t *shape, *strides;
  std::uint64_t byte_offset;
};
struct other_managed {
  other_tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(other_managed*);
};

}  // namespace

TEST_CASE_TEMPLATE("a taken tensor is the producer's memory, its deleter runs once, after use", P,
                   old_producer, new_producer) {
  P p;
  {
    auto taken = dlpack::take<float, 2>(&p.managed, "logp", dlpack::on_host);
    const hence::view<float, 2> v = taken;
    CHECK(v.extent[0] == 2);
    CHECK(v.extent[1] == 3);
    CHECK(v(1, 2) == 6);
    v(0, 1) = 9;
    CHECK(p.data[1] == 9);
    const hence::view<const float, 2> c = taken;
    CHECK(c.data == p.data.data());
    CHECK(p.deleted == 0);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("moving moves the duty to delete") {
  old_producer p, q;
  auto a = dlpack::take<float, 2>(&p.managed, "logp", dlpack::on_host);
  auto b = std::move(a);
  CHECK_FALSE(a.get().present());
  a.reset();
  CHECK(p.deleted == 0);
  b = dlpack::take<float, 2>(&q.managed, "logp", dlpack::on_host);
  CHECK(p.deleted == 1);
  b.reset();
  b.reset();
  CHECK(q.deleted == 1);
  CHECK_FALSE(b.get().present());
  p.managed.deleter = nullptr;  // allowed: nothing to do
  dlpack::take<float, 2>(&p.managed, "logp", dlpack::on_host).reset();
  CHECK(p.deleted == 1);
  static_assert(!std::is_copy_constructible_v<dlpack::owned<float>>);
  // A view of a temporary would dangle.
  static_assert(std::is_constructible_v<hence::view<float>, dlpack::owned<float>&>);
  static_assert(!std::is_constructible_v<hence::view<float>, dlpack::owned<float>>);
  static_assert(!std::is_constructible_v<hence::view<float>, dlpack::owned<const float>&>);
}

TEST_CASE("strides, offsets and empty tensors") {
  old_producer p;
  p.managed.dl_tensor.strides = p.strides;
  p.strides[0] = 1, p.strides[1] = 2;  // [2, 3] transposed out of [3, 2]
  p.managed.dl_tensor.byte_offset = 0;
  auto v = dlpack::borrow<const float, 2>(p.managed.dl_tensor, "x", dlpack::on_host);
  CHECK(v(1, 0) == 2);
  CHECK(v(0, 2) == 5);
  p.managed.dl_tensor.strides = nullptr;
  p.managed.dl_tensor.byte_offset = 4;
  p.shape[1] = 2;
  v = dlpack::borrow<const float, 2>(p.managed.dl_tensor, "x", dlpack::on_host);
  CHECK(v(0, 0) == 2);
  CHECK(v(1, 1) == 5);
  p.shape[0] = 0;
  p.managed.dl_tensor.data = nullptr;
  v = dlpack::borrow<const float, 2>(p.managed.dl_tensor, "x", dlpack::on_host);
  CHECK(v.extent[0] == 0);
  CHECK(v.given());
}

TEST_CASE("what does not fit is refused, and stays the caller's") {
  new_producer p;
  CHECK(refusal<double, 2>(p.managed) ==
        "hence: logp is a DLPack tensor of float32, expected float64");
  CHECK(refusal<std::int64_t, 2>(p.managed) ==
        "hence: logp is a DLPack tensor of float32, expected int64");
  CHECK(refusal<float, 1>(p.managed) == "hence: logp has 2 dimensions, expected 1");
  CHECK(refusal<float, 2>(p.managed, dlpack::on_cuda(1)) ==
        "hence: logp is on cpu, expected cuda:1");
  p.managed.dl_tensor.device = {dlpack::device_cuda, 3};
  CHECK(refusal<float, 2>(p.managed) ==
        "hence: logp is on cuda:3, expected memory that the CPU reads");
  CHECK(refusal<float, 2>(p.managed, dlpack::on_cuda(1)) ==
        "hence: logp is on cuda:3, expected cuda:1");
  CHECK(refusal<float, 2>(p.managed, dlpack::on_cuda(3)) == "");
  p.managed.dl_tensor.device = {8, 0};
  CHECK(refusal<float, 2>(p.managed) ==
        "hence: logp is on device type 8:0, expected memory that the CPU reads");
  CHECK(p.deleted == 1);  // by the one that was taken

  new_producer q;
  q.managed.flags = dlpack::flag_read_only;
  CHECK(refusal<float, 2>(q.managed) == "hence: logp is read-only, expected a writable tensor");
  q.shape[1] = -3;
  CHECK(refusal<const float, 2>(q.managed) ==
        "hence: logp has extent -3 in dimension 1, expected none below 0");
  q.shape[1] = 2;
  q.managed.dl_tensor.byte_offset = 2;
  CHECK(refusal<const float, 2>(q.managed) ==
        "hence: logp is misaligned, expected an address that is a multiple of 4");
  q.managed.dl_tensor.byte_offset = 0;
  q.managed.dl_tensor.dtype = {4, 16, 2};
  CHECK(refusal<const hence::bf16, 2>(q.managed) ==
        "hence: logp is a DLPack tensor of bfloat16 x 2, expected bfloat16");
  q.managed.dl_tensor.dtype = {10, 8, 1};
  CHECK(refusal<const std::uint8_t, 2>(q.managed) ==
        "hence: logp is a DLPack tensor of type code 10 of 8, expected uint8");
  q.managed.dl_tensor.data = nullptr;
  q.managed.dl_tensor.dtype = {2, 32, 1};
  CHECK(refusal<const float, 2>(q.managed) ==
        "hence: logp has elements at a null pointer, expected an address that is a multiple of 4");
  q.managed.version.major = 2;  // nothing after the version and the deleter may be read
  q.managed.dl_tensor.ndim = -1;
  CHECK(refusal<const float, 2>(q.managed) == "hence: logp is of DLPack version 2, expected 1");
  CHECK(q.deleted == 0);
  CHECK_THROWS_WITH_AS(
      (dlpack::take<float>(static_cast<dlpack::managed_tensor*>(nullptr), "logp", dlpack::on_host)),
      "hence: logp is a null pointer, expected a DLPack tensor", std::invalid_argument);
}

TEST_CASE("pinned and managed memory is read by the CPU, bool masks are bytes") {
  old_producer p;
  for (const std::int32_t type : {1, 3, 11, 13}) {
    p.managed.dl_tensor.device = {type, 0};
    CHECK(refusal<float, 2>(p.managed) == "");
  }
  p.managed.dl_tensor.device = {13, 0};
  CHECK(refusal<float, 2>(p.managed, dlpack::on_cuda(1)) == "");
  p.managed.dl_tensor.device = {3, 0};
  CHECK(refusal<float, 2>(p.managed, dlpack::on_cuda(0)) != "");

  std::uint8_t mask[6] = {1, 0, 1, 1, 1, 0};
  p.managed.dl_tensor = {mask, {1, 0}, 2, {6, 8, 1}, p.shape, nullptr, 0};
  CHECK(refusal<const std::uint8_t, 2>(p.managed) == "");
  CHECK(refusal<std::uint8_t, 2>(p.managed) != "");  // writing bytes into a bool is not
  CHECK(refusal<bool, 2>(p.managed) == "");
}

TEST_CASE("a loss on lent tensors, of structs with dlpack.h's members") {
  float logp[6] = {-1, -1, -1, -1, -1, -1}, advantages[2] = {1, -1}, gradient[6];
  std::int64_t shape[2] = {2, 3};
  int deleted = 0;
  const auto lent = [&](float* data, int ndim) {
    return other_managed{{data, {other_cpu, 0}, ndim, {2, 32, 1}, shape, nullptr, 0},
                         &deleted,
                         [](other_managed* m) { ++*static_cast<int*>(m->manager_ctx); }};
  };
  auto a = lent(logp, 2), b = lent(advantages, 1), c = lent(gradient, 2);
  {
    const auto taken = dlpack::take<const float, 2>(&a, "logp", dlpack::on_host);
    const auto advantage = dlpack::take<const float>(&b, "advantages", dlpack::on_host);
    const auto out = dlpack::take<float, 2>(&c, "gradient", dlpack::on_host);
    const auto result = hence::loss_and_gradient(hence::cpu{}, hence::recipe::dapo(),
                                                 hence::padded{.rows = 2, .width = 3},
                                                 {.logp = {taken.get(), {.temperature = 1.0}},
                                                  .old = {taken.get(), {.temperature = 1.0}},
                                                  .advantages = advantage},
                                                 hence::over_this_call, out.get());
    CHECK(result.loss() == 0);
  }
  CHECK(gradient[0] == doctest::Approx(-1.0 / 6));
  CHECK(gradient[5] == doctest::Approx(1.0 / 6));
  CHECK(deleted == 3);
}
