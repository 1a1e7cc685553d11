// What a CUDA test program needs: checks that count, arrays in device memory that watch themselves.
//
// Nothing here knows whether a GPU or the emulator runs the kernels.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

namespace test {

inline int failures = 0, checks = 0;

inline void check(bool ok, const std::string& what,
                  const std::source_location& at = std::source_location::current()) {
  ++checks;
  if (ok) return;
  if (++failures <= 20) std::printf("%s:%d: %s\n", at.file_name(), int(at.line()), what.c_str());
  if (std::getenv("HENCE_TEST_STOP") != nullptr) std::exit(1);  // at the first: for mutants
}
inline void check(cudaError_t e, const std::source_location& at = std::source_location::current()) {
  check(e == cudaSuccess, cudaGetErrorString(e), at);
  if (e != cudaSuccess) std::exit(1);
}

/// Whether a call throws `std::invalid_argument` with these words.
template <class F>
void refused(F&& f, const char* words,
             const std::source_location& at = std::source_location::current()) {
  try {
    f();
    check(false, std::string("not refused: ") + words, at);
  } catch (const std::invalid_argument& e) {
    check(std::string(e.what()).find(words) != std::string::npos, e.what(), at);
  }
}

/// The end of main: a program without checks fails as well.
inline int result() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return checks > 0 && failures == 0 ? 0 : 1;
}

/// Bytes as they must still be at the end.
template <class T> class input {
 public:
  explicit input(const std::vector<T>& values) : values_(values) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), bytes() + (bytes() == 0)));
    check(cudaMemcpy(data_, values_.data(), bytes(), cudaMemcpyHostToDevice));
  }
  input(const input&) = delete;
  input& operator=(const input&) = delete;
  ~input() {
    std::vector<T> now(values_.size());
    check(cudaMemcpy(now.data(), data_, bytes(), cudaMemcpyDeviceToHost));
    check(bytes() == 0 || std::memcmp(now.data(), values_.data(), bytes()) == 0,
          "a kernel wrote to its input");
    cudaFree(data_);
  }
  const T* get() const { return data_; }
  std::size_t size() const { return values_.size(); }

 private:
  std::size_t bytes() const { return values_.size() * sizeof(T); }
  std::vector<T> values_;
  T* data_ = nullptr;
};

/// An array to be written, between guards. A value that nothing wrote shows as such: on the
/// emulator by itself, on a GPU as a pattern.
template <class T> class output {
 public:
  explicit output(std::size_t n) : size_(n) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T) + 2 * guard));
    check(cudaMemset(data_, pattern, guard));
    check(cudaMemset(data_ + guard + n * sizeof(T), pattern, guard));
  }
  output(const output&) = delete;
  output& operator=(const output&) = delete;
  ~output() {
    for (const std::size_t at : {std::size_t{0}, guard + size_ * sizeof(T)}) {
      unsigned char now[guard];
      check(cudaMemcpy(now, data_ + at, guard, cudaMemcpyDeviceToHost));
      for (const unsigned char c : now)
        if (c != pattern) {
          check(false, "damaged guard bytes");
          break;
        }
    }
    cudaFree(data_);
  }
  T* get() const { return reinterpret_cast<T*>(data_ + guard); }
  std::vector<T> read() const {
    std::vector<T> out(size_);
    check(cudaMemcpy(static_cast<void*>(out.data()), get(), size_ * sizeof(T),
                     cudaMemcpyDeviceToHost));
    return out;
  }

 private:
  static constexpr std::size_t guard = 256;
  static constexpr unsigned char pattern =
      0xbd;  // a small number in every format: what is added shows
  std::size_t size_;
  unsigned char* data_ = nullptr;
};

/// Calls f while the stream is captured, so that an allocation or a synchronisation in it fails;
/// then does what was captured. Returns how many kernels that was.
template <class F> int captured(cudaStream_t stream, F&& f) {
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  f();
  check(cudaStreamEndCapture(stream, &graph));
  std::size_t count = 0;
  check(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  check(cudaGraphGetNodes(graph, nodes.data(), &count));
  int kernels = 0;
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type;
    check(cudaGraphNodeGetType(node, &type));
    kernels += type == cudaGraphNodeTypeKernel;
  }
  check(cudaGraphInstantiate(&ready, graph, 0));
  check(cudaGraphLaunch(ready, stream));
  check(cudaStreamSynchronize(stream));
  check(cudaGraphExecDestroy(ready));
  check(cudaGraphDestroy(graph));
  return kernels;
}

}  // namespace test
