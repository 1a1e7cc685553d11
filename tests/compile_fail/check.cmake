# Passes if SOURCE is refused as a user should be refused:
#
# * its first line is `// expect: REGEX` (a CMake regular expression);
# * it does not compile, and the first error's text from "hence:" on matches REGEX;
# * all that the compiler prints is at most 10 lines. Counted with the default error limit, so that
#   follow-up errors count too, as do notes and "required from" lines; quotations of the source
#   with their carets are switched off and do not count;
# * with -DFIXED it does compile: nothing but the planted mistake is wrong.
#
# cmake -DCOMPILER= -DCOMPILER_ID= -DSTANDARD= -DINCLUDE= -DSOURCE= -P check.cmake

set(command "${COMPILER}" ${STANDARD} -fsyntax-only -I "${INCLUDE}")
if(COMPILER_ID MATCHES "Clang")
  list(APPEND command -fno-caret-diagnostics -fno-color-diagnostics)
else()
  list(APPEND command -fno-diagnostics-show-caret -fdiagnostics-color=never)
endif()

file(READ "${SOURCE}" text LIMIT 1000)
if(NOT text MATCHES "^// expect: ([^\r\n]+)")
  message(FATAL_ERROR "no `// expect: REGEX` in the first line of ${SOURCE}")
endif()
set(expected "${CMAKE_MATCH_1}")

set(ENV{LC_ALL} C)
execute_process(COMMAND ${command} "${SOURCE}" RESULT_VARIABLE result OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "it compiles: ${SOURCE}")
endif()
string(REGEX MATCH "[^\n]*error: [^\n]*" error "${output}")
if(NOT error MATCHES "hence: .*$")
  message(FATAL_ERROR "the first error does not say `hence:`\n${output}")
endif()
set(sentence "${CMAKE_MATCH_0}")
if(NOT sentence MATCHES "${expected}")
  message(FATAL_ERROR "the first error does not match `${expected}`\n${output}")
endif()
string(REGEX REPLACE "[^\n]" "" lines "${output}")
string(LENGTH "${lines}" lines)
if(lines GREATER 10)
  message(FATAL_ERROR "${lines} lines are more than 10\n${output}")
endif()

execute_process(COMMAND ${command} -DFIXED "${SOURCE}" RESULT_VARIABLE result
                OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "it does not compile with -DFIXED\n${output}")
endif()
message(STATUS "${lines} lines: ${sentence}")
