# Included by hence's own tests: what the program refuses. tests/examples has the model itself.
add_test(NAME examples/smollm2 COMMAND smollm2 --model nothing.gguf --prompt x)
set_tests_properties(examples/smollm2 PROPERTIES TIMEOUT 60 PASS_REGULAR_EXPRESSION
                                                 "smollm2: nothing.gguf: cannot be opened")
