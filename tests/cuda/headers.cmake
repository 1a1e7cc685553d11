# Each header that needs nvcc, alone and included twice, through nvcc's front end and to PTX; and all of them at
# once, without exceptions, by the host's compiler too.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DWORK= -P headers.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${WORK}")
set(command "${NVCC}" -std=c++20 -arch=sm_80 --Werror all-warnings -Xcompiler -Wall,-Wextra
            -I "${INCLUDE}")
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
  execute_process(COMMAND ${command} -ptx -o "${WORK}/${unit}.ptx" "${WORK}/${unit}.cu"
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(WRITE "${WORK}/no_exceptions.cu" "${all}")
execute_process(COMMAND ${command} -c -Xcompiler -fno-exceptions -o "${WORK}/no_exceptions.o"
                        "${WORK}/no_exceptions.cu" COMMAND_ERROR_IS_FATAL ANY)
