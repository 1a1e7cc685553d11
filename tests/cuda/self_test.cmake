# Tries the gates on a good kernel and on one kernel for each fault that they look for.
#
# cmake -DNVCC= -DHOST_COMPILER= -DWORK= -P self_test.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/gate.cmake")
if(DEFINED JUDGE) # one case, as a process of its own since the gates end theirs
  if(JUDGE STREQUAL "ptx")
    gate_ptx("${FILE}" OFF counts)
  elseif(JUDGE STREQUAL "same")
    gate_ptx("${FILE}" OFF plain)
    gate_ptx("${OTHER}" OFF no_fmad)
    gate_same("without -fmad" "${plain}" "${no_fmad}")
  else()
    file(READ "${FILE}" report)
    gate_ptxas("${report}" 64 table)
  endif()
  return()
endif()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

set(host "")
if(HOST_COMPILER)
  set(host -ccbin "${HOST_COMPILER}")
endif()

# compile(<name> <nvcc flags> <kernel body>): a kernel of `float *p` and `double *d`.
function(compile name flags body)
  file(WRITE "${WORK}/${name}.cu"
       "__device__ __noinline__ float far(float x) { return __fmul_rn(x, x); }\n"
       "__global__ void kernel(float* p, double* d, int n) { ${body} }\n")
  execute_process(COMMAND "${NVCC}" -std=c++20 ${host} -arch=sm_80 ${flags} -Xptxas -v
                          --keep --keep-dir "${WORK}" -cubin -o "${WORK}/${name}.cubin"
                          "${WORK}/${name}.cu" WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE result
                  OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${name} does not compile\n${text}")
  endif()
  file(WRITE "${WORK}/${name}.txt" "${text}")
endfunction()

function(expect name wanted)
  execute_process(COMMAND "${CMAKE_COMMAND}" ${ARGN} -P "${CMAKE_CURRENT_FUNCTION_LIST_FILE}"
                  RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  string(REGEX REPLACE "[ \n]+" " " text "${text}") # message() wraps its text
  if(wanted STREQUAL "good")
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${name} should pass\n${text}")
    endif()
  elseif(result EQUAL 0)
    message(FATAL_ERROR "${name} should not pass")
  elseif(NOT text MATCHES "${wanted}")
    message(FATAL_ERROR "${name} fails for another reason than `${wanted}`\n${text}")
  endif()
endfunction()

function(try name wanted flags body)
  compile(${name} "${flags}" "${body}")
  if(name MATCHES "^ptxas")
    expect(${name} "${wanted}" -DJUDGE=ptxas "-DFILE=${WORK}/${name}.txt")
  else()
    expect(${name} "${wanted}" -DJUDGE=ptx "-DFILE=${WORK}/${name}.ptx")
  endif()
endfunction()

try(good good "" "p[0] = __fmaf_rn(p[0], p[1], p[2]); d[0] = __dmul_rn(d[1], d[2]);")
try(cut_off good "" "p[0] = __uint_as_float(static_cast<unsigned>(__fmul_rn(p[1], p[2])));")
try(product "mul\\.f32, which does not name its rounding" "" "p[0] = p[1] * p[2];")
try(sum64 "add\\.f64, which does not name its rounding" "" "d[0] = d[1] + d[2];")
try(difference "sub\\.f32, which does not name its rounding" "" "p[0] = p[1] - p[2];")
try(approximate "holds (ex2|mul).*" "" "p[0] = __expf(p[1]);")
try(quotient "div\\.(approx|full)" "-prec-div=false" "p[0] = p[1] / p[2];")
try(flushed "\\.ftz.*without --use_fast_math" "-ftz=true" "p[0] = __fmul_rn(p[1], p[2]);")
try(towards_zero "holds add\\.rz" "" "p[0] = __fadd_rz(p[1], p[2]);")
try(called "calls a function" "" "p[0] = far(p[1]);")
set(on_stack "volatile float a[64]; a[n & 63] = p[0]; p[1] = a[(n + 1) & 63];")
try(local "uses local memory" "" "${on_stack}")
try(empty "nothing was judged" "" "p[0] = 1; n = 2;")
try(ptxas_good good "" "p[0] = __fmaf_rn(p[0], p[1], p[2]);")
try(ptxas_stack "bytes stack frame" "" "${on_stack}")
foreach(i RANGE 1 100)
  string(APPEND load "float x${i} = p[${i} * n]; ")
  string(APPEND store "p[${i} + 7 * n] = x${i}; ")
endforeach()
try(ptxas_registers "registers, more than 64" "" "${load} __syncthreads(); ${store}")
try(ptxas_spills "bytes spill stores" "-maxrregcount=24" "${load} __syncthreads(); ${store}")

# A contraction is seen by compiling twice.
foreach(kind IN ITEMS plain named)
  set(body "p[0] = p[1] * p[2] + p[3];")
  set(wanted "the arithmetic is another")
  if(kind STREQUAL "named")
    set(body "p[0] = __fadd_rn(__fmul_rn(p[1], p[2]), p[3]);")
    set(wanted good)
  endif()
  compile(${kind}_fmad "" "${body}")
  compile(${kind}_no_fmad "-fmad=false" "${body}")
  expect(${kind} "${wanted}" -DJUDGE=same "-DFILE=${WORK}/${kind}_fmad.ptx"
         "-DOTHER=${WORK}/${kind}_no_fmad.ptx")
endforeach()
message(STATUS "every fault was found")
