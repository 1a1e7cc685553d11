/// \file
/// Policy losses: the parts of the GRPO family; the rest of the family comes by the headers that
/// its parts name, e.g. policy/recipe_family.hpp, or all together by hence.hpp. Includes no
/// container, stream, thread or Eigen header.
#pragma once

#include <hence/policy/advantage.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/recipe.hpp>
