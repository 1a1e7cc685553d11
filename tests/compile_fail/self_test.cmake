# Tries check.cmake on a good case and on one case for each reason that it may give.

function(try name wanted text)
  file(WRITE "${WORK}/${name}.cpp" "${text}")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" "-DCOMPILER=${COMPILER}" "-DCOMPILER_ID=${COMPILER_ID}"
            "-DSTANDARD=${STANDARD}" "-DINCLUDE=${INCLUDE}" "-DSOURCE=${WORK}/${name}.cpp" -P
            "${CMAKE_CURRENT_LIST_DIR}/check.cmake"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(wanted STREQUAL "good")
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${name} should pass\n${output}")
    endif()
  elseif(result EQUAL 0)
    message(FATAL_ERROR "${name} should not pass")
  else()
    string(REGEX REPLACE "[ \n]+" " " output "${output}") # message() wraps its text
    if(NOT output MATCHES "${wanted}")
      message(FATAL_ERROR "${name} fails for another reason than `${wanted}`\n${output}")
    endif()
  endif()
endfunction()

set(wrong "static_assert(sizeof(int) == 0, \"hence: a planted mistake\");")
set(guarded "#ifndef FIXED\n${wrong}\n#endif\n")
string(REPEAT "${wrong}\n" 12 many)

file(REMOVE_RECURSE "${WORK}")
try(good good "// expect: ^hence: a planted\n${guarded}")
try(no_line "no `// expect: REGEX` in the first line" "${guarded}")
try(compiles "it compiles" "// expect: planted\n#include <hence/version.hpp>\n")
try(foreign "the first error does not say" "// expect: .\nint x = ;\n")
try(other "the first error does not match" "// expect: ^hence: a different\n${guarded}")
try(long "lines are more than 10" "// expect: planted\n#ifndef FIXED\n${many}#endif\n")
try(not_fixed "it does not compile with -DFIXED" "// expect: planted\n${wrong}\n")
