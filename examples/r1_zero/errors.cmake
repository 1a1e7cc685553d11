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
expect("--recipe: ppo not in {grpo,dr_grpo,dapo,gspo,cispo}" --recipe ppo)
expect("epsilon_low is -1.000000, expected a number of 0 or more" --epsilon -1)
expect("epsilon_high is nan, expected a number of 0 or more" --epsilon-high nan)
expect("kl_coef is inf, expected a number of 0 or more" --recipe dapo --kl inf)
expect("--epsilon-low excludes --epsilon" --epsilon 0.1 --epsilon-low 0.1)
expect("--group: Value 1 not in range" --group 1)
expect("minibatches is 9, expected 1 to the 8 replies of a rollout (2 questions x 4)" --questions 2
       --group 4 --minibatches 9)
expect("--bias-speed is given, and the dense model has no experts" --bias-speed 0)
expect("--model excludes --moe" --moe --model dense)
file(WRITE "${FOLDER}/file" "")
expect("the folder cannot be made" --out "${FOLDER}/file/run" ${short})

set(out "${FOLDER}/run")
execute_process(COMMAND "${PROGRAM}" --quiet --out "${out}" ${short} COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 "${out}/checkpoint.safetensors" before)
foreach(other "--seed;1" "--recipe;dr_grpo" "--epsilon-low;0.3" "--epsilon-high;0.28" "--kl;0.05" "--group;8"
              "--questions;8")
  expect("is of a run with other settings" --out "${out}" ${short} --resume ${other})
endforeach()
# the default's own constants, named, are the same settings
expect("strict accuracy is" --out "${out}" ${short} --resume --epsilon 0.2 --kl 0.001 --at-least 1)
expect("strict accuracy is" --out "${out}" ${short} --resume --at-least 1)
file(SHA256 "${out}/checkpoint.safetensors" after)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "the checkpoint has changed")
endif()
file(WRITE "${out}/checkpoint.safetensors" "this is no checkpoint")
expect("it is truncated or no safetensors file" --out "${out}" ${short} --resume)
