#include <hence/policy/aggregate.hpp>
#include <hence/policy/row_gather.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <vector>

namespace {

using hence::native_isa;
using hence::detail::block_scratch;
using hence::detail::row_data;
constexpr hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.25f},
                                  hence::kl::k3{0.125f}, hence::aggregate::token_mean{}};
using loss_t = std::remove_const_t<decltype(loss)>;
const float nan = std::numeric_limits<float>::quiet_NaN();

/// Seven positions, of which the mask says which are live; the others hold NaN.
struct seven {
  std::vector<std::uint8_t> mask;
  std::vector<float> logp, old, ref, gradient;

  explicit seven(std::vector<std::uint8_t> m) : mask(m), gradient(7, 99.0f) {
    for (int t = 0; t < 7; ++t) {
      const float x = mask[std::size_t(t)] ? static_cast<float>(t) : nan;
      logp.push_back(x), old.push_back(x + 0.5f), ref.push_back(x - 0.25f);
    }
  }
  row_data<float> row() {
    row_data<float> r{};
    r.logp = logp.data(), r.old = r.anchor = old.data(), r.ref = ref.data(),
    r.gradient = gradient.data();
    r.advantage = 2.0f, r.length = 7;
    r.mask.response = mask.data();
    return r;
  }
};

}  // namespace

TEST_CASE("live tokens are moved together, and the last pack is filled up with dead ones") {
  seven s({0, 1, 0, 1, 1, 0, 1});
  block_scratch scratch;
  CHECK(hence::detail::gather_live<native_isa, loss_t>(s.row(), 0, 7, scratch) == 4);
  const float expected[] = {1, 3, 4, 6};
  for (int i = 0; i < 4; ++i) {
    CHECK(scratch.logp[i] == expected[i]);
    CHECK(scratch.anchor[i] == expected[i] + 0.5f);
    CHECK(scratch.ref[i] == expected[i] - 0.25f);
    CHECK(scratch.advantage[i] == 2.0f);
    CHECK((scratch.policy_live[i] == 1.0f && scratch.kl_live[i] == 1.0f));
  }
  for (int i = 4; i % hence::pack<float>::lanes != 0; ++i)
    CHECK((scratch.policy_live[i] == 0.0f && scratch.kl_live[i] == 0.0f && scratch.logp[i] == 0));
  for (int i = 0; i < 4; ++i) scratch.gradient[i] = static_cast<float>(10 + i);
  hence::detail::scatter_gradient<native_isa>(s.row(), 0, 7, scratch);
  CHECK(s.gradient == std::vector<float>{0, 10, 0, 11, 12, 0, 13});
}

TEST_CASE("the dead tokens around a run of live ones are cut off, and their gradients are 0") {
  seven s({0, 0, 1, 1, 1, 0, 0});
  const auto run = hence::detail::trimmed<native_isa>(s.row(), 3);
  CHECK(run.length == 3);
  CHECK(run.mask.all_live());
  CHECK(
      (run.logp[0] == 2.0f && run.old[2] == 4.5f && run.anchor[0] == 2.5f && run.ref[1] == 2.75f));
  CHECK(run.gradient == s.gradient.data() + 2);
  CHECK(s.gradient == std::vector<float>{0, 0, 99, 99, 99, 0, 0});
}

TEST_CASE("the entropies' gradient is cut off with them") {
  seven s({0, 0, 1, 1, 1, 0, 0});
  std::vector<float> slopes(7, 99.0f);
  auto row = s.row();
  row.entropy = s.ref.data(), row.entropy_gradient = slopes.data();
  const auto run = hence::detail::trimmed<native_isa>(row, 3);
  CHECK(run.entropy == s.ref.data() + 2);
  CHECK(run.entropy_gradient == slopes.data() + 2);
  CHECK(slopes == std::vector<float>{0, 0, 99, 99, 99, 0, 0});
}

TEST_CASE("a row with a gap, or with roles, stays as it is") {
  seven gap({0, 1, 0, 1, 1, 1, 0});
  CHECK(hence::detail::trimmed<native_isa>(gap.row(), 4).length == 7);
  seven roles({0, 1, 1, 1, 1, 1, 0});
  auto row = roles.row();
  row.mask.kl = roles.mask.data();
  CHECK(hence::detail::trimmed<native_isa>(row, 5).length == 7);
  CHECK(gap.gradient == std::vector<float>(7, 99.0f));
  CHECK(roles.gradient == std::vector<float>(7, 99.0f));
}
