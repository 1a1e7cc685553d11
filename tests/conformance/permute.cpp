// The operation permute.

#include "operation.hpp"

#include <hence/moe/combine.hpp>
#include <hence/moe/permute.hpp>

#include <stdexcept>

namespace conformance {
namespace {

namespace moe = hence::moe;

template <class S> answer permute(const request& r) {
  const options o = r.options_of_case();
  o.expect({"experts", "align"});
  const tensor& t = r.input("indices");
  if (t.type != dtype::i32 || t.shape.size() != 2)
    throw std::invalid_argument("input indices is not I32 of the shape [T, k]");
  const auto ids = t.as<std::int32_t>();
  const std::int64_t tokens = t.shape[0], k = t.shape[1], experts = o.integer("experts");
  if (experts < 1 || experts > (1 << 20)) throw std::invalid_argument("experts is not in 1..2^20");
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(experts + 1)), aligned(offsets),
      order(ids.size()), position(ids.size()), aligned_position(ids.size());
  moe::permutation p;
  p.offsets = offsets;
  p.order = order;
  p.position = hence::view<std::int64_t, 2>(position.data(), tokens, k);
  p.aligned_offsets = aligned;
  p.aligned_position = hence::view<std::int64_t, 2>(aligned_position.data(), tokens, k);
  const std::int64_t rows = moe::permute(hence::view<const std::int32_t, 2>(ids.data(), tokens, k),
                                         experts, o.integer("align"), p);
  order.resize(static_cast<std::size_t>(rows));
  answer a{{"order", make_tensor({rows}, order)},
           {"offsets", make_tensor({experts + 1}, offsets)},
           {"aligned_offsets", make_tensor({experts + 1}, aligned)},
           {"position", make_tensor({tokens, k}, position)},
           {"aligned_position", make_tensor({tokens, k}, aligned_position)}};
  if (r.has("x")) {
    const tensor& x_tensor = r.input("x");
    if (x_tensor.shape.size() != 2)
      throw std::invalid_argument("input x is not of the shape [T, D]");
    const std::int64_t width = x_tensor.shape[1];
    const auto x = r.floats<S>("x", {tokens, width});
    std::vector<S> gathered(static_cast<std::size_t>(rows * width));
    const hence::view<S, 2> to(gathered.data(), rows, width);
    moe::gather(hence::reference<S>{}, hence::view<const S, 2>(x.data(), tokens, width), p.position,
                to);
    a.emplace("rows", make_tensor({rows, width}, gathered));
  }
  return a;
}

const operation registered("permute", [](const request& r) {
  return r.is_double() ? permute<double>(r) : permute<float>(r);
});

}  // namespace
}  // namespace conformance
