# Included by hence's own tests: a short run that rises above a bar, a shorter one whose metrics are
# the same for every compiler and instruction set, the losses by name, and the same bits after kill -9 and --resume.
set(runs "${CMAKE_CURRENT_BINARY_DIR}/r1_zero_runs")
file(MAKE_DIRECTORY "${runs}")
add_test(NAME examples/r1_zero COMMAND r1_zero --out "${runs}/bar" --base-steps 350 --steps 25
                                       --show-every 0 --test-problems 256 --at-least 0.4)
set(short --base-steps 30 --steps 4 --checkpoint-every 2 --test-problems 64)
add_test(NAME examples/r1_zero_golden
         COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:r1_zero>" "-DFOLDER=${runs}/golden"
                 "-DGOLDEN=${CMAKE_CURRENT_SOURCE_DIR}/r1_zero/golden.jsonl" "-DARGS=${short};--tensorboard" -P
                 "${CMAKE_CURRENT_SOURCE_DIR}/r1_zero/golden.cmake")
add_test(NAME examples/r1_zero_errors
         COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:r1_zero>" "-DFOLDER=${runs}/errors" -P
                 "${CMAKE_CURRENT_SOURCE_DIR}/r1_zero/errors.cmake")
set_tests_properties(examples/r1_zero examples/r1_zero_golden examples/r1_zero_errors
                     PROPERTIES TIMEOUT 300)
hence_example_test(rl_losses hence_rl)
find_program(HENCE_PYTHON python3)
if(HENCE_PYTHON)
  add_test(NAME examples/r1_zero_resume
           COMMAND "${HENCE_PYTHON}" "${PROJECT_SOURCE_DIR}/scripts/kill_and_resume.py"
                   "$<TARGET_FILE:r1_zero>" "${runs}/resume" 3 ${short})
  set_tests_properties(examples/r1_zero_resume PROPERTIES TIMEOUT 300)
endif()
