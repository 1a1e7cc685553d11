/// \file
/// Pools for `hence::cpu`. Never included by the policy headers: a program with its own pool needs
/// none.
#pragma once

#include <hence/threads/pool.hpp>
