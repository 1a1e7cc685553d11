#include "grid.hpp"

#include "block.hpp"

#include <deque>
#include <memory>
#include <numeric>

namespace ptx {

void run(launch& l) {
  l.parameter_memory.reset(l.parameters.size());
  l.parameter_memory.written.assign(l.parameters.size(), 1);
  if (l.threads.count() > static_cast<std::size_t>(l.runs->max_threads))
    throw finding("a block of " + std::to_string(l.threads.count()) + " threads, " + l.runs->name +
                  " was compiled for " + std::to_string(l.runs->max_threads));
  std::vector<std::size_t> waiting(l.blocks.count());
  std::iota(waiting.begin(), waiting.end(), std::size_t{0});
  if (l.order.is_random())
    for (std::size_t k = waiting.size(); k > 1; --k)
      std::swap(waiting[k - 1], waiting[l.order.choose(k)]);
  else if (l.order.choose(2) == 0)
    std::reverse(waiting.begin(), waiting.end());  // the last is taken first

  if (l.counted != nullptr) ++l.counted->launches, l.counted->visits.resize(l.runs->code.size());
  constexpr std::uint64_t turn = 100000;
  std::deque<std::unique_ptr<block>> running;
  std::unique_ptr<block> spare;
  while (!waiting.empty() || !running.empty()) {
    if (!waiting.empty()) {
      running.push_back(spare ? std::move(spare) : std::make_unique<block>());
      running.back()->begin(l, waiting.back());
      waiting.pop_back();
    }
    // One turn each. As long as no block needs a second one, there is only one.
    for (std::size_t k = 0; k < running.size();) {
      if (running[k]->run(turn)) {
        spare = std::move(running[k]);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(k));
      } else {
        ++k;
      }
    }
  }
}

}  // namespace ptx
