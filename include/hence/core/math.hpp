/// \file
/// The mathematics of formulas: min, max, clamp, exp, expm1, k3, log, log1p, sigmoid, softplus,
/// tanh, log1mexp, normal_cdf and sqrt of numbers, packs and duals. docs/numerics-sweeps.md has the
/// measured errors.
#pragma once

#include <hence/core/clamp.hpp>
#include <hence/core/math_exp.hpp>
#include <hence/core/math_log.hpp>
#include <hence/core/math_normal.hpp>
#include <hence/core/math_sigmoid.hpp>
