// Stayline keeps long agent runs on the line: the C++ interface, for C++17 and later.
//
// SPDX-License-Identifier: Apache-2.0
//
// Header-only, over stayline.h, and without a behaviour of its own: a guide is in docs/c.md. The rules
// that are cited (R12) are those of every language: docs/rules.md, which is installed as
// share/doc/stayline/rules.md. This file includes all headers; each noun has one in stayline/,
// installed beside this one.
//
// Objects own what they stand for. They are moved, never copied, and freed at their end. One that
//   was moved from is refused with InvalidArgument. `get()` lends C's object.
//
// Snapshots (Execution, SessionSnapshot, Event, Notification, Lease, Output, Signal, Action) do not
//   change. Their texts are std::string_view and live as long as the snapshot, also when it is
//   moved; what may be missing is std::optional. Texts that are put out otherwise are std::string.
//   Lists are std::vector.
//
// Texts are UTF-8. A function reads the std::string_view that it is given during the call only.
//   JSON is text; use it with whatever library you like.
//
// Errors are exceptions, see stayline/error.hpp; without them see STAYLINE_EXCEPTIONS. Besides
//   those that comments name, everything may throw InvalidArgument (moved from; no UTF-8), ForkError
//   and Panic, and std::bad_alloc. Taking where nothing came in time is no error: it returns
//   std::nullopt.
//
// Time is std::chrono: a Moment has ms; a TimeLimit is how long to wait, `for_ever` by default.
//
// Callbacks are std::function; exceptions do not get out of them: one inside authorize is no
//   answer (later), the others are swallowed.
//
// File descriptors are lent, level-triggered, and only to be watched for reading: readable means
//   "take until it finds nothing".
//
// Threads, closing and forks are as in stayline.h: any thread may use an object, several at a time,
//   and `close` it while others wait; nobody may use it while it is moved or ends.
#ifndef STAYLINE_HPP
#define STAYLINE_HPP

#include <stayline/attaching.hpp>
#include <stayline/base.hpp>
#include <stayline/clock.hpp>
#include <stayline/coordinator.hpp>
#include <stayline/enums.hpp>
#include <stayline/error.hpp>
#include <stayline/event.hpp>
#include <stayline/execution.hpp>
#include <stayline/lease.hpp>
#include <stayline/link.hpp>
#include <stayline/log.hpp>
#include <stayline/notification.hpp>
#include <stayline/object.hpp>
#include <stayline/request.hpp>
#include <stayline/sansio.hpp>
#include <stayline/server.hpp>
#include <stayline/session.hpp>
#include <stayline/session_snapshot.hpp>
#include <stayline/settings.hpp>
#include <stayline/signal.hpp>
#include <stayline/subscription.hpp>
#include <stayline/wrapper.hpp>

#endif  // STAYLINE_HPP
