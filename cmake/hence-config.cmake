# find_package(hence)                          gives hence::hence, which needs nothing else
# find_package(hence COMPONENTS cuda)          gives hence::cuda too, and needs the CUDA toolkit
# find_package(hence OPTIONAL_COMPONENTS cuda) gives hence::cuda where there is a CUDA toolkit

unset(hence_NOT_FOUND_MESSAGE)
foreach(hence_component IN LISTS hence_FIND_COMPONENTS)
  set(hence_${hence_component}_FOUND FALSE)
  if(hence_component STREQUAL "cuda")
    find_package(CUDAToolkit QUIET)
    if(CUDAToolkit_FOUND)
      set(hence_cuda_FOUND TRUE)
    elseif(hence_FIND_REQUIRED_cuda)
      set(hence_FOUND FALSE)
      string(APPEND hence_NOT_FOUND_MESSAGE
             "hence: component \"cuda\" needs the CUDA toolkit, which was not found (CUDAToolkit_ROOT says where it is). "
      )
    endif()
  elseif(hence_FIND_REQUIRED_${hence_component})
    set(hence_FOUND FALSE)
    string(APPEND hence_NOT_FOUND_MESSAGE
           "hence: there is no component \"${hence_component}\"; the components are: cuda. ")
  endif()
endforeach()
unset(hence_component)

if(NOT DEFINED hence_FOUND OR hence_FOUND)
  include("${CMAKE_CURRENT_LIST_DIR}/hence-targets.cmake")
  if(hence_cuda_FOUND)
    include("${CMAKE_CURRENT_LIST_DIR}/hence-cuda-targets.cmake")
  endif()
endif()
