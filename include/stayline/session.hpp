// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SESSION_HPP
#define STAYLINE_SESSION_HPP

#include <stayline/attaching.hpp>
#include <stayline/event.hpp>
#include <stayline/execution.hpp>
#include <stayline/lease.hpp>
#include <stayline/link.hpp>
#include <stayline/request.hpp>
#include <stayline/session_snapshot.hpp>
#include <stayline/subscription.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_session> {
    static void free(stayline_session* session) noexcept { stayline_session_free(session); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_session_delete(nullptr, out_error);
    }
};
}  // namespace detail

/// How to start an execution.
struct StartOptions {
    /// Its id, unique in the session; none: one is made (`exc_` + UUIDv7).
    std::optional<std::string> execution_id{};
    /// The host's word for the kind of run.
    std::optional<std::string> mode{};
    /// What the wrapper must bring; none: one is made.
    std::optional<std::string> token{};
};

/// How to launch: how to start, and what to do when launching fails.
struct LaunchOptions {
    /// As in `StartOptions`.
    std::optional<std::string> execution_id{};
    /// As in `StartOptions`.
    std::optional<std::string> mode{};
    /// As in `StartOptions`.
    std::optional<std::string> token{};
    /// No notification of a launch that failed, since the caller sees the exception.
    bool suppress_notification = false;
};

/// How to attach a link.
struct AttachOptions {
    /// The execution to attach to: the query's `executionId`.
    std::string execution_id{};
    /// What the wrapper brought, compared in constant time; none: nothing.
    std::optional<std::string> token{};
    /// The host has checked by itself: `token` is not looked at.
    bool trusted = false;
    /// The wrapper asked for acknowledged mode (`Stayline-Protocol: 2`, R45).
    bool acknowledged = false;
    /// In acknowledged mode: the query's `producer`.
    std::optional<std::string> producer{};
    /// In acknowledged mode: the query's `attempt`, from 1; 0: it had none.
    std::uint64_t attempt = 0;
};

/// How to fail an execution.
struct FailOptions {
    /// The type of the event that tells it; none: `error` (R9).
    std::optional<std::string> event_type{};
    /// Further fields of that event, a JSON object; `error` and `fatal` cannot be overwritten.
    std::optional<std::string> payload{};
    /// No notification, since the caller handles it itself (R10).
    bool suppress_notification = false;
    /// Only while no wrapper has attached: a launch that failed (R10). Otherwise nothing is done.
    bool only_pending = false;
};

/// As the setting `interrupt_grace_ms` says.
inline constexpr std::chrono::milliseconds grace_default{STAYLINE_GRACE_DEFAULT};

/// Never: neither SIGKILL nor a failure follows.
inline constexpr std::chrono::milliseconds grace_never{STAYLINE_GRACE_NEVER};

/// How to interrupt.
struct InterruptOptions {
    /// Which execution; none: the active one.
    std::optional<std::string> execution_id{};
    /// SIGKILL at once (R13).
    bool escalate = false;
    /// From now to SIGKILL; or `grace_default`, `grace_never`.
    std::chrono::milliseconds grace = grace_default;
};

/// The unit of ownership: a conversation or workspace, named by an id. Having one creates nothing,
/// and keeps the coordinator alive. Any thread may use it. What changes something returns once
/// that is durable (R27). Besides what comments name, everything throws `Closed`, `StoreError`, and
/// what changes something `StoreUnknown`.
class Session : public detail::Handle<stayline_session> {
public:
    /// Takes C's object over.
    explicit Session(stayline_session* taken) noexcept : Handle(taken) {}

    /// Its id; lives as long as this.
    std::string_view id() const { return detail::text(stayline_session_id(live())); }

    /// Adds a pending execution, which is thereby the active one (R2); what is returned has the
    /// token that its wrapper must bring, told this one time. Throws `ExecutionInProgress`,
    /// `AlreadyExists`, `InvalidArgument`.
    Execution start(const StartOptions& options = {}) {
        stayline_start_options given = stayline_start_options_default();
        given.execution_id = detail::given(options.execution_id);
        given.mode = detail::given(options.mode);
        given.token = detail::given(options.token);
        stayline_execution* execution = nullptr;
        detail::call(stayline_session_start, get(), &given, &execution);
        return Execution(execution);
    }

    /// Starts an execution and runs the host's own launch code with it (R10), a callable that
    /// takes `const Execution&`. An exception inside, before a wrapper has attached, fails the
    /// execution and is thrown on; once one has attached the run is in its hands and nothing is
    /// done. Throws what `start` and the callable throw.
    template <typename Code>
    Execution launch(const LaunchOptions& options, Code&& code) {
        Execution execution = start({options.execution_id, options.mode, options.token});
#if STAYLINE_EXCEPTIONS
        try {
            std::forward<Code>(code)(static_cast<const Execution&>(execution));
        } catch (const std::exception& failure) {
            launch_failed(execution, failure.what(), options.suppress_notification);
            throw;
        } catch (...) {
            launch_failed(execution, "the launch failed", options.suppress_notification);
            throw;
        }
#else
        std::forward<Code>(code)(static_cast<const Execution&>(execution));
#endif
        return execution;
    }

    /// The same with every default.
    template <typename Code>
    Execution launch(Code&& code) {
        return launch(LaunchOptions(), std::forward<Code>(code));
    }

    /// Attaches a link for a wrapper that connected to a socket of the host's (R3, R25, R26). A
    /// refused attach changes nothing; the error's `http_status` and `refusal` say how to answer
    /// the handshake. Throws, in the order of the checks: `InvalidArgument` (no execution id;
    /// acknowledged without `producer` or `attempt`), `NotFound`, `Unauthorized`,
    /// `ExecutionNotActive`, `Superseded`.
    Link attach(const AttachOptions& options) {
        stayline_attach_options given = stayline_attach_options_default();
        given.execution_id = detail::given(options.execution_id);
        given.token = detail::given(options.token);
        given.trusted = options.trusted;
        given.acknowledged = options.acknowledged;
        given.producer = detail::given(options.producer);
        given.attempt = options.attempt;
        stayline_link* link = nullptr;
        detail::call(stayline_session_attach, get(), &given, &link);
        return Link(link);
    }

    /// Attaches the wrapper whose request this is, with what stands in it. Which session it is for is
    /// the host's word, not the path's. `trusted`: the host has checked by itself, the request's token
    /// is not looked at. Throws as above.
    Link attach(const Request& request, bool trusted = false) {
        stayline_link* link = nullptr;
        detail::call(stayline_session_attach_request, get(), request.get(), trusted, &link);
        return Link(link);
    }

    /// Begins the same and returns at once, for threads that drive sockets: a thread of the
    /// coordinator's waits for the disk. Throws `InvalidArgument` for a request that lacks something.
    Attaching begin_attach(const Request& request, bool trusted = false) {
        stayline_attaching* attaching = nullptr;
        detail::call(stayline_session_begin_attach, get(), request.get(), trusted, &attaching);
        return Attaching(attaching);
    }

    /// Fails an execution through the one failure path (R7); `message` becomes its error. Returns
    /// whether this call did it; false: it had ended already, and nothing was changed. Throws
    /// `NotFound`, and `InvalidArgument` for a payload that is no JSON object or an empty type.
    bool fail(std::string_view execution_id, std::string_view message,
              const FailOptions& options = {}) {
        stayline_fail_options given = stayline_fail_options_default();
        given.event_type = detail::given(options.event_type);
        given.payload = detail::given(options.payload);
        given.suppress_notification = options.suppress_notification;
        given.only_pending = options.only_pending;
        bool did = false;
        detail::call(stayline_session_fail, get(), detail::given(execution_id),
                     detail::given(message), &given, &did);
        return did;
    }

    /// Ends a running execution in the host's name (R4) as completed, failed or interrupted; for
    /// the latter two with an error. `completed_at`: when it ended (R5), none: now. Throws
    /// `InvalidTransition` (R1), `InvalidArgument`, `NotFound`.
    void finish(std::string_view execution_id, ExecutionStatus status,
                std::optional<std::string_view> message = std::nullopt,
                std::optional<Moment> completed_at = std::nullopt) {
        detail::call(stayline_session_finish, get(), detail::given(execution_id),
                     static_cast<std::int32_t>(status), detail::given(message),
                     detail::given(completed_at));
    }

    /// Asks the active execution, or the one named, to stop (R11, R13). Throws
    /// `NoActiveExecution`, `NotFound`, `InvalidArgument`.
    Verdict interrupt(const InterruptOptions& options = {}) {
        stayline_interrupt_options given = stayline_interrupt_options_default();
        given.execution_id = detail::given(options.execution_id);
        given.escalate = options.escalate;
        given.grace_ms = options.grace.count();
        std::int32_t verdict = 0;
        detail::call(stayline_session_interrupt, get(), &given, &verdict);
        return static_cast<Verdict>(verdict);
    }

    /// Takes an interrupt back (R13); of the active execution, unless one is named. Throws
    /// `NoActiveExecution`, `NotFound`.
    void clear_interrupt(std::optional<std::string_view> execution_id = std::nullopt) {
        detail::call(stayline_session_clear_interrupt, get(), detail::given(execution_id));
    }

    /// A sign of life that the host has of the run (R14). Throws `NotFound`, `ExecutionNotActive`.
    void heartbeat(std::string_view execution_id) {
        detail::call(stayline_session_heartbeat, get(), detail::given(execution_id));
    }

    /// Takes the lease on an execution, or renews one's own (R38). `lease_id`: who takes it;
    /// `message_id`: what for, in the host's words. Throws `AlreadyHeld`, `InvalidArgument`,
    /// `NotFound`.
    Lease lease(std::string_view execution_id, std::string_view lease_id,
                std::optional<std::string_view> message_id = std::nullopt) {
        stayline_lease* lease = nullptr;
        detail::call(stayline_session_lease, get(), detail::given(execution_id),
                     detail::given(lease_id), detail::given(message_id), &lease);
        return Lease(lease);
    }

    /// Extends a lease by its time to live (R38), for whoever has its id and no `Lease`. Throws
    /// `NotFound` (none, or expired), `WrongHolder`.
    Lease extend_lease(std::string_view execution_id, std::string_view lease_id) {
        stayline_lease* lease = nullptr;
        detail::call(stayline_session_extend_lease, get(), detail::given(execution_id),
                     detail::given(lease_id), &lease);
        return Lease(lease);
    }

    /// Gives a lease back (R38), for whoever has its id and no `Lease`. Throws as `extend_lease`.
    void release_lease(std::string_view execution_id, std::string_view lease_id) {
        detail::call(stayline_session_release_lease, get(), detail::given(execution_id),
                     detail::given(lease_id));
    }

    /// Removes the session wholly and at once: the active execution is failed, links close with
    /// 4000, streams end with a `deleted` record, rows go (R19a). Throws `NotFound`. (`delete` is
    /// a word of C++.)
    void remove() { detail::call(stayline_session_delete, get()); }

    /// The id of the active execution. Throws `NotFound` for an unknown session.
    std::optional<std::string> active() const {
        detail::Buffer execution_id;
        detail::call(stayline_session_active, get(), execution_id.out());
        return execution_id.maybe_text();
    }

    /// The session as it is committed. Throws `NotFound`.
    SessionSnapshot snapshot() const {
        stayline_session_snapshot* snapshot = nullptr;
        detail::call(stayline_session_snapshot_get, get(), &snapshot);
        return SessionSnapshot(snapshot);
    }

    /// One execution as it is committed. Throws `NotFound`.
    Execution execution(std::string_view execution_id) const {
        stayline_execution* execution = nullptr;
        detail::call(stayline_session_execution, get(), detail::given(execution_id), &execution);
        return Execution(execution);
    }

    /// Executions of the session, the newest first; only those of a status where one is given, and
    /// at most `limit`. Throws `InvalidArgument`, `NotFound`. It may wait for a disk.
    std::vector<Execution> executions(std::optional<ExecutionStatus> status = std::nullopt,
                                      std::size_t limit = 100) const {
        stayline_executions* executions = nullptr;
        detail::call(stayline_session_executions, get(),
                     status ? static_cast<std::int32_t>(*status) : 0, limit, &executions);
        return detail::items<Execution>(executions, stayline_executions_count,
                                        stayline_executions_at, stayline_executions_free);
    }

    /// The status of an execution, or of the active one; none: none is active. Throws `NotFound`.
    std::optional<ExecutionStatus> status(
        std::optional<std::string_view> execution_id = std::nullopt) const {
        std::int32_t status = 0;
        detail::call(stayline_session_status, get(), detail::given(execution_id), &status);
        return detail::maybe_enum<ExecutionStatus>(status);
    }

    /// The health of an execution (R6); none unless it is running. Throws `NotFound`.
    Health health(std::string_view execution_id) const {
        std::int32_t health = 0;
        detail::call(stayline_session_health, get(), detail::given(execution_id), &health);
        return static_cast<Health>(health);
    }

    /// Stored events: the past, read in bounded rounds as it is taken (R36). Throws
    /// `InvalidArgument`, `NotFound` for an unknown session. It may wait for a disk.
    Events events(const EventFilter& filter = {}) const {
        stayline_events* events = nullptr;
        detail::call(stayline_session_events, get(), detail::Filter(filter).get(), &events);
        return Events(events);
    }

    /// How many stored events pass a filter, its limit included. Throws as `events`.
    std::uint64_t count_events(const EventFilter& filter = {}) const {
        std::uint64_t count = 0;
        detail::call(stayline_session_count_events, get(), detail::Filter(filter).get(), &count);
        return count;
    }

    /// The past, and then what is live, each event once and in order (R35). Throws
    /// `InvalidArgument`, `NotFound` for an unknown session or `until`.
    Subscription subscribe(const SubscribeOptions& options = {}) const {
        const detail::Filter filter(options.filter);
        stayline_subscribe_options given = stayline_subscribe_options_default();
        given.filter = filter.get();
        given.epoch = detail::given(options.epoch);
        given.live_only = options.live_only;
        given.until = detail::given(options.until);
        stayline_subscription* subscription = nullptr;
        detail::call(stayline_session_subscribe, get(), &given, &subscription);
        return Subscription(subscription);
    }

    /// The subscription that a request asks for: `fromId`, `epoch`, `Last-Event-ID`, the filters,
    /// `replay` (R34). Its ticket is the host's to check. Throws as above.
    Subscription subscribe(const Request& request) const {
        stayline_subscription* subscription = nullptr;
        detail::call(stayline_session_subscribe_request, get(), request.get(), &subscription);
        return Subscription(subscription);
    }

private:
#if STAYLINE_EXCEPTIONS
    /// The exception of the launch is what the caller has to see, whatever comes of this.
    void launch_failed(const Execution& execution, std::string_view message, bool suppress) {
        try {
            FailOptions options;
            options.suppress_notification = suppress;
            options.only_pending = true;
            fail(execution.id(), message, options);
        } catch (const Error&) {
        }
    }
#endif
};

}  // namespace stayline

#endif  // STAYLINE_SESSION_HPP
