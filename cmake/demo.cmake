# cmake -P cmake/demo.cmake: builds and runs examples/01_grpo_step. Needs a C++20 compiler, CMake and
# Ninja (or Make). Works from any folder; a second run only builds what changed.
include("${CMAKE_CURRENT_LIST_DIR}/command.cmake")

set(build "${hence_root}/build/demo")
hence_configure("${hence_root}/examples/01_grpo_step" "${build}" -DCMAKE_BUILD_TYPE=Release
                "-DFETCHCONTENT_SOURCE_DIR_HENCE=${hence_root}")
hence_build("${build}")
hence_run("${build}/grpo_step")
