# A short run of PROGRAM in FOLDER, in two parts: the second finds the first one's stages. Then what
# is refused.
file(REMOVE_RECURSE "${FOLDER}")
set(out "${FOLDER}/run")
set(flags --steps-scale 0.25 --base-steps 1800 --test-problems 256 --student-width 8 --out "${out}")
set(first base,cold_start,reasoning_rl)

# expect STATUS TEXT ARGUMENTS...
function(expect status text)
  execute_process(COMMAND "${PROGRAM}" ${flags} ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE error)
  string(FIND "${output}${error}" "${text}" at)
  if(NOT result EQUAL status OR at EQUAL -1)
    message(FATAL_ERROR "${ARGN}: status ${result}, expected ${status}, said\n${output}${error}\n"
                        "expected: ${text}")
  endif()
endfunction()

expect(1 "add base to --stages" --stages cold_start)
expect(105 "--stages: nothing not in" --stages nothing)
if(EXISTS "${out}")
  message(FATAL_ERROR "something was written before the stages were held against the folder")
endif()
expect(0 "reasoning_rl" --stages ${first} --at-least 0.35)
file(SHA256 "${out}/reasoning_rl.safetensors" before)
file(READ "${out}/config.json" config)
foreach(fact IN ITEMS "reasoning_rl;grpo;epsilon;10.0" "reasoning_rl;grpo;temperature;1.0" "reasoning_rl;grpo;steps;15"
                      "all_scenarios;grpo;epsilon;10.0" "all_scenarios;grpo;temperature;0.7"
                      "student_rl;grpo;epsilon;0.2" "base;pretraining;steps;450")
  list(POP_BACK fact expected)
  string(JSON value GET "${config}" stages ${fact})
  if(NOT value EQUAL expected)
    message(FATAL_ERROR "config.json: ${fact} is ${value}, expected ${expected}")
  endif()
endforeach()
# Other settings are refused, whichever stage has them, and nothing is written.
foreach(flag IN ITEMS "--seed;1" "--language-weight;1")
  expect(1 ".safetensors: is of a run with other settings" ${flag})
endforeach()
file(READ "${out}/config.json" still)
file(SHA256 "${out}/reasoning_rl.safetensors" after)
if(NOT still STREQUAL config OR NOT before STREQUAL after)
  message(FATAL_ERROR "results of other settings were overwritten")
endif()
expect(0 "distilled_rl" --at-least 0.5 --helpful-at-least 0.5)
file(SHA256 "${out}/reasoning_rl.safetensors" after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "a stage that was there has changed")
endif()
expect(3 "strict accuracy is" --at-least 1)
file(WRITE "${out}/base.safetensors" "this is no checkpoint")
expect(1 "it is truncated or no safetensors file")
