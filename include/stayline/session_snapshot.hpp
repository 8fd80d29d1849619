// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SESSION_SNAPSHOT_HPP
#define STAYLINE_SESSION_SNAPSHOT_HPP

#include <stayline/execution.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_session_snapshot> {
    using Info = stayline_session_info;
    static constexpr auto read = stayline_session_snapshot_info;
    static constexpr auto free = stayline_session_snapshot_free;
};
}  // namespace detail

/// A session as it was when it was read: it does not change. Texts live as long as it. Any thread
/// may use it.
class SessionSnapshot : public detail::Snapshot<const stayline_session_snapshot> {
public:
    using Snapshot::Snapshot;

    /// Its id.
    std::string_view id() const { return detail::text(info().id); }
    /// The log's epoch, made with the session (R34a).
    std::string_view epoch() const { return detail::text(info().epoch); }
    /// When it was made.
    Moment created_at() const { return detail::moment(info().created_at_ms); }
    /// Start, heartbeats, events, completion (R19).
    Moment last_activity_at() const { return detail::moment(info().last_activity_at_ms); }
    /// The id of the newest event (R33).
    std::uint64_t last_event_id() const { return info().last_event_id; }
    /// The branch of the last completed execution that named one (R29).
    std::optional<std::string_view> branch() const { return detail::maybe_text(info().branch); }
    /// The agent's own session id (R30).
    std::optional<std::string_view> agent_session_id() const {
        return detail::maybe_text(info().agent_session_id);
    }
    /// The id of the active execution.
    std::optional<std::string_view> active() const { return detail::maybe_text(info().active); }
    /// The active execution is in its disconnect grace (R20).
    bool grace() const { return info().grace; }
    /// The active execution has a link; known to the store's owner only.
    bool link_attached() const { return info().link_attached; }

    /// Its active execution; in a list of sessions, where none is active, the one started last.
    std::optional<Execution> latest() const {
        static_cast<void>(info());
        const stayline_execution* latest = stayline_session_snapshot_latest(get());
        if (latest == nullptr) {
            return std::nullopt;
        }
        return Execution(std::shared_ptr<const stayline_execution>(shared(), latest));
    }
};

}  // namespace stayline

#endif  // STAYLINE_SESSION_SNAPSHOT_HPP
