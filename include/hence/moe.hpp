/// \file
/// Mixture of experts: everything under hence/moe/. Includes no container, stream, thread or Eigen
/// header.
#pragma once

#include <hence/moe/balance_loss.hpp>
#include <hence/moe/balancer.hpp>
#include <hence/moe/capacity.hpp>
#include <hence/moe/choice.hpp>
#include <hence/moe/combine.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/moe/jitter.hpp>
#include <hence/moe/layouts.hpp>
#include <hence/moe/metrics.hpp>
#include <hence/moe/permute.hpp>
#include <hence/moe/replay.hpp>
#include <hence/moe/shared.hpp>
