// A second translation unit with the one header: nothing in it may be defined twice.
#include <hence.hpp>

int second_version() {
  return hence::version_major * 10000 + hence::version_minor * 100 + hence::version_patch;
}
