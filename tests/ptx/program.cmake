# Compiles a CUDA program so that it carries PTX and nothing else, and runs it on the stand-in for
# the CUDA runtime, for each architecture under several schedules; a text that ran for an older
# architecture is not run again. With a GPU the same program runs without the stand-in.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DCUDART=<folder> -DARCHS=80,90a -DSOURCE= -DWORK=
#       [-DOBJECTS=] [-DFLAGS=] [-DSCHEDULES=0,1,2,3] -P program.cmake
cmake_minimum_required(VERSION 3.25)
string(REPLACE "," ";" ARCHS "${ARCHS}")
if(NOT DEFINED SCHEDULES)
  set(SCHEDULES "0,1,2,3")
endif()
string(REPLACE "," ";" SCHEDULES "${SCHEDULES}")
file(MAKE_DIRECTORY "${WORK}")
# -compress-mode=none: the stand-in reads the PTX as text.
set(command "${NVCC}" -std=c++20 -compress-mode=none -cudart shared --keep --keep-dir "${WORK}" --Werror
            all-warnings -Xcompiler -Wall,-Wextra ${FLAGS} -I "${INCLUDE}" -o "${WORK}/program" "${SOURCE}" ${OBJECTS})
foreach(arch IN LISTS ARCHS)
  list(APPEND command -gencode "arch=compute_${arch},code=compute_${arch}")
endforeach()
if(HOST_COMPILER)
  list(APPEND command -ccbin "${HOST_COMPILER}")
endif()
execute_process(COMMAND ${command} COMMAND_ERROR_IS_FATAL ANY)

# run(<arch> <schedule> [argument]...): sets `result` and `text`.
function(run arch schedule)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -E env "LD_LIBRARY_PATH=${CUDART}" "HENCE_PTX_TARGET=sm_${arch}"
            "HENCE_PTX_SCHEDULE=${schedule}" "${WORK}/program" ${ARGN}
    RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  set(result "${result}" PARENT_SCOPE)
  set(text "${text}" PARENT_SCOPE)
endfunction()

# text_of(<arch> <hash>): of the PTX without the line that names the architecture.
function(text_of arch hash)
  file(GLOB ptx "${WORK}/*.compute_${arch}.ptx")
  list(LENGTH ptx files)
  if(NOT files EQUAL 1)
    message(FATAL_ERROR "${files} PTX files for ${arch} in ${WORK}: ${ptx}")
  endif()
  file(READ "${ptx}" text)
  string(REGEX REPLACE "\n\\.target [^\n]*" "" text "${text}")
  string(SHA1 text "${text}")
  set(${hash} "${text}" PARENT_SCOPE)
endfunction()

if(NOT ONLY_COMPILE)
  list(LENGTH ARCHS architectures)
  set(ran "")
  foreach(arch IN LISTS ARCHS)
    if(architectures GREATER 1) # nvcc names the file so then
      text_of(${arch} text)
      if(text IN_LIST ran)
        message(STATUS "sm_${arch}: the PTX is the same text as an older architecture's")
        continue()
      endif()
      list(APPEND ran "${text}")
    endif()
    foreach(schedule IN LISTS SCHEDULES)
      run(${arch} ${schedule})
      message(STATUS "sm_${arch}, schedule ${schedule}: ${text}")
      if(NOT result EQUAL 0)
        message(FATAL_ERROR "sm_${arch}, schedule ${schedule} failed with ${result}")
      endif()
    endforeach()
    # The oldest architecture runs under all schedules, the others under the first and the last.
    list(GET SCHEDULES 0 first)
    list(GET SCHEDULES -1 last)
    set(SCHEDULES ${first} ${last})
    list(REMOVE_DUPLICATES SCHEDULES)
  endforeach()
endif()
