#pragma once

#include <hence/core/config.hpp>  // refuses dialects before C++20, where the next lines are no C++

/// @file
/// The version of the library: the one place where it is written down (CMake reads it from here).

/// major * 10000 + minor * 100 + patch: 100 is 0.1.0.
#define HENCE_VERSION 100

/// hence: the parts of a reasoning-RL training loop. Version 0 of the interface is `hence::v0`, an
/// inline namespace; until 1.0 a minor version may change it.
namespace hence::inline v0 {

/// The major version.
inline constexpr int version_major = HENCE_VERSION / 10000;
/// The minor version; until 1.0 a new one may break the interface.
inline constexpr int version_minor = HENCE_VERSION / 100 % 100;
/// The patch version.
inline constexpr int version_patch = HENCE_VERSION % 100;

}  // namespace hence::inline v0
