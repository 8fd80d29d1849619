// SPDX-License-Identifier: Apache-2.0
//
// The enums, with the numbers of C and the names of every language. Handle values that you do not
// know: a newer library may have more, whose names are empty unless the library knows them.
#ifndef STAYLINE_ENUMS_HPP
#define STAYLINE_ENUMS_HPP

#include <stayline/base.hpp>

namespace stayline {

/// How a call went; see docs/errors.md. An `Error` carries it.
enum class Status : std::int32_t {
    ok = STAYLINE_STATUS_OK,
    invalid_argument = STAYLINE_STATUS_INVALID_ARGUMENT,
    invalid_settings = STAYLINE_STATUS_INVALID_SETTINGS,
    invalid_event = STAYLINE_STATUS_INVALID_EVENT,
    not_found = STAYLINE_STATUS_NOT_FOUND,
    already_exists = STAYLINE_STATUS_ALREADY_EXISTS,
    execution_in_progress = STAYLINE_STATUS_EXECUTION_IN_PROGRESS,
    execution_not_active = STAYLINE_STATUS_EXECUTION_NOT_ACTIVE,
    invalid_transition = STAYLINE_STATUS_INVALID_TRANSITION,
    no_active_execution = STAYLINE_STATUS_NO_ACTIVE_EXECUTION,
    job_conflict = STAYLINE_STATUS_JOB_CONFLICT,
    superseded = STAYLINE_STATUS_SUPERSEDED,
    already_held = STAYLINE_STATUS_ALREADY_HELD,
    wrong_holder = STAYLINE_STATUS_WRONG_HOLDER,
    unauthorized = STAYLINE_STATUS_UNAUTHORIZED,
    full = STAYLINE_STATUS_FULL,
    limit_exceeded = STAYLINE_STATUS_LIMIT_EXCEEDED,
    timeout = STAYLINE_STATUS_TIMEOUT,
    closed = STAYLINE_STATUS_CLOSED,
    disconnected = STAYLINE_STATUS_DISCONNECTED,
    store_in_use = STAYLINE_STATUS_STORE_IN_USE,
    store_error = STAYLINE_STATUS_STORE_ERROR,
    store_unknown = STAYLINE_STATUS_STORE_UNKNOWN,
    store_format = STAYLINE_STATUS_STORE_FORMAT,
    fork_error = STAYLINE_STATUS_FORK_ERROR,
    panic = STAYLINE_STATUS_PANIC,
};

/// The status of an execution (R1).
enum class ExecutionStatus : std::int32_t {
    /// No wrapper has attached yet.
    pending = STAYLINE_EXECUTION_STATUS_PENDING,
    /// A wrapper has attached.
    running = STAYLINE_EXECUTION_STATUS_RUNNING,
    /// Ended by itself.
    completed = STAYLINE_EXECUTION_STATUS_COMPLETED,
    /// Failed.
    failed = STAYLINE_EXECUTION_STATUS_FAILED,
    /// Stopped on request.
    interrupted = STAYLINE_EXECUTION_STATUS_INTERRUPTED,
};

/// The health of a running execution, from its last sign of life (R6).
enum class Health : std::int32_t {
    /// It is not running.
    none = STAYLINE_HEALTH_NONE,
    /// A sign of life within `healthy_within_ms`.
    healthy = STAYLINE_HEALTH_HEALTHY,
    /// None for a while.
    unknown = STAYLINE_HEALTH_UNKNOWN,
    /// None for longer than `stale_after_ms`: it is about to be failed.
    stale = STAYLINE_HEALTH_STALE,
};

/// What a host says about a wrapper that wants to attach (R25).
enum class Authorization : std::int32_t {
    /// It may not, now or ever: it stops.
    deny = STAYLINE_AUTHORIZATION_DENY,
    /// It may.
    allow = STAYLINE_AUTHORIZATION_ALLOW,
    /// That is not known now: it tries again.
    later = STAYLINE_AUTHORIZATION_LATER,
};

/// What the path of a request leads to.
enum class Endpoint : std::int32_t {
    /// No wrapper's and no subscriber's.
    other = STAYLINE_ENDPOINT_OTHER,
    /// `…/sessions/{session}/ingest`: a wrapper.
    ingest = STAYLINE_ENDPOINT_INGEST,
    /// `…/sessions/{session}/stream`: a subscriber on a WebSocket.
    stream = STAYLINE_ENDPOINT_STREAM,
    /// `…/sessions/{session}/events`: a subscriber to server-sent events.
    events = STAYLINE_ENDPOINT_EVENTS,
};

/// The verdict on an interrupt (R11).
enum class Verdict : std::int32_t {
    /// A link is attached: the kill goes out on it.
    sent = STAYLINE_VERDICT_SENT,
    /// It goes out at attach.
    latched = STAYLINE_VERDICT_LATCHED,
    /// There is nothing to stop any more.
    already_terminal = STAYLINE_VERDICT_ALREADY_TERMINAL,
};

/// What a notification tells (R39).
enum class NotificationKind : std::int32_t {
    /// An execution became terminal.
    execution_ended = STAYLINE_NOTIFICATION_KIND_EXECUTION_ENDED,
    /// A session has been idle for `idle_after_ms` (R19).
    session_idle = STAYLINE_NOTIFICATION_KIND_SESSION_IDLE,
    /// The wrapper's own ending came after the coordinator's (R10a).
    late_result = STAYLINE_NOTIFICATION_KIND_LATE_RESULT,
};

/// What a link wants done to its socket.
enum class OutputKind : std::int32_t {
    /// Send `text` as one text frame.
    send = STAYLINE_OUTPUT_KIND_SEND,
    /// Close with `code` and `text` as the reason; it is the last output.
    close = STAYLINE_OUTPUT_KIND_CLOSE,
};

/// Where a wrapper's connection stands.
enum class WrapperState : std::int32_t {
    /// Never opened.
    idle = STAYLINE_WRAPPER_STATE_IDLE,
    /// The first attempt is under way; in acknowledged mode until its `welcome`.
    connecting = STAYLINE_WRAPPER_STATE_CONNECTING,
    /// Events go out.
    connected = STAYLINE_WRAPPER_STATE_CONNECTED,
    /// The link broke; waiting for the next attempt, or making it.
    reconnecting = STAYLINE_WRAPPER_STATE_RECONNECTING,
    /// Over.
    closed = STAYLINE_WRAPPER_STATE_CLOSED,
};

/// What a signal tells.
enum class SignalKind : std::int32_t {
    /// The wait before attempt `attempt` begins (R41).
    reconnecting = STAYLINE_SIGNAL_KIND_RECONNECTING,
    /// The link is up again.
    reconnected = STAYLINE_SIGNAL_KIND_RECONNECTED,
    /// The wrapper has given up; `text` says why.
    disconnected = STAYLINE_SIGNAL_KIND_DISCONNECTED,
    /// The execution has ended (R46): `status`, `text` (its error), `unacknowledged`.
    execution_done = STAYLINE_SIGNAL_KIND_EXECUTION_DONE,
    /// Another wrapper has taken over (R46): stop.
    replaced = STAYLINE_SIGNAL_KIND_REPLACED,
    /// A frame from the coordinator that the wrapper has no use for (R52): `text` is its JSON.
    command = STAYLINE_SIGNAL_KIND_COMMAND,
    /// The agent's own event feed is silent: restart it (R53).
    restart_feed = STAYLINE_SIGNAL_KIND_RESTART_FEED,
    /// Run the post-completion task named `text`, and answer with `task_done` (R51).
    task = STAYLINE_SIGNAL_KIND_TASK,
    /// Stop the agent by `kill_signal`, and answer with `aborted` (R46, R52).
    abort = STAYLINE_SIGNAL_KIND_ABORT,
    /// Everything is sent and the link is closed (R51).
    drained = STAYLINE_SIGNAL_KIND_DRAINED,
};

/// How hard an agent is to be stopped. The numbers are POSIX's.
enum class KillSignal : std::int32_t {
    /// Insists.
    kill = STAYLINE_KILL_SIGNAL_KILL,
    /// Asks.
    term = STAYLINE_KILL_SIGNAL_TERM,
};

/// What a machine wants done (`sansio::Wrapper`).
enum class ActionKind : std::int32_t {
    /// Begin a connection attempt, and answer with `handle_opened` or `handle_refused`.
    connect = STAYLINE_ACTION_KIND_CONNECT,
    /// Send `text` as one text frame.
    write = STAYLINE_ACTION_KIND_WRITE,
    /// Close with `code` and `text`, or give up the attempt in flight; it may name one that is
    /// gone already. Code 1006: drop the socket, without a close handshake.
    close = STAYLINE_ACTION_KIND_CLOSE,
    /// Tell the host what `signal` says.
    tell = STAYLINE_ACTION_KIND_TELL,
};

/// How a commit fails that is made to; for tests.
enum class CommitOutcome : std::int32_t {
    /// Nothing is kept, and that is told.
    lost = STAYLINE_COMMIT_OUTCOME_LOST,
    /// It is kept, but the outcome is reported as unknown.
    unknown_kept = STAYLINE_COMMIT_OUTCOME_UNKNOWN_KEPT,
    /// It is not kept, and the outcome is reported as unknown.
    unknown_lost = STAYLINE_COMMIT_OUTCOME_UNKNOWN_LOST,
    /// The commit panics, as if by a bug of ours: every call throws `Panic` from then on.
    panic = STAYLINE_COMMIT_OUTCOME_PANIC,
};

/// How important a log record is.
enum class LogLevel : std::int32_t {
    /// Something is broken.
    error = STAYLINE_LOG_LEVEL_ERROR,
    /// Something is odd, and was dealt with.
    warn = STAYLINE_LOG_LEVEL_WARN,
    /// What a person who runs it wants to know.
    info = STAYLINE_LOG_LEVEL_INFO,
    /// What a person who looks for a fault wants to know.
    debug = STAYLINE_LOG_LEVEL_DEBUG,
};

/// The stable name of a status: `NotFound`, `Ok`. The texts of all `to_string` live as long as the
/// library; an unknown number has an empty one.
inline std::string_view to_string(Status status) {
    return detail::text(stayline_status_name(static_cast<std::int32_t>(status)));
}

/// `running`.
inline std::string_view to_string(ExecutionStatus status) {
    return detail::text(stayline_execution_status_name(static_cast<std::int32_t>(status)));
}

/// `healthy`; empty for `Health::none`.
inline std::string_view to_string(Health health) {
    return detail::text(stayline_health_name(static_cast<std::int32_t>(health)));
}

/// `execution_ended`.
inline std::string_view to_string(NotificationKind kind) {
    return detail::text(stayline_notification_kind_name(static_cast<std::int32_t>(kind)));
}

/// `reconnecting`.
inline std::string_view to_string(WrapperState state) {
    return detail::text(stayline_wrapper_state_name(static_cast<std::int32_t>(state)));
}

/// `execution_done`.
inline std::string_view to_string(SignalKind kind) {
    return detail::text(stayline_signal_kind_name(static_cast<std::int32_t>(kind)));
}

/// `allow`.
inline std::string_view to_string(Authorization authorization) {
    return detail::text(stayline_authorization_name(static_cast<std::int32_t>(authorization)));
}

/// `ingest`.
inline std::string_view to_string(Endpoint endpoint) {
    return detail::text(stayline_endpoint_name(static_cast<std::int32_t>(endpoint)));
}

/// `already_terminal`.
inline std::string_view to_string(Verdict verdict) {
    return detail::text(stayline_verdict_name(static_cast<std::int32_t>(verdict)));
}

/// `send`.
inline std::string_view to_string(OutputKind kind) {
    return detail::text(stayline_output_kind_name(static_cast<std::int32_t>(kind)));
}

/// `SIGTERM`, as frames have it.
inline std::string_view to_string(KillSignal signal) {
    return detail::text(stayline_kill_signal_name(static_cast<std::int32_t>(signal)));
}

/// `connect`.
inline std::string_view to_string(ActionKind kind) {
    return detail::text(stayline_action_kind_name(static_cast<std::int32_t>(kind)));
}

/// `unknown_kept`.
inline std::string_view to_string(CommitOutcome outcome) {
    return detail::text(stayline_commit_outcome_name(static_cast<std::int32_t>(outcome)));
}

/// `warn`.
inline std::string_view to_string(LogLevel level) {
    return detail::text(stayline_log_level_name(static_cast<std::int32_t>(level)));
}

}  // namespace stayline

#endif  // STAYLINE_ENUMS_HPP
