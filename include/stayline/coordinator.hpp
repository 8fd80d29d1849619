// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_COORDINATOR_HPP
#define STAYLINE_COORDINATOR_HPP

#include <stayline/clock.hpp>
#include <stayline/notification.hpp>
#include <stayline/server.hpp>
#include <stayline/session.hpp>
#include <stayline/settings.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_coordinator> {
    static void free(stayline_coordinator* coordinator) noexcept {
        stayline_coordinator_free(coordinator);
    }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_coordinator_handle_due(nullptr, out_error);
    }
};
}  // namespace detail

/// How to open a coordinator. What is pointed to is read during the call only.
struct CoordinatorOptions {
    /// Every bound and delay, copied; NULL: the defaults.
    const Settings* settings = nullptr;
    /// Where time comes from, for tests; NULL: the system's clock.
    const Clock* clock = nullptr;
    /// Beside the store's owner, or without one: what would write throws `InvalidArgument`, nothing
    /// is recovered and no deadline is acted on. Takes no clock.
    bool read_only = false;
};

/// The side that owns sessions: status, event log, deadlines, subscribers, notifications.
///
/// It is closed by `close`, or when the last object that was got from it ends. Any thread may use
/// it.
class [[nodiscard]] Coordinator : public detail::Handle<stayline_coordinator> {
public:
    /// Opens a store, `memory:` or `sqlite:PATH`, and recovers what was active (R23) before it
    /// returns. Throws `InvalidArgument` (another location; a clock together with `read_only`),
    /// `InvalidSettings` (R24), `StoreInUse`, `StoreFormat`, `StoreError`. It may wait for a disk.
    explicit Coordinator(std::string_view location, const CoordinatorOptions& options = {})
        : Coordinator(opened(location, options)) {}

    /// Takes C's object over.
    explicit Coordinator(stayline_coordinator* taken) noexcept : Handle(taken) {}

    /// Closes in order: what was handed over is committed, servers and links close with 1012,
    /// streams end, waiting calls throw `Closed`, the store is released; so do later calls on
    /// everything that was got from it. Closing again does nothing. Any thread, also while others
    /// use it; it waits for a disk and for its threads.
    void close() { detail::call(stayline_coordinator_close, get()); }

    /// Ends it as a crash would: nothing is flushed and nobody is told; only the store is released.
    /// For tests.
    void abandon() { detail::call(stayline_coordinator_abandon, get()); }

    /// What it was opened with; lives as long as this.
    std::string_view location() const {
        return detail::text(stayline_coordinator_location(live()));
    }

    /// Whether it was opened to read only.
    bool is_read_only() const { return stayline_coordinator_is_read_only(live()); }

    /// Its time; it never goes back (R18c).
    Moment now() const { return detail::moment(stayline_coordinator_now(live())); }

    /// A copy of its settings.
    Settings settings() const {
        stayline_settings* settings = nullptr;
        detail::call(stayline_coordinator_settings, get(), &settings);
        return Settings(settings);
    }

    /// The next wake-up: the minimum of all pending deadlines, the expiry of leases aside (R18);
    /// none: nothing is due ever. Throws `Closed`, `StoreError`.
    std::optional<Moment> next_deadline() const {
        std::int64_t deadline = STAYLINE_NONE;
        detail::call(stayline_coordinator_next_deadline, get(), &deadline);
        return detail::maybe_moment(deadline);
    }

    /// Handles what is due now (R18a). With the system's clock a thread of ours does it by itself.
    void handle_due() { detail::call(stayline_coordinator_handle_due, get()); }

    /// Makes the next commit that has something to write fail; for tests. Throws `InvalidArgument`
    /// on one that only reads.
    void fail_next_commit(CommitOutcome outcome) {
        detail::call(stayline_coordinator_fail_next_commit, get(),
                     static_cast<std::int32_t>(outcome));
    }

    /// A handle on a session; creates nothing (R19a). The id: 1 to `max_id_bytes` bytes, no control
    /// characters. Throws `InvalidArgument` for one that is none.
    Session session(std::string_view session_id) const {
        stayline_session* session = nullptr;
        detail::call(stayline_coordinator_session, get(), detail::given(session_id), &session);
        return Session(session);
    }

    /// Sessions, the one with the newest activity first; at most `limit`. Throws `Closed`,
    /// `StoreError`. It may wait for a disk.
    std::vector<SessionSnapshot> sessions(std::size_t limit = 100) const {
        stayline_session_snapshots* sessions = nullptr;
        detail::call(stayline_coordinator_sessions, get(), limit, &sessions);
        return detail::items<SessionSnapshot>(sessions, stayline_session_snapshots_count,
                                              stayline_session_snapshots_at,
                                              stayline_session_snapshots_free);
    }

    /// Takes the next notification, which leases it (R39): acknowledge it, or it comes again. None:
    /// none in time. Throws `Closed` (also while it waited), `StoreError`, `StoreUnknown`. Each
    /// notification goes to one of those that wait.
    std::optional<Notification> take_notification(TimeLimit limit = for_ever) {
        stayline_notification* notification = nullptr;
        detail::call(stayline_coordinator_take_notification, get(), detail::given(limit),
                     &notification);
        return notification != nullptr ? std::optional<Notification>(std::in_place, notification)
                                       : std::nullopt;
    }

    /// The notifications as a range, over when none comes within the limit; each is taken as
    /// `take_notification` does.
    Taking<Notification> take_notifications(TimeLimit limit = for_ever) {
        return Taking<Notification>([this, limit] { return take_notification(limit); });
    }

    /// A file descriptor for event loops: readable from a notification until a take that does not
    /// wait finds none, and for ever once the coordinator is closed. Lent while this lives; never
    /// read from it or close it. Throws `LimitExceeded`.
    int notification_fd() const {
        int fd = -1;
        detail::call(stayline_coordinator_notification_fd, get(), &fd);
        return fd;
    }

    /// Notifications that are not acknowledged, in order, or only those whose deliveries are used
    /// up; takes none of them. Throws `Closed`, `StoreError`. It may wait for a disk.
    std::vector<Notification> notifications(bool parked_only = false) const {
        stayline_notifications* notifications = nullptr;
        detail::call(stayline_coordinator_notifications, get(), parked_only, &notifications);
        return detail::items<Notification>(notifications, stayline_notifications_count,
                                           stayline_notifications_at,
                                           stayline_notifications_free);
    }

    /// Serves wrappers, readers and REST at an address (docs/rest.md): `127.0.0.1:8787`; port 0
    /// takes a free one. Throws `InvalidArgument` (an address that cannot be bound; anything but
    /// loopback without a key; a base path that does not begin with `/`; a certificate or key that
    /// cannot be used), `Closed`.
    Server serve(std::string_view address, const ServerOptions& options = {}) {
        const detail::Views origins(options.allowed_origins);
        stayline_server_options given = stayline_server_options_default();
        given.key = detail::given(options.key);
        given.allowed_origins = origins.data();
        given.allowed_origins_count = origins.size();
        given.base_path = detail::given(options.base_path);
        given.tls_certificate = detail::given(options.tls_certificate);
        given.tls_key = detail::given(options.tls_key);
        given.max_sockets = options.max_sockets.value_or(0);
        given.max_unauthenticated_sockets = options.max_unauthenticated_sockets.value_or(0);
        given.max_requests = options.max_requests.value_or(0);
        given.max_body_bytes = options.max_body_bytes.value_or(0);
        given.workers = options.workers.value_or(0);
        if (options.authorize) {
            given.authorize.call = detail::authorize;
            given.authorize.drop = detail::Callback<Authorize>::drop;
            given.authorize.user_data = detail::Callback<Authorize>::keep(options.authorize);
        }
        stayline_server* server = nullptr;
        detail::call(stayline_coordinator_serve, get(), detail::given(address), &given, &server);
        return Server(server);
    }

    /// Makes a signed ticket that opens one session's stream for a time: of the session that is
    /// there now, and no later one of its name. It outlives a restart where the store is a file.
    /// Throws `NotFound` for an unknown session, `Closed`, and `InvalidArgument` for a bad id or
    /// time.
    std::string issue_ticket(std::string_view session_id, std::chrono::milliseconds ttl) const {
        detail::Buffer ticket;
        detail::call(stayline_coordinator_issue_ticket, get(), detail::given(session_id),
                     std::int64_t{ttl.count()}, ticket.out());
        return ticket.text();
    }

    /// Checks a ticket. Throws `Unauthorized` for one that is wrong, expired, or of another session
    /// or store, and `StoreError` where that cannot be told now.
    void verify_ticket(std::string_view session_id, std::string_view ticket) const {
        detail::call(stayline_coordinator_verify_ticket, get(), detail::given(session_id),
                     detail::given(ticket));
    }

    /// What it has done since it was opened and what it holds now, as the text that Prometheus
    /// reads. Throws `Closed`.
    std::string metrics() const {
        detail::Buffer text;
        detail::call(stayline_coordinator_metrics, get(), text.out());
        return text.text();
    }

private:
    static stayline_coordinator* opened(std::string_view location,
                                        const CoordinatorOptions& options) {
        stayline_coordinator_options given = stayline_coordinator_options_default();
        given.settings = Settings::lent(options.settings);
        given.clock = Clock::lent(options.clock);
        given.read_only = options.read_only;
        stayline_coordinator* coordinator = nullptr;
        detail::call(stayline_coordinator_open, detail::given(location), &given, &coordinator);
        return coordinator;
    }
};

}  // namespace stayline

#endif  // STAYLINE_COORDINATOR_HPP
