# Installs the headers and a relocatable package: share/cmake/hence holds no absolute path.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(hence_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/hence")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/hence" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/hence")

# Two export sets: the file that a host-only user loads names no CUDA target.
install(TARGETS hence EXPORT hence-targets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS hence_cuda EXPORT hence-cuda-targets)
install(EXPORT hence-targets NAMESPACE hence:: DESTINATION "${hence_package_dir}")
install(EXPORT hence-cuda-targets NAMESPACE hence:: DESTINATION "${hence_package_dir}")

write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/hence-config-version.cmake"
  COMPATIBILITY SameMinorVersion # 0.x: a new minor version may break the interface
  ARCH_INDEPENDENT)
install(FILES "${PROJECT_SOURCE_DIR}/cmake/hence-config.cmake"
              "${PROJECT_BINARY_DIR}/hence-config-version.cmake"
        DESTINATION "${hence_package_dir}")

# pkg-config. Unquoted, for pkgconf escapes a prefix with a space itself; relative to the file, so that
# the prefix can be moved.
file(RELATIVE_PATH hence_pc_up "/p/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/p")
set(hence_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${hence_pc_includedir}")
  string(PREPEND hence_pc_includedir "\${prefix}/")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/hence.pc.in" "${PROJECT_BINARY_DIR}/hence.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/hence.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")

# `cmake --build <build> --target uninstall` takes back the last install of this build folder.
if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(
    uninstall
    COMMAND "${CMAKE_COMMAND}" "-DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt" -P
            "${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake"
    COMMENT "Removing what was installed"
    VERBATIM)
endif()

# The Common Package Specification, read by CMake >= 4.3 and by other tools; find_package prefers it to the config
# file. The component cuda, which CMake alone can use, is an appendix of its own.
option(HENCE_INSTALL_CPS "Also install a CPS file (needs CMake 4.3)" OFF)
if(HENCE_INSTALL_CPS)
  if(CMAKE_VERSION VERSION_LESS 4.3)
    message(FATAL_ERROR "hence: HENCE_INSTALL_CPS needs CMake 4.3; this is ${CMAKE_VERSION}")
  endif()
  set(hence_cps_dir "${CMAKE_INSTALL_DATADIR}/cps/hence")
  install(PACKAGE_INFO hence EXPORT hence-targets DESTINATION "${hence_cps_dir}"
          VERSION ${PROJECT_VERSION} COMPAT_VERSION ${hence_major}.${hence_minor}.0
          DEFAULT_TARGETS hence LICENSE MIT)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/cps/hence-cuda.cps" DESTINATION "${hence_cps_dir}")
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/cps/hence-cuda-config.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/cps/hence-cuda-config-version.cmake"
          DESTINATION "${hence_package_dir}-cuda")
endif()
