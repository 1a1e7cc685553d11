// What one draw gives back, for the tests of the sampler.
#pragma once

#include <hence/logits/sample.hpp>

#include <cstring>
#include <vector>

namespace drawing {

using namespace hence;

struct drawn {
  std::vector<std::uint8_t> kept;
  std::int64_t token = -7;
  float logp = -7, full = -7;
  status found = status::ok;
  bool operator==(const drawn& o) const {
    return kept == o.kept && token == o.token && std::memcmp(&logp, &o.logp, 4) == 0 &&
           std::memcmp(&full, &o.full, 4) == 0 && found == o.found;
  }
};

/// One row by `u`, with all that a call gives back.
template <class Executor, class T>
drawn run(const Executor& executor, const sample_rule& rule, const std::vector<T>& x, float u) {
  drawn d;
  const auto columns = static_cast<std::int64_t>(x.size());
  d.kept.assign(x.size(), 77);
  // what was in the memory before is no index
  std::vector<std::byte> memory(static_cast<std::size_t>(sample_bytes(columns)), std::byte{0x5a});
  d.found = sample(executor, rule, view<const T, 2>(x.data(), 1, columns), view<const float>(&u, 1),
                   {.token = view<std::int64_t>(&d.token, 1),
                    .logp = view<float>(&d.logp, 1),
                    .logp_full = view<float>(&d.full, 1),
                    .kept = view<std::uint8_t, 2>(d.kept.data(), 1, columns)},
                   memory);
  return d;
}

}  // namespace drawing
