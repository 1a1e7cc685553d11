# Included by hence's own tests: a short run of every stage that rises above a bar, and what a run
# finds in the folder it does not do again.
set(runs "${CMAKE_CURRENT_BINARY_DIR}/r1_runs")
add_test(NAME examples/r1
         COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:r1>" "-DFOLDER=${runs}" -P
                 "${CMAKE_CURRENT_SOURCE_DIR}/r1/short.cmake")
set_tests_properties(examples/r1 PROPERTIES TIMEOUT 300)
