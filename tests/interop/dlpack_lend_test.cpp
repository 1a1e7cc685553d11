#include <hence/interop/dlpack_lend.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <vector>

namespace dlpack = hence::dlpack;

TEST_CASE("a lent tensor keeps its memory until its consumer is done") {
  auto alive = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  const std::weak_ptr<std::vector<float>> watch = alive;
  const hence::view<float, 2> v(alive->data(), 2, 2, 3);  // two of three columns
  auto* const m = dlpack::lend(v, std::move(alive));
  CHECK(m->version.major == 1);
  CHECK(m->flags == 0);
  CHECK(m->dl_tensor.ndim == 2);
  CHECK(m->dl_tensor.shape[1] == 2);
  CHECK(m->dl_tensor.strides[0] == 3);
  CHECK(m->dl_tensor.dtype.code == 2);
  CHECK(m->dl_tensor.device.device_type == 1);
  {
    const auto back = dlpack::take<float, 2>(m, "x", dlpack::on_host);
    CHECK(back.get()(1, 1) == 5);
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
}

TEST_CASE("constants are read-only, device memory says so, old consumers get the old struct") {
  const std::vector<std::int64_t> ids{1, 2, 3};
  auto* const m = dlpack::lend(hence::view<const std::int64_t>(ids));
  CHECK(m->flags == dlpack::flag_read_only);
  CHECK_THROWS(dlpack::take<std::int64_t>(m, "ids", dlpack::on_host));
  const auto back = dlpack::take<const std::int64_t>(m, "ids", dlpack::on_host);
  CHECK(back.get()[2] == 3);

  std::vector<float> x{1, 2};
  auto* const old =
      dlpack::lend<dlpack::managed_tensor>(hence::view<float>(x), 0, {dlpack::device_cuda, 1});
  CHECK(old->dl_tensor.device.device_id == 1);
  CHECK_THROWS(dlpack::take<float>(old, "x", dlpack::on_host));
  dlpack::take<float>(old, "x", dlpack::on_cuda(1)).reset();

  std::vector<float> moved{4, 5};
  const hence::view<float> v(moved);
  auto* const owner = dlpack::lend(v, std::move(moved));
  const auto again = dlpack::take<float>(owner, "x", dlpack::on_host);
  CHECK(again.get()[1] == 5);
}
