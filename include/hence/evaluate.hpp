/// \file
/// Evaluation and selection of samples: everything under hence/evaluate/. Includes no container and
/// no stream header.
#pragma once

#include <hence/evaluate/consensus.hpp>
#include <hence/evaluate/dynamic.hpp>
#include <hence/evaluate/interval.hpp>
#include <hence/evaluate/majority.hpp>
#include <hence/evaluate/mixture.hpp>
#include <hence/evaluate/packing.hpp>
#include <hence/evaluate/pass_at_k.hpp>
#include <hence/evaluate/recipe.hpp>
#include <hence/evaluate/select.hpp>
