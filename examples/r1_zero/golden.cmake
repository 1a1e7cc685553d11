# Runs PROGRAM with ARGS in FOLDER and compares metrics.jsonl with GOLDEN.
file(REMOVE_RECURSE "${FOLDER}")
execute_process(COMMAND "${PROGRAM}" --out "${FOLDER}" --quiet ${ARGS} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" -E compare_files "${FOLDER}/metrics.jsonl" "${GOLDEN}"
                RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${FOLDER}/metrics.jsonl differs from ${GOLDEN}: the bits have changed")
endif()
