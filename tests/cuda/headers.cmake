# Each header that needs nvcc, alone and included twice, and all of them without exceptions.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DWORK= -P headers.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${WORK}")
set(command "${NVCC}" -std=c++20 -arch=sm_80 --Werror all-warnings -Xcompiler -Wall,-Wextra
            -I "${INCLUDE}" -c)
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
file(GLOB headers RELATIVE "${INCLUDE}" "${INCLUDE}/hence/cuda/*.cuh")
if(NOT headers)
  message(FATAL_ERROR "no header under ${INCLUDE}/hence/cuda")
endif()
set(all "")
foreach(header IN LISTS headers)
  string(MAKE_C_IDENTIFIER "${header}" unit)
  file(WRITE "${WORK}/${unit}.cu" "#include <${header}>\n#include <${header}>\n")
  string(APPEND all "#include <${header}>\n")
  execute_process(COMMAND ${command} -o "${WORK}/${unit}.o" "${WORK}/${unit}.cu"
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(WRITE "${WORK}/no_exceptions.cu" "${all}")
execute_process(COMMAND ${command} -Xcompiler -fno-exceptions -o "${WORK}/no_exceptions.o"
                        "${WORK}/no_exceptions.cu" COMMAND_ERROR_IS_FATAL ANY)
