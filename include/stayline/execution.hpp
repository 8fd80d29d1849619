// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_EXECUTION_HPP
#define STAYLINE_EXECUTION_HPP

#include <stayline/enums.hpp>
#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_execution> {
    using Info = stayline_execution_info;
    static constexpr auto read = stayline_execution_get;
    static constexpr auto free = stayline_execution_free;
};
}  // namespace detail

/// One agent run, as it was when it was read: it does not change. Texts live as long as it. Any
/// thread may use it.
class Execution : public detail::Snapshot<const stayline_execution> {
public:
    using Snapshot::Snapshot;

    /// Its id, unique in its session.
    std::string_view id() const { return detail::text(info().id); }
    /// Its session.
    std::string_view session_id() const { return detail::text(info().session_id); }
    /// What its wrapper must bring; only what `Session::start` returned has it, and what comes of
    /// that.
    std::optional<std::string_view> token() const { return detail::maybe_text(info().token); }
    /// The host's word for the kind of run.
    std::optional<std::string_view> mode() const { return detail::maybe_text(info().mode); }
    /// Its status.
    ExecutionStatus status() const { return static_cast<ExecutionStatus>(info().status); }
    /// Its health; none unless it is running.
    Health health() const { return static_cast<Health>(info().health); }
    /// Why it failed or was interrupted (R5).
    std::optional<std::string_view> error() const { return detail::maybe_text(info().error); }
    /// The integer `exitCode` of its wrapper's terminal event (R29).
    std::optional<std::int64_t> exit_code() const {
        const std::int64_t code = info().exit_code;
        return code != STAYLINE_NONE ? std::optional<std::int64_t>(code) : std::nullopt;
    }
    /// The agent's own session id, where it is known (R30).
    std::optional<std::string_view> agent_session_id() const {
        return detail::maybe_text(info().agent_session_id);
    }
    /// It was asked to stop, and has not ended (R11).
    bool interrupt_requested() const { return info().interrupt_requested; }
    /// It runs without a link, in its disconnect grace (R20).
    bool grace() const { return info().grace; }
    /// Times its wrapper came back after a disconnect (R21).
    std::uint64_t reconnects() const { return info().reconnects; }
    /// When it was started.
    Moment created_at() const { return detail::moment(info().created_at_ms); }
    /// When its first link was accepted.
    std::optional<Moment> started_at() const {
        return detail::maybe_moment(info().started_at_ms);
    }
    /// When it became terminal (R5).
    std::optional<Moment> completed_at() const {
        return detail::maybe_moment(info().completed_at_ms);
    }
    /// The stored sign of life (R14).
    std::optional<Moment> last_heartbeat_at() const {
        return detail::maybe_moment(info().last_heartbeat_at_ms);
    }
    /// When its newest frame other than a heartbeat came: to the moment where this coordinator runs
    /// it, and once it has ended; else as far as it is stored (R14).
    std::optional<Moment> last_event_at() const {
        return detail::maybe_moment(info().last_event_at_ms);
    }
    /// When its wrapper was last heard of: to the moment where this coordinator runs it, else as
    /// far as it is stored, which is refreshed now and then (R14).
    std::optional<Moment> last_seen_at() const {
        return detail::maybe_moment(info().last_seen_at_ms);
    }

    /// The same execution as it is now. Throws `NotFound` when its session was deleted, `Closed`,
    /// `StoreError`.
    Execution refresh() const {
        stayline_execution* now = nullptr;
        detail::call(stayline_execution_refresh, get(), &now);
        return Execution(now);
    }

    /// Waits until it is terminal, and returns it as it ended. Throws `Timeout`, `NotFound` when
    /// its session was deleted meanwhile, `Closed` (also while it waited), `StoreError`. Several
    /// threads may wait.
    Execution wait(TimeLimit limit = for_ever) const {
        stayline_execution* ended = nullptr;
        detail::call(stayline_execution_wait, get(), detail::given(limit), &ended);
        return Execution(ended);
    }

    /// As `wait`, without waiting: none when it is not terminal yet.
    std::optional<Execution> poll() const {
        stayline_execution* ended = nullptr;
        if (!detail::call_in_time(stayline_execution_wait, get(), std::int64_t{0}, &ended)) {
            return std::nullopt;
        }
        return Execution(ended);
    }

    /// A file descriptor for event loops: readable when it may have become terminal; then `poll`.
    /// Lent while this object lives; never read from it or close it. Throws `NotFound`, `Closed`,
    /// `LimitExceeded`.
    int fd() const {
        int fd = -1;
        detail::call(stayline_execution_fd, get(), &fd);
        return fd;
    }
};

}  // namespace stayline

#endif  // STAYLINE_EXECUTION_HPP
