// Graphs: what a stream was asked to do, kept and done again. One stream is captured at a time.
#include "state.hpp"

using ptx::now;
using nodes = std::vector<ptx::graph_node>;

namespace {

template <class Handle> nodes& of(Handle h) { return *reinterpret_cast<nodes*>(h); }

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (s == nullptr || now().captured) return now().fail(cudaErrorStreamCaptureUnsupported);
  now().captured.emplace(s, nodes{});
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  if (!now().captures(s)) return now().fail(cudaErrorInvalidValue);
  *graph = reinterpret_cast<cudaGraph_t>(new nodes(std::move(now().captured->second)));
  now().captured.reset();
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  *status = now().captures(s) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* out, std::size_t* count) {
  nodes& all = of(graph);
  if (out != nullptr)
    for (std::size_t k = 0; k < all.size() && k < *count; ++k)
      out[k] = reinterpret_cast<cudaGraphNode_t>(&all[k]);
  *count = all.size();
  return cudaSuccess;
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  *type = reinterpret_cast<ptx::graph_node*>(node)->type;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  *out = reinterpret_cast<cudaGraphExec_t>(new nodes(of(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  for (const ptx::graph_node& node : of(graph))
    if (const cudaError_t e = node.run(); e != cudaSuccess) return e;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete &of(graph);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete &of(graph);
  return cudaSuccess;
}

}  // extern "C"
