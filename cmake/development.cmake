# Tests, benchmarks and examples of hence itself: options, dependencies, warnings, architecture.

option(HENCE_FETCH_DEPS "Download what find_package does not find" OFF)
option(HENCE_REQUIRE_DEPS "A missing dependency is an error instead of a part left out" OFF)
set(HENCE_BUILD_CUDA_TESTS AUTO CACHE STRING "Build the CUDA tests: AUTO (where nvcc is), ON, OFF")
set_property(CACHE HENCE_BUILD_CUDA_TESTS PROPERTY STRINGS AUTO ON OFF)
option(HENCE_TEST_EVERY_TARGET "Compile and judge every kernel for sm_80, 90a, 100a and 120a, not for the oldest and the newest alone" OFF)
set(hence_march "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(hence_march native)
endif()
set(HENCE_TEST_MARCH "${hence_march}" CACHE STRING "-march= of tests and benchmarks; empty: none")
option(HENCE_BUILD_CUDA_BENCH "With the benchmarks, build those of the kernels; needs nvcc" OFF)
option(HENCE_TEST_OPENMP "Test the OpenMP adaptor where the compiler has OpenMP" ON)
option(HENCE_TEST_COMPOSITIONS "Build the tests that run hundreds of compositions" ON)

if(NOT CMAKE_BUILD_TYPE AND PROJECT_IS_TOP_LEVEL)
  set(CMAKE_BUILD_TYPE Release)
endif()

include("${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake")

# Says, in the build and at the end of the test command, that a part is left out and why.
function(hence_left_out text)
  set_property(GLOBAL APPEND PROPERTY HENCE_LEFT_OUT "${text}")
  message(STATUS "hence: left out: ${text}")
endfunction()

# The project's own translation units: hence through -I (not -isystem, which would hide warnings).
function(hence_strict target)
  target_link_libraries(${target} PRIVATE hence::hence)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion
                                           -Wshadow -Werror)
  if(HENCE_TEST_MARCH)
    target_compile_options(${target} PRIVATE "-march=${HENCE_TEST_MARCH}")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER 19)
      # About its own choice for -march=native on processors with AVX10, not about the code.
      target_compile_options(${target} PRIVATE -Wno-invalid-feature-combination)
    endif()
  endif()
endfunction()

if(HENCE_BUILD_TESTS)
  enable_testing()
  add_subdirectory(tests)
endif()
if(HENCE_BUILD_BENCH)
  add_subdirectory(bench)
endif()
if(HENCE_BUILD_EXAMPLES)
  enable_testing()
  add_subdirectory(examples)
endif()

# Read by the test command: Debian packages to install, parts that are not built.
get_property(hence_missing GLOBAL PROPERTY HENCE_MISSING)
list(REMOVE_DUPLICATES hence_missing)
list(JOIN hence_missing " " hence_missing)
file(WRITE "${PROJECT_BINARY_DIR}/hence-missing.txt" "${hence_missing}")
get_property(hence_omitted GLOBAL PROPERTY HENCE_LEFT_OUT)
list(REMOVE_DUPLICATES hence_omitted)
list(JOIN hence_omitted "\n" hence_omitted)
file(WRITE "${PROJECT_BINARY_DIR}/hence-left-out.txt" "${hence_omitted}")
