# SOURCE's first line says what nvcc must answer; with -DFIXED it must compile.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DSOURCE= -P refused.cmake
cmake_minimum_required(VERSION 3.25)
set(command "${NVCC}" -std=c++20 -arch=sm_80 -I "${INCLUDE}" -c -o /dev/null "${SOURCE}")
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
file(STRINGS "${SOURCE}" expected LIMIT_COUNT 1)
string(REPLACE "// expect: " "" expected "${expected}")
execute_process(COMMAND ${command} RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(result EQUAL 0 OR NOT text MATCHES "error: [^\n]*\"${expected}")
  message(FATAL_ERROR "expected a refusal with `${expected}`\n${text}")
endif()
execute_process(COMMAND ${command} -DFIXED RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "it does not compile with -DFIXED\n${text}")
endif()
