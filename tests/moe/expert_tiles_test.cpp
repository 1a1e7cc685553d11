// How rows of experts are cut into parts, tiles and blocks; what comes after a tile.
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/expert_rows.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;
using ints = std::vector<std::int64_t>;
using rule = moe::expert_mlp<hence::gemm::ordered, moe::swiglu, moe::after_down>;
template <class Executor>
using job = hence::detail::expert_job<Executor, rule, moe::recomputed, float, float>;
using pooled = job<hence::cpu<hence::thread_pool>>;
using serial = job<hence::cpu<>>;

TEST_CASE("tiles: a part's rows, at most 512") {
  CHECK(pooled::tile_rows_of(0) == 0);
  CHECK(pooled::tile_rows_of(1) == 1);
  CHECK(pooled::tile_rows_of(64) == 64);    // one part
  CHECK(pooled::tile_rows_of(65) == 33);    // two, of 32 and 33
  CHECK(pooled::tile_rows_of(1024) == 65);  // 16
  CHECK(pooled::tile_rows_of(8159) == 510);
  CHECK(pooled::tile_rows_of(8191) == 512);
  CHECK(pooled::tile_rows_of(1 << 20) == 512);
  CHECK(serial::tile_rows_of(511) == 511);
  CHECK(serial::tile_rows_of(513) == 512);
  // every part fits, whatever the rows
  for (std::int64_t rows = 1; rows < 3000; ++rows) {
    const std::int64_t parts = pooled::parts_of(rows);
    for (std::int64_t p = 0; p < parts; ++p) {
      const std::int64_t n =
          hence::detail::part_begin(rows, p + 1, parts) - hence::detail::part_begin(rows, p, parts);
      CHECK((n <= pooled::tile_rows_of(rows) || pooled::tile_rows_of(rows) == 512));
    }
  }
  CHECK(serial::block_rows_of(511) == 511);
  CHECK(serial::block_rows_of(513) == 512);
  CHECK(pooled::block_rows_of(4095) == 4095);
  CHECK(pooled::block_rows_of(5000) == 4096);
}

TEST_CASE("the expert whose rows come after a row") {
  const ints first{2, 5, 9, 9, 20}, count{3, 0, 4, 0, 2};
  moe::expert_inputs<float> in;
  in.segments = {first, count};
  const hence::cpu<> executor;
  const rule mlp{};
  const moe::recomputed kept;
  const serial j{executor, mlp, in, kept};
  for (const std::int64_t row : {2, 3, 4}) CHECK(j.expert_after(0, row) == 0);
  CHECK(j.expert_after(0, 5) == 2);  // the empty one is passed over
  for (const std::int64_t row : {9, 12}) CHECK(j.expert_after(2, row) == 2);
  CHECK(j.expert_after(2, 13) == 4);
  CHECK(j.expert_after(4, 21) == 4);
  CHECK(j.expert_after(4, 22) == -1);
}

TEST_CASE("memory: of a tile going forward, of a block going backward") {
  // rows of 20 numbers lie 32 apart, of 64 numbers 80
  const auto floats = [](auto take) {
    hence::detail::carver c;
    take(c);
    return c.used() / 4;
  };
  const std::int64_t scratch = (hence::gemm::ordered::scratch_floats + 15) / 16 * 16;
  CHECK(floats([](auto& c) { serial::forward_memory(c, 7, 20, 0); }) == scratch + 2 * 7 * 32);
  CHECK(floats([](auto& c) { serial::forward_memory(c, 7, 20, 64); }) ==
        scratch + 2 * 7 * 32 + 7 * 80);
  CHECK(floats([](auto& c) { serial::block_memory(c, 7, 20, 0); }) == 3 * 7 * 32);
  CHECK(floats([](auto& c) { serial::block_memory(c, 7, 20, 64); }) == 3 * 7 * 32 + 2 * 7 * 80);
  using plain = moe::expert_mlp<hence::gemm::ordered, moe::silu, moe::after_down>;
  using single = hence::detail::expert_job<hence::cpu<>, plain, moe::recomputed, float, float>;
  CHECK(floats([](auto& c) { single::forward_memory(c, 7, 20, 0); }) == scratch + 7 * 32);
  CHECK(floats([](auto& c) { single::block_memory(c, 7, 20, 0); }) == 2 * 7 * 32);
}

}  // namespace
