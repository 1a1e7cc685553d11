# Compiles a CUDA program so that it carries PTX and nothing else, and runs it on the stand-in for
# the CUDA runtime, under each schedule. With a GPU the same program runs without the stand-in.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DCUDART=<folder> -DARCH=80 -DSOURCE= -DWORK=
#       [-DOBJECTS=] [-DFLAGS=] [-DSCHEDULES=0;1;2] [-DEXPECT=<words of the fault>] -P program.cmake
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${WORK}")
if(NOT DEFINED SCHEDULES)
  set(SCHEDULES 0 1 2 3)
endif()
# -compress-mode=none: the stand-in reads the PTX as text.
set(command "${NVCC}" -std=c++20 -arch=compute_${ARCH} -compress-mode=none -cudart shared
            --Werror all-warnings -Xcompiler -Wall,-Wextra ${FLAGS} -I "${INCLUDE}"
            -o "${WORK}/program" "${SOURCE}" ${OBJECTS})
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
execute_process(COMMAND ${command} COMMAND_ERROR_IS_FATAL ANY)
foreach(schedule IN LISTS SCHEDULES)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -E env "LD_LIBRARY_PATH=${CUDART}" "HENCE_PTX_SCHEDULE=${schedule}"
            "${WORK}/program"
    RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  message(STATUS "schedule ${schedule}: ${text}")
  if(NOT EXPECT AND NOT result EQUAL 0)
    message(FATAL_ERROR "schedule ${schedule} failed with ${result}")
  elseif(EXPECT AND (result EQUAL 0 OR NOT text MATCHES "${EXPECT}"))
    message(FATAL_ERROR "schedule ${schedule}: expected a fault with `${EXPECT}`, got ${result}")
  endif()
endforeach()
