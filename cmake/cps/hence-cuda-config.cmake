# What the component cuda of share/cps/hence/hence-cuda.cps is made of: CPS itself has no flag for nvcc alone and no Find
# module. CMake also asks for it in a find_package(hence) without components: then nothing of CUDA is looked for.
if(NOT TARGET hence-cuda::cuda)
  add_library(hence-cuda::cuda INTERFACE IMPORTED)
  target_compile_options(hence-cuda::cuda
                         INTERFACE "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:-std=c++20>")
endif()
if("cuda" IN_LIST hence_FIND_COMPONENTS)
  find_package(CUDAToolkit QUIET)
  set_property(TARGET hence-cuda::cuda PROPERTY INTERFACE_LINK_LIBRARIES CUDA::toolkit)
endif()
