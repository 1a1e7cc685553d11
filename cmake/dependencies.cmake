# Dependencies of the tests, benchmarks and examples. The library itself has none.
#
# hence_dependency(<package>) finds the system's copy, else downloads a fixed commit where
# HENCE_FETCH_DEPS is on. Without either, the part that asks is left out, or with HENCE_REQUIRE_DEPS
# configuring stops. Afterwards if(TARGET ...) tells. hence_optional(<package>) never downloads.
#
# Only the case FETCHCONTENT_SOURCE_DIR_<NAME> of the download is tested (CI hides the system's copies
# and points at local folders); the download proper is otherwise untested. Its commits were read off
# the tags of the projects' own repositories, Eigen's off other projects' records of tag 3.4.0.

set(hence_doctest_target doctest::doctest)
set(hence_doctest_debian doctest-dev)
set(hence_doctest_source GIT_REPOSITORY https://github.com/doctest/doctest.git # 2.4.11
                         GIT_TAG ae7a13539fb71f270b87eb2e874fbac80bc8dda2)
set(hence_doctest_include ".")

set(hence_nlohmann_json_target nlohmann_json::nlohmann_json)
set(hence_nlohmann_json_debian nlohmann-json3-dev)
set(hence_nlohmann_json_source GIT_REPOSITORY https://github.com/nlohmann/json.git # 3.11.3
                               GIT_TAG 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03)
set(hence_nlohmann_json_include "include")

set(hence_CLI11_target CLI11::CLI11)
set(hence_CLI11_debian libcli11-dev)
set(hence_CLI11_source GIT_REPOSITORY https://github.com/CLIUtils/CLI11.git # 2.1.2
                       GIT_TAG 70f8072f9dd2292fd0b9f9e5f58e279f60483ed3)
set(hence_CLI11_include "include")

set(hence_Eigen3_target Eigen3::Eigen)
set(hence_Eigen3_debian libeigen3-dev)
set(hence_Eigen3_source GIT_REPOSITORY https://gitlab.com/libeigen/eigen.git # 3.4.0
                        GIT_TAG 3147391d946bb4b6c68edd901f2add6ac1f31f8c)
set(hence_Eigen3_include ".")

set(hence_benchmark_target benchmark::benchmark_main)
set(hence_benchmark_debian libbenchmark-dev)
set(hence_benchmark_source GIT_REPOSITORY https://github.com/google/benchmark.git # 1.7.1
                           GIT_TAG d572f4777349d43653b21d6c2fc63020ab326db2)

# Libraries behind core/gemm/<name>.hpp, for the tests and benchmarks of those adaptors: too big to
# download and build. They are looked for by file: dnnl's own CMake package also asks for OpenCL.
set(hence_OpenBLAS_target hence_cblas)
set(hence_OpenBLAS_debian libopenblas-dev)
set(hence_OpenBLAS_header cblas.h)
set(hence_OpenBLAS_library openblas)

set(hence_dnnl_target hence_onednn)
set(hence_dnnl_debian libdnnl-dev)
set(hence_dnnl_header dnnl.hpp)
set(hence_dnnl_library dnnl)

# hence_optional(<package>): the system's copy, or none; that is an error only with HENCE_REQUIRE_DEPS and
# without HENCE_FETCH_DEPS.
function(hence_optional package)
  set(target ${hence_${package}_target})
  if(NOT TARGET ${target} AND NOT CMAKE_DISABLE_FIND_PACKAGE_${package})
    find_path(HENCE_${package}_INCLUDE ${hence_${package}_header} PATH_SUFFIXES openblas)
    find_library(HENCE_${package}_LIBRARY ${hence_${package}_library})
    mark_as_advanced(HENCE_${package}_INCLUDE HENCE_${package}_LIBRARY)
    if(HENCE_${package}_INCLUDE AND HENCE_${package}_LIBRARY)
      add_library(${target} INTERFACE IMPORTED GLOBAL)
      target_include_directories(${target} INTERFACE "${HENCE_${package}_INCLUDE}")
      target_link_libraries(${target} INTERFACE "${HENCE_${package}_LIBRARY}")
    endif()
  endif()
  if(TARGET ${target})
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY HENCE_MISSING ${hence_${package}_debian})
  if(HENCE_REQUIRE_DEPS AND NOT HENCE_FETCH_DEPS)
    message(FATAL_ERROR "hence: ${package} was not found. On Debian: apt-get install "
                        "${hence_${package}_debian}.")
  endif()
endfunction()

function(hence_dependency package)
  set(target ${hence_${package}_target})
  if(NOT TARGET ${target})
    find_package(${package} CONFIG QUIET)
  endif()
  if(NOT TARGET ${target} AND HENCE_FETCH_DEPS)
    include(FetchContent)
    if(DEFINED hence_${package}_include)
      # Header-only: the sources are enough, the project's own build files are not run.
      FetchContent_Declare(${package} ${hence_${package}_source} SOURCE_SUBDIR hence-no-build)
      FetchContent_MakeAvailable(${package})
      string(TOLOWER ${package} lower)
      add_library(${target} INTERFACE IMPORTED)
      target_include_directories(
        ${target} INTERFACE "${${lower}_SOURCE_DIR}/${hence_${package}_include}")
    else()
      set(BENCHMARK_ENABLE_TESTING OFF)
      set(BENCHMARK_ENABLE_GTEST_TESTS OFF)
      set(BENCHMARK_ENABLE_INSTALL OFF)
      set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
      FetchContent_Declare(${package} ${hence_${package}_source} SYSTEM)
      FetchContent_MakeAvailable(${package})
    endif()
  endif()
  if(TARGET ${target})
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY HENCE_MISSING ${hence_${package}_debian})
  if(HENCE_REQUIRE_DEPS)
    message(FATAL_ERROR "hence: ${package} was not found. On Debian: apt-get install "
                        "${hence_${package}_debian}; elsewhere: -DHENCE_FETCH_DEPS=ON downloads it.")
  endif()
endfunction()
