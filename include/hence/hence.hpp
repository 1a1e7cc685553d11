/// \file
/// Everything that needs nothing but a C++20 compiler. A program that uses one topic compiles
/// faster with that topic's header; `single_include/hence.hpp` is made from this one.
#pragma once

#include <hence/core/gemm/ordered.hpp>
#include <hence/evaluate.hpp>
#include <hence/interop/dlpack.hpp>
#include <hence/interop/dlpack_lend.hpp>
#include <hence/interop/mdspan.hpp>
#include <hence/logits.hpp>
#include <hence/moe.hpp>
#include <hence/policy.hpp>
#include <hence/policy/advantage_gdpo.hpp>
#include <hence/policy/advantage_leave_one_out.hpp>
#include <hence/policy/advantage_opo.hpp>
#include <hence/policy/advantage_pass_at_k.hpp>
#include <hence/policy/advantage_remax.hpp>
#include <hence/policy/advantage_token.hpp>
#include <hence/policy/advantage_unscored.hpp>
#include <hence/policy/advantage_whiten.hpp>
#include <hence/policy/alarm.hpp>
#include <hence/policy/kl_control.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/kl_reward.hpp>
#include <hence/policy/mismatch_metrics.hpp>
#include <hence/policy/recipe_family.hpp>
#include <hence/policy/select_tokens.hpp>
#include <hence/policy/shrink_mask.hpp>
#include <hence/policy/surrogate_dppo.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>
#include <hence/policy/token_mask.hpp>
#include <hence/reward.hpp>
#include <hence/threads.hpp>
#include <hence/threads/openmp.hpp>
#include <hence/version.hpp>
