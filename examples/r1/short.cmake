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
expect(0 "reasoning_rl" --stages ${first} --at-least 0.35)
file(SHA256 "${out}/reasoning_rl.safetensors" before)
expect(0 "distilled_rl" --at-least 0.5 --helpful-at-least 0.5)
file(SHA256 "${out}/reasoning_rl.safetensors" after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "a stage that was there has changed")
endif()
expect(3 "strict accuracy is" --at-least 1)
file(WRITE "${out}/base.safetensors" "this is no checkpoint")
expect(1 "it is truncated or no safetensors file")
