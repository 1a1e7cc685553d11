# Read before hence-cuda-config.cmake. CMake takes a package that sets <package>_FOUND to FALSE as the dependency
# of a CPS file all the same, but not one of an unsuitable version: so the component cuda is refused here.
if("cuda" IN_LIST hence_FIND_COMPONENTS)
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(PACKAGE_VERSION_UNSUITABLE TRUE)
    set(PACKAGE_VERSION
        "none, for hence's component \"cuda\" needs the CUDA toolkit, which was not found (CUDAToolkit_ROOT says where it is)"
    )
  endif()
endif()
