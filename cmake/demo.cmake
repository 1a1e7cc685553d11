# cmake -P cmake/demo.cmake: builds and runs examples/r1_zero, R1-Zero in miniature. Needs a C++20
# compiler, CMake and Ninja (or Make). Works from any folder; a second run only builds what changed.
#
#   cmake -DDEMO_ARGS="--seed;3" -P cmake/demo.cmake    passes arguments on (--help names them)
include("${CMAKE_CURRENT_LIST_DIR}/command.cmake")

set(build "${hence_root}/build/demo")
set(march "")
cmake_host_system_information(RESULT processor QUERY OS_PLATFORM)
if(processor MATCHES "^(x86_64|AMD64|amd64)$")
  set(march native)
endif()
hence_configure("${hence_root}/examples/r1_zero" "${build}" -DCMAKE_BUILD_TYPE=Release
                -DHENCE_REPORT_MISSING=ON "-DHENCE_EXAMPLE_MARCH=${march}"
                "-DFETCHCONTENT_SOURCE_DIR_HENCE=${hence_root}")
hence_build("${build}")
hence_run("${build}/r1_zero" --out "${build}/run" ${DEMO_ARGS})
