// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_LOG_HPP
#define STAYLINE_LOG_HPP

#include <stayline/enums.hpp>
#include <stayline/error.hpp>

#include <functional>

namespace stayline {

/// Where this process's log records go.
namespace log {

/// Gets one line, which lives during the call. It runs on whatever thread has something to say,
/// several at a time, also on threads of the host's in the middle of a call; it must return soon and
/// must not wait for another thread that uses this library. From inside, objects cannot be used
/// (`InvalidArgument`, and looks answer nothing) and must not be destroyed. An exception inside is
/// swallowed. It is freed once no call runs or begins.
using Record = std::function<void(LogLevel level, std::string_view message)>;

/// Not for hosts.
namespace detail {
/// What C calls; no exception gets out.
inline void record(void* function, std::int32_t level, stayline_view message) noexcept {
    stayline::detail::swallowing([&] {
        (*static_cast<Record*>(function))(static_cast<LogLevel>(level),
                                          stayline::detail::text(message));
    });
}
}  // namespace detail

/// Sets where the log records of this process go, down to a level, instead of where they went
/// before; the function there was is freed before this returns. An empty one: nowhere. Throws
/// `InvalidArgument` from inside a log function, and when another part of the process that uses the
/// same copy of this library collects its records already.
inline void set(LogLevel level, Record function) {
    const bool empty = !function;
    stayline_log_callback callback{nullptr, nullptr, nullptr};
    if (!empty) {
        callback.call = detail::record;
        callback.drop = stayline::detail::Callback<Record>::drop;
        callback.user_data = stayline::detail::Callback<Record>::keep(std::move(function));
    }
    stayline::detail::call(stayline_log_set, callback, static_cast<std::int32_t>(level));
}

/// Nothing is told any more. Throws as `set`.
inline void clear() { set(LogLevel::error, nullptr); }

}  // namespace log
}  // namespace stayline

#endif  // STAYLINE_LOG_HPP
