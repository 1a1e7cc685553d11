# cmake -P cmake/test.cmake: builds and runs all tests. Needs a C++20 compiler, CMake and Ninja (or
# Make). Works from any folder; a second run only builds what changed.
#
#   cmake -DCTEST_ARGS="-R;policy" -P cmake/test.cmake    passes arguments on to ctest
include("${CMAKE_CURRENT_LIST_DIR}/command.cmake")

set(build "${hence_root}/build/test")
hence_configure("${hence_root}" "${build}" -DCMAKE_BUILD_TYPE=Release -DHENCE_BUILD_TESTS=ON
                -DHENCE_BUILD_EXAMPLES=ON)
hence_build("${build}")

execute_process(
  COMMAND "${CMAKE_CTEST_COMMAND}" --test-dir "${build}" --output-on-failure --no-tests=error
          --parallel ${hence_cores} ${CTEST_ARGS} RESULT_VARIABLE result)

file(READ "${build}/hence-left-out.txt" left_out)
if(left_out)
  string(REPLACE "\n" ";" left_out "${left_out}")
  foreach(part IN LISTS left_out)
    hence_say("left out: ${part}")
  endforeach()
else()
  hence_say("nothing was left out")
endif()
if(NOT result EQUAL 0)
  message(FATAL_ERROR "hence: tests failed")
endif()
