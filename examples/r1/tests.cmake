# Included by hence's own tests: a short run of every stage that rises above a bar and has the bits of
# golden.jsonl, what a run finds in the folder it does not do again, and the same bits after kill -9.
set(runs "${CMAKE_CURRENT_BINARY_DIR}/r1_runs")
add_test(NAME examples/r1
         COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:r1>" "-DFOLDER=${runs}/short"
                 "-DGOLDEN=${CMAKE_CURRENT_SOURCE_DIR}/r1/golden.jsonl" -P
                 "${CMAKE_CURRENT_SOURCE_DIR}/r1/short.cmake")
set_tests_properties(examples/r1 PROPERTIES TIMEOUT 300)
find_program(HENCE_PYTHON python3)
if(HENCE_PYTHON)
  add_test(NAME examples/r1_resume
           COMMAND "${HENCE_PYTHON}" "${PROJECT_SOURCE_DIR}/scripts/kill_and_resume.py" "$<TARGET_FILE:r1>"
                   "${runs}/resume" 3 --steps-scale 0.02 --base-steps 2500 --test-problems 64 --student-width 8)
  set_tests_properties(examples/r1_resume PROPERTIES TIMEOUT 300)
endif()
