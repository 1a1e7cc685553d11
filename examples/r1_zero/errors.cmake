# What PROGRAM says when something is wrong: one clear line, an exit status that is not 0, and nothing
# of the old run lost. FOLDER is its own.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

# expect TEXT ARGUMENTS...: fails unless the program does, and says TEXT.
function(expect text)
  execute_process(COMMAND "${PROGRAM}" --quiet ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output
                  ERROR_VARIABLE error)
  string(FIND "${output}${error}" "${text}" at)
  if(result EQUAL 0 OR at EQUAL -1)
    message(FATAL_ERROR "${ARGN}: status ${result}, said\n${output}${error}\nexpected: ${text}")
  endif()
endfunction()

set(short --base-steps 2 --steps 2 --checkpoint-every 1 --test-problems 8)
expect("--task: nothing not in" --task nothing)
expect("--steps: Value -1 not in range" --steps -1)
expect("--no-such-flag" --no-such-flag)
file(WRITE "${FOLDER}/file" "")
expect("the folder cannot be made" --out "${FOLDER}/file/run" ${short})

set(out "${FOLDER}/run")
execute_process(COMMAND "${PROGRAM}" --quiet --out "${out}" ${short} COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 "${out}/checkpoint.safetensors" before)
expect("is of a run with other settings" --out "${out}" ${short} --resume --seed 1)
expect("strict accuracy is" --out "${out}" ${short} --resume --at-least 1)
file(SHA256 "${out}/checkpoint.safetensors" after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "the checkpoint has changed")
endif()
file(WRITE "${out}/checkpoint.safetensors" "this is no checkpoint")
expect("it is truncated or no safetensors file" --out "${out}" ${short} --resume)
