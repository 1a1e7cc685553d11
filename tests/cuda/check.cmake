# Compiles SOURCE for the oldest and the newest architecture, or for those of ARCHITECTURES (separated by
# commas), and judges what nvcc and ptxas make of it.
#
# * ptxas: no spill, no stack, at most REGISTERS registers a kernel (printed);
# * PTX: see gate_ptx in gate.cmake;
# * of the newest, or of those of ARCHITECTURES: the same operations, each as often, with and without -fmad,
#   and the same but for .ftz with --use_fast_math.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DSOURCE= -DWORK= -DREGISTERS=
#       [-DARCHITECTURES=80,120a] -P check.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/gate.cmake")

set(architectures 80 120a)
set(compared 120a)
if(DEFINED ARCHITECTURES)
  string(REPLACE "," ";" architectures "${ARCHITECTURES}")
  set(compared ${architectures})
endif()
set(command "${NVCC}" -std=c++20 --Werror all-warnings -Xcompiler -Wall,-Wextra -I "${INCLUDE}")
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
cmake_path(GET SOURCE STEM name)
file(REMOVE_RECURSE "${WORK}")

# Runs nvcc in a folder of its own and leaves the PTX there.
function(compile variant output)
  file(MAKE_DIRECTORY "${WORK}/${variant}")
  execute_process(COMMAND ${command} ${ARGN} --keep --keep-dir "${WORK}/${variant}" "${SOURCE}"
                  WORKING_DIRECTORY "${WORK}/${variant}" RESULT_VARIABLE result
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0 OR text MATCHES "warning")
    message(FATAL_ERROR "nvcc (${variant}) failed or warned\n${text}")
  endif()
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

set(both "")
foreach(a IN LISTS architectures)
  list(APPEND both -gencode "arch=compute_${a},code=[sm_${a},compute_${a}]")
endforeach()
set(ptx_only "")
foreach(a IN LISTS compared)
  list(APPEND ptx_only -gencode "arch=compute_${a},code=compute_${a}")
endforeach()
compile(plain report ${both} -Xptxas -v -c -o plain.o)
compile(no_fmad ignored ${ptx_only} -fmad=false -fatbin -o no_fmad.fatbin)
compile(fast_math ignored ${ptx_only} --use_fast_math -fatbin -o fast_math.fatbin)

gate_ptxas("${report}" ${REGISTERS} table)
list(LENGTH table judged)
list(LENGTH architectures wanted)
if(NOT judged EQUAL wanted)
  message(FATAL_ERROR "ptxas reported ${judged} architectures of ${wanted}\n${report}")
endif()
list(JOIN table "\n   " table)
message(STATUS "registers a kernel, at most ${REGISTERS}; 0 spills, 0 bytes of stack\n   ${table}")

foreach(a IN LISTS architectures)
  set(variants plain)
  if(a IN_LIST compared)
    list(APPEND variants no_fmad fast_math)
  endif()
  foreach(variant IN LISTS variants)
    file(GLOB ptx "${WORK}/${variant}/${name}*${a}.ptx")
    if(NOT ptx) # compiled for one architecture, it does not bear its name
      file(GLOB ptx "${WORK}/${variant}/${name}.ptx")
    endif()
    list(LENGTH ptx files)
    if(NOT files EQUAL 1)
      message(FATAL_ERROR "${files} PTX files of ${variant} for ${a}: ${ptx}")
    endif()
    if(variant STREQUAL "fast_math")
      gate_ptx("${ptx}" ON ${variant})
    else()
      gate_ptx("${ptx}" OFF ${variant})
    endif()
  endforeach()
  if(a IN_LIST compared)
    gate_same("compute_${a} without -fmad" "${plain}" "${no_fmad}")
    gate_same("compute_${a} with --use_fast_math" "${plain}" "${fast_math}")
  endif()
  list(JOIN plain " " plain)
  message(STATUS "compute_${a}: ${plain}")
endforeach()
