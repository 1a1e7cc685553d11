# Runs PROGRAM and compares what it prints with the file GOLDEN.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE printed RESULT_VARIABLE result)
file(READ "${GOLDEN}" golden)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the program found executors that differ (${result}):\n${printed}")
elseif(NOT printed STREQUAL golden)
  message(FATAL_ERROR "the bits differ from golden.txt; now:\n${printed}\ngolden:\n${golden}")
endif()
