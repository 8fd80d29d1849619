// SPDX-License-Identifier: Apache-2.0
//
// The wrapper's operations: its sans-IO machine, with the scenario as its network.
#pragma once

#include <map>

#include "arguments.hpp"

/// The machines by name.
class WrapperSide {
public:
    /// Forgets everything of the scenario before.
    void reset() { machines_.clear(); }

    /// Performs one operation.
    Json perform(const std::string& operation, const Arguments& arguments);

private:
    std::map<std::string, stayline::sansio::Wrapper> machines_;
};
