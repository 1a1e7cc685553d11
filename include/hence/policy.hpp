/// \file
/// Policy losses: everything under hence/policy/. Includes no container, stream, thread or Eigen
/// header.
#pragma once

#include <hence/policy/advantage.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/recipe.hpp>
