# Every fault of programs/faults.cu has to turn a run red with its own words, under each schedule,
# and its right twin must pass.
#
# cmake -DNVCC= -DHOST_COMPILER= -DINCLUDE= -DCUDART= -DARCHS= -DSOURCE= -DWORK= -P faults.cmake
cmake_minimum_required(VERSION 3.25)
set(FAULTS
    "barrier=uninitialised|race"
    "second_barrier=race"
    "syncwarp=race"
    "divergent_barrier=divergent barrier"
    "lonely_barrier=divergent barrier"
    "early_exit=divergent barrier"
    "read_over_end=out of bounds: a read"
    "write_over_end=out of bounds: a write"
    "shared_over_end=out of bounds: 4 bytes at 0x100 of 256 bytes of shared memory"
    "misaligned=misaligned: 16 bytes"
    "uninitialised_shared=uninitialised"
    "uninitialised_global=uninitialised"
    "across_blocks=race.*in block"
    "bad_mask=bad member mask|wait for each other forever"
    "not_in_mask=bad member mask"
    "absent_lane=shuffle: lane 20 takes no part"
    "unwritten=unwritten output"
    "guard=damaged guard bytes"
    "input_write=wrote to its input"
    "endless=no end after"
    "call=the emulator lacks the instruction"
    "fence=race.*in block"
    "copy_wait=in flight: a read"
    "copy_barrier=uninitialised|in flight: a read|race"
    "copy_group=in flight: a read")
set(ONLY_COMPILE ON)
set(ENV{HENCE_PTX_LIMIT} 2000000)
include("${CMAKE_CURRENT_LIST_DIR}/program.cmake")
foreach(fault IN LISTS FAULTS)
  string(REGEX MATCH "^[a-z_]+" name "${fault}")
  string(REGEX REPLACE "^[a-z_]+=" "" words "${fault}")
  foreach(schedule IN ITEMS 0 1 2 3)
    foreach(twin IN ITEMS "" right)
      run(${ARCHS} ${schedule} ${name} ${twin})
      if(twin AND NOT result EQUAL 0)
        message(FATAL_ERROR "${name}, schedule ${schedule}: the right twin fails\n${text}")
      elseif(NOT twin AND (result EQUAL 0 OR NOT text MATCHES "${words}"))
        message(FATAL_ERROR "${name}, schedule ${schedule}: not found by `${words}`\n${text}")
      endif()
    endforeach()
  endforeach()
endforeach()
message(STATUS "every fault was found")
