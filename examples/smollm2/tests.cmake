# Included by hence's own tests: what the program refuses, and two updates of a tiny model. The rest
# of tests/examples does without this folder.
add_test(NAME examples/smollm2 COMMAND smollm2 --model nothing.gguf --prompt x)
set_tests_properties(examples/smollm2 PROPERTIES TIMEOUT 60 PASS_REGULAR_EXPRESSION
                                                 "smollm2: nothing.gguf: cannot be opened")
if(TARGET hence_tests_examples)
  set(source "${PROJECT_SOURCE_DIR}/tests/examples/smollm2_grpo_test.cpp")
  target_sources(hence_tests_examples PRIVATE "${source}")
  set_source_files_properties("${source}" TARGET_DIRECTORY hence_tests_examples
                              PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release,RelWithDebInfo>:-O0>")
  target_link_libraries(hence_tests_examples PRIVATE $<LINK_ONLY:smollm2_grpo>)
  add_test(NAME examples/smollm2_grpo_test
           COMMAND hence_tests_examples "--source-file=*/examples/smollm2_grpo_test.cpp"
           --no-intro)
  set_tests_properties(examples/smollm2_grpo_test PROPERTIES TIMEOUT 300 FAIL_REGULAR_EXPRESSION
                                                             "test cases: +0 ")
endif()
