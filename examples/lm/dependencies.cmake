# What the language model's examples need: nlohmann-json and CLI11, from the system (Debian:
# nlohmann-json3-dev, libcli11-dev), or downloaded with -DHENCE_FETCH_DEPS=ON where this folder lies in
# hence's own tree. Included, not added: imported targets belong to the folder that finds them.
if(NOT COMMAND hence_dependency AND EXISTS "${CMAKE_CURRENT_LIST_DIR}/../../cmake/dependencies.cmake")
  include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/dependencies.cmake")
endif()
foreach(package IN ITEMS nlohmann_json CLI11)
  if(COMMAND hence_dependency)
    hence_dependency(${package})
  else()
    find_package(${package} CONFIG REQUIRED)
  endif()
endforeach()
if(NOT TARGET nlohmann_json::nlohmann_json OR NOT TARGET CLI11::CLI11)
  # The demo command installs what is named here and configures again.
  get_property(missing GLOBAL PROPERTY HENCE_MISSING)
  list(REMOVE_DUPLICATES missing)
  list(JOIN missing " " missing)
  if(NOT HENCE_REPORT_MISSING)
    message(FATAL_ERROR "hence: not found: ${missing} (Debian's names)")
  endif()
  file(WRITE "${CMAKE_BINARY_DIR}/hence-missing.txt" "${missing}")
endif()
