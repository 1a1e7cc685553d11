# Compiles SOURCE without a warning, for a host with or without a GPU, and runs it.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DSOURCE= -DWORK= -P run.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${WORK}")
set(command "${NVCC}" -std=c++20 -arch=sm_80 --Werror all-warnings -Xcompiler -Wall,-Wextra
            -I "${INCLUDE}" -o "${WORK}/program" "${SOURCE}")
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
execute_process(COMMAND ${command} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK}/program" COMMAND_ERROR_IS_FATAL ANY)
