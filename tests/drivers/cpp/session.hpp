// SPDX-License-Identifier: Apache-2.0
//
// The operations on one session, and how its records are written.
#pragma once

#include "arguments.hpp"

/// An operation on a session.
using SessionOperation = Json (*)(stayline::Session&, const Arguments&);

/// The operation of a name; NULL for none.
SessionOperation session_operation(const std::string& name);

/// The conditions that reading and subscribing share.
stayline::EventFilter filter_of(const Arguments& arguments);

/// An event, or a record of a stream.
Json event_json(const stayline::Event& event);
