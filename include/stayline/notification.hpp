// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_NOTIFICATION_HPP
#define STAYLINE_NOTIFICATION_HPP

#include <stayline/enums.hpp>
#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_notification> {
    using Info = stayline_notification_info;
    static constexpr auto read = stayline_notification_get;
    static constexpr auto free = stayline_notification_free;
};
}  // namespace detail

/// One notification as it was when it was taken or listed: it does not change. It comes again
/// unless it is acknowledged. Texts live as long as it. Any thread may use it.
class Notification : public detail::Snapshot<stayline_notification> {
public:
    using Snapshot::Snapshot;

    /// Its own id; the same at each delivery.
    std::string_view id() const { return detail::text(info().id); }
    /// What it tells.
    NotificationKind kind() const { return static_cast<NotificationKind>(info().kind); }
    /// How it ended; for a late result, how the wrapper says it ended.
    std::optional<ExecutionStatus> status() const {
        return detail::maybe_enum<ExecutionStatus>(info().status);
    }
    /// The session it is about.
    std::string_view session_id() const { return detail::text(info().session_id); }
    /// The execution it is about; none for `session_idle`.
    std::optional<std::string_view> execution_id() const {
        return detail::maybe_text(info().execution_id);
    }
    /// Why it failed or was interrupted.
    std::optional<std::string_view> error() const { return detail::maybe_text(info().error); }
    /// The branch that the run named when it completed (R29).
    std::optional<std::string_view> branch() const { return detail::maybe_text(info().branch); }
    /// The agent's own session id, where it is known (R30).
    std::optional<std::string_view> agent_session_id() const {
        return detail::maybe_text(info().agent_session_id);
    }
    /// Which delivery this is, from 1.
    std::uint32_t attempt() const { return info().attempt; }
    /// All its deliveries are used up: it comes no more unless it is requeued.
    bool parked() const { return info().parked; }
    /// When it was enqueued.
    Moment created_at() const { return detail::moment(info().created_at_ms); }

    /// It was dealt with and does not come again. Throws `NotFound` when it was acknowledged
    /// before, `Closed`, `StoreError`, `StoreUnknown`; so do the following.
    void ack() { detail::call(stayline_notification_ack, get()); }

    /// It could not be dealt with: it comes again later, unless this was its last delivery.
    /// Throws `InvalidArgument` for a time below 0.
    void nack(std::chrono::milliseconds retry_in = std::chrono::milliseconds(0)) {
        detail::call(stayline_notification_nack, get(), std::int64_t{retry_in.count()});
    }

    /// Undoes a take whose notification nobody got to see: it is available at once, and the
    /// delivery does not count.
    void give_back() { detail::call(stayline_notification_give_back, get()); }

    /// Puts a parked one back into the queue, with all its deliveries.
    void requeue() { detail::call(stayline_notification_requeue, get()); }
};

}  // namespace stayline

#endif  // STAYLINE_NOTIFICATION_HPP
