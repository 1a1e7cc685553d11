/// \file
/// All parameters in one flat array, by name: the optimizer sees one vector, a checkpoint sees
/// tensors.
#pragma once

#include "engine.hpp"

#include <hence/core/view.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace lm {

/// One parameter's place.
struct parameter {
  std::string name;                 ///< as in Hugging Face's Llama
  std::vector<std::int64_t> shape;  ///< a matrix is [out, in]
  std::int64_t first = 0, size = 0;
};

/// Which parameters there are and where they lie. Those added one after the other lie side by side,
/// so that q, k and v, or gate and up, are one matrix for the product.
class arena_layout {
 public:
  /// \return the index of its first element.
  std::int64_t add(const std::string& name, std::vector<std::int64_t> shape) {
    std::int64_t size = 1;
    for (const std::int64_t n : shape) size *= n;
    parameters_.push_back({name, std::move(shape), size_, size});
    size_ += size;
    return parameters_.back().first;
  }
  std::int64_t size() const { return size_; }
  const std::vector<parameter>& parameters() const { return parameters_; }
  /// Throws std::invalid_argument if there is none of this name.
  const parameter& find(const std::string& name) const {
    const auto it = std::find_if(parameters_.begin(), parameters_.end(),
                                 [&](const parameter& p) { return p.name == name; });
    if (it == parameters_.end())
      throw std::invalid_argument("model: there is no parameter " + name);
    return *it;
  }

 private:
  std::vector<parameter> parameters_;
  std::int64_t size_ = 0;
};

}  // namespace lm
