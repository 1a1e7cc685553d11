# Included by hence's own tests: what the program refuses, and two updates of a tiny model. The rest
# of tests/examples does without this folder.
add_test(NAME examples/smollm2 COMMAND smollm2 --model nothing.gguf --prompt x)
set_tests_properties(examples/smollm2 PROPERTIES TIMEOUT 60 PASS_REGULAR_EXPRESSION
                                                 "smollm2: nothing.gguf: cannot be opened")
hence_example_test(smollm2_grpo smollm2_grpo)
