# The stand-in for cuBLASLt against known answers, and its faults: each turns the run red with its own words.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DCUDART= -DARCHS= -DSOURCE= -DWORK= -DFLAGS= -P cublaslt.cmake
cmake_minimum_required(VERSION 3.25)
set(FAULTS
    "unwritten_row=uninitialised: element [0-9]+, 11 of A"
    "short_stride=CUBLAS_STATUS_INVALID_VALUE"
    "tile_over_end=A: 768 bytes out of bounds"
    "unwritten_sum=uninitialised: element 0, 0 of C"
    "misaligned=misaligned: B"
    "in_place=D overlaps B"
    "other_algorithm=cublasLtMatmul: CUBLAS_STATUS_INVALID_VALUE"
    "workspace_too_small=cublasLtMatmul: CUBLAS_STATUS_INVALID_VALUE"
    "workspace_over_end=workspace: 4096 bytes out of bounds"
    "workspace_is_read=workspace overlaps B"
    "workspace_is_kept=unwritten output"
    "other_epilogue=the stand-in lacks cuBLASLt's epilogue 32")
set(ONLY_COMPILE ON)
include("${CMAKE_CURRENT_LIST_DIR}/program.cmake")
run(${ARCHS} 0)
message(STATUS "${text}")
if(NOT result EQUAL 0)
  message(FATAL_ERROR "known answers are missed")
endif()
foreach(fault IN LISTS FAULTS)
  string(REGEX MATCH "^[a-z_]+" name "${fault}")
  string(REGEX REPLACE "^[a-z_]+=" "" words "${fault}")
  run(${ARCHS} 0 ${name})
  if(result EQUAL 0 OR NOT text MATCHES "${words}")
    message(FATAL_ERROR "${name}: not found by `${words}`\n${text}")
  endif()
endforeach()
run(${ARCHS} 0 right right)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "without a fault it fails\n${text}")
endif()
message(STATUS "every fault was found")
