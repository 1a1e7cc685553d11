/// \file
/// Rule-based rewards: everything under hence/reward/. Includes no container, stream, regular
/// expression or locale header.
#pragma once

#include <hence/reward/answer.hpp>
#include <hence/reward/code_tests.hpp>
#include <hence/reward/combine.hpp>
#include <hence/reward/countdown.hpp>
#include <hence/reward/exact_sum.hpp>
#include <hence/reward/format.hpp>
#include <hence/reward/format_peers.hpp>
#include <hence/reward/language.hpp>
#include <hence/reward/length.hpp>
#include <hence/reward/readable.hpp>
#include <hence/reward/repetition.hpp>
#include <hence/reward/reward_model.hpp>
