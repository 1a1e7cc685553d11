/// \file
/// Blocks on logits: everything under hence/logits/.
#pragma once

#include <hence/logits/cross_entropy.hpp>
#include <hence/logits/distill.hpp>
#include <hence/logits/linear_logprob.hpp>
#include <hence/logits/packed_labels.hpp>
#include <hence/logits/penalties.hpp>
#include <hence/logits/per_response.hpp>
#include <hence/logits/preference_loss.hpp>
#include <hence/logits/sample.hpp>
#include <hence/logits/teacher_advantage.hpp>
#include <hence/logits/token_logprob.hpp>
#include <hence/logits/vocabulary_shards.hpp>
