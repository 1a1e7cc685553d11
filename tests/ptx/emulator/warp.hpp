// 32 lanes that run a kernel: together where they agree, in groups where a branch parts them.
//
// A group is the lanes at one instruction. The group at the lowest instruction goes first (or any,
// by the schedule), so that groups meet again where the branches join. Instructions that name lanes
// or all threads hold a group back until those are at the same instruction.
#pragma once

#include "clock.hpp"
#include "copies.hpp"
#include "counts.hpp"
#include "finding.hpp"
#include "kernel.hpp"
#include "memory.hpp"

namespace ptx {

class block;

class warp {
 public:
  enum class state { ready, at_barrier, done };

  /// \param threads how many of the 32 lanes exist.
  void begin(block& in, const kernel& k, std::size_t index, int threads);

  /// Runs at most `budget` instructions.
  state run(std::uint64_t budget);
  /// The barrier that it waits at.
  const instruction& barrier() const { return kernel_->code[barrier_at_]; }
  /// Lets it pass that barrier.
  void pass_barrier();
  bool is_done() const { return alive_ == 0; }
  bool is_at_barrier() const { return at_barrier_; }

  lanes& operator[](std::uint32_t reg) { return registers_[reg]; }
  /// CC.CF, one lane a bit.
  mask& carry() { return carry_; }
  block& in() { return *block_; }
  std::size_t index() const { return index_; }
  warp_clock& clock() { return clock_; }
  copies& in_flight() { return copies_; }
  mask alive() const { return alive_; }
  mask present() const { return present_; }
  std::uint64_t executed() const { return executed_; }

  /// Counts an access if anybody wants to know.
  void count(const instruction& i, const request& r, bool is_shared, bool writes);
  bool is_counted() const { return counted_ != nullptr; }

  /// Where `size` bytes at an address lie; ends the launch if they lie outside or misaligned.
  place find(const instruction& i, int lane, std::uint64_t address, std::size_t size, bool writes) {
    return find(i, i.where, lane, address, size, writes);
  }
  /// The same in a space that is not the instruction's.
  place find(const instruction& i, space where, int lane, std::uint64_t address, std::size_t size,
             bool writes) {
    if (where == space::global && last_ != nullptr) {  // most often where the last access was
      const std::uint64_t at = address - last_->begin;
      if (at < last_->size && last_->size - at >= size && address % size == 0 &&
          !(writes && last_->read_only))
        return {last_->data.data() + at, &last_->memory, at};
    }
    return look_for(i, where, lane, address, size, writes);
  }
  [[noreturn]] void fail(const instruction& i, int lane, const std::string& what) const;

 private:
  struct group {
    std::uint32_t at;
    mask set;
    bool waits;
  };

  place look_for(const instruction& i, space where, int lane, std::uint64_t address,
                 std::size_t size, bool writes);
  void set_specials();
  mask guarded(const instruction& i, mask set);
  void step(group& g);
  void branch(group& g, const instruction& i, mask taken, std::uint32_t target);
  void jump(group& g, const instruction& i, mask set);
  void leave(group& g, mask set);
  void meet_warp(group& g, const instruction& i, mask set);
  void meet_block(group& g, const instruction& i, mask set);
  void split(group& g, mask off, std::uint32_t to);
  bool choose();
  [[noreturn]] void stuck() const;

  block* block_ = nullptr;
  const kernel* kernel_ = nullptr;
  std::size_t index_ = 0;
  std::vector<lanes> registers_;
  std::vector<group> groups_;
  std::size_t current_ = 0;
  mask present_ = 0, alive_ = 0, carry_ = 0;
  bool at_barrier_ = false, mixed_ = false;  // mixed: groups changed, choose again
  std::uint32_t barrier_at_ = 0;
  warp_clock clock_;
  allocation* last_ = nullptr;
  std::uint64_t executed_ = 0;
  counts* counted_ = nullptr;
  ptx::step reads_, writes_;
  copies copies_;
};

}  // namespace ptx
