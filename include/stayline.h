/*
 * Stayline keeps long agent runs on the line: the C interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Written by `cargo test -p stayline-ffi --test header`; do not edit it. A guide with a whole host
 * is in docs/c.md. The rules that are cited (R12) are those of every language: docs/rules.md, which is
 * installed as share/doc/stayline/rules.md.
 *
 * Conventions
 *
 * Status. What can fail returns a stayline_status: STAYLINE_STATUS_OK, or a number of
 *   docs/errors.md. Comments name statuses without their prefix. Besides those they name, every
 *   function that takes an object may return INVALID_ARGUMENT (the object, or an output that must
 *   be given, is NULL; a text is no UTF-8, which is shown unless it is a secret; an id is none: 1 to
 *   max_id_bytes bytes, no control characters; what would write, on a coordinator that only reads),
 *   FORK_ERROR (the object belongs to the process that this one was forked from) and PANIC (a bug
 *   of ours, now or in an earlier call on this object or on one that it came from).
 *
 * Errors. The last parameter, out_error, may be NULL. Otherwise it is set: to NULL on OK, else to
 *   an error that is yours; free it with stayline_error_free.
 *
 * Outputs are written on OK only; otherwise they are zeroed. A struct that is written keeps its
 *   struct_size, and its other fields only change on OK.
 *
 * Text is UTF-8 and never assumed to end with a NUL. A stayline_view borrows, a stayline_buffer
 *   is owned by the caller. "None", for a text, is a view whose data is NULL. Of texts for people
 *   (message, error, reason, detail, what) whatever is not UTF-8 is written out, as \xff: what
 *   they tell of is told in any case.
 *
 * Objects are opaque. What a function puts out in an `out_…` pointer to an object is yours; free
 *   it with the _free of its type. An object that a function *returns* is lent. Freeing NULL is
 *   fine. Freeing an object while another thread is inside a call on it is not: _close it (where
 *   there is one), wait for those threads, then free it. _close is not _free: it completes what is
 *   outstanding, once; later calls answer CLOSED.
 *
 * Structs begin with struct_size. Options come from their …_default() function; what is written
 *   needs `struct_size` set to its sizeof. Both may grow at their end: a host goes on with a newer
 *   library as it was built. …_default() is compiled into the host; other languages call …_init().
 *
 * Enums cross as int32_t. Handle values that you do not know: a newer library may have more.
 *
 * Timeouts are ms: 0 does not wait, below 0 waits for ever.
 *
 * File descriptors are lent, level-triggered, and only to be watched for reading (poll, epoll,
 *   libuv, asyncio): readable means "take until it finds nothing".
 *
 * Threads. Objects may be used by any thread, several at a time, except where a comment says
 *   otherwise. No function keeps a lock of yours, and none calls back except as the types of
 *   callbacks say.
 *
 * Signals. On threads of the library all signals are blocked, but for those that a fault of the
 *   thread itself raises: they go to threads of yours. Nothing that it writes raises SIGPIPE, on
 *   whatever thread, and it installs no handler. Callbacks run on its threads, with 2 MiB of stack:
 *   what they start by fork, posix_spawn or system inherits the blocked signals, so set a mask.
 *
 * What stays. Threads end with the _close or _free of what they serve, but for those named
 *   stayline-net, which serve all sockets of the process: they stay, from the first server or
 *   wrapper until exit, which ends them behind all functions and destructors of yours. So dlclose
 *   leaves the library where it is.
 *
 * Fork. In a forked child every object of the parent is inert: calls answer FORK_ERROR, looks
 *   answer nothing, freeing lets go of memory only. New objects work.
 */

#ifndef STAYLINE_H
#define STAYLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A view, or a buffer, as the two arguments of printf's "%.*s". Evaluates its argument twice.
 */
#define STAYLINE_ARG(text) (int)(text).len, (text).data

#ifdef __cplusplus
/**
 * A view of a literal, whose length is known when it is compiled: `STAYLINE_LITERAL("memory:")`. It
 * may hold NULs, and nothing but a literal is taken.
 */
#define STAYLINE_LITERAL(text) (stayline_view{"" text, sizeof(text) - 1})
#else
/**
 * A view of a literal, whose length is known when it is compiled: `STAYLINE_LITERAL("memory:")`. It
 * may hold NULs, and nothing but a literal is taken.
 */
#define STAYLINE_LITERAL(text) ((stayline_view){"" text, sizeof(text) - 1})
#endif

/**
 * The version of this header; `stayline_version` tells that of the library.
 */
#define STAYLINE_VERSION "0.1.0"

/**
 * Its first number.
 */
#define STAYLINE_VERSION_MAJOR 0

/**
 * Its second number.
 */
#define STAYLINE_VERSION_MINOR 1

/**
 * Its third number.
 */
#define STAYLINE_VERSION_PATCH 0


/**
 * Stands for "no time", "no limit" and the like where an integer of 64 bits may be missing.
 */
#define STAYLINE_NONE INT64_MIN

/**
 * As the setting `interrupt_grace_ms` says.
 */
#define STAYLINE_GRACE_DEFAULT INT64_MIN

/**
 * Never: neither SIGKILL nor a failure follows.
 */
#define STAYLINE_GRACE_NEVER (INT64_MIN + 1)

/**
 * The version of the interface: raised when something that was there changes or goes. A host
 * compares it with `STAYLINE_ABI_VERSION` of the header it was built with.
 */
#define STAYLINE_ABI_VERSION 1

/**
 * How a call went. Numbers are never used again for something else; handle unknown ones.
 */
enum stayline_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It did what it says.
     */
    STAYLINE_STATUS_OK = 0,
    /**
     * The call is wrong; the message names the argument. Fix the call.
     */
    STAYLINE_STATUS_INVALID_ARGUMENT = 100,
    /**
     * Two settings contradict each other (R24); fields `first`, `second`.
     */
    STAYLINE_STATUS_INVALID_SETTINGS = 101,
    /**
     * The event was not accepted (R40); fields `reason`, `bytes`.
     */
    STAYLINE_STATUS_INVALID_EVENT = 102,
    /**
     * No such session, execution, lease or notification; field `what`.
     */
    STAYLINE_STATUS_NOT_FOUND = 200,
    /**
     * The execution id is taken (R2); field `execution_id`.
     */
    STAYLINE_STATUS_ALREADY_EXISTS = 201,
    /**
     * Another execution is active (R2); field `active`.
     */
    STAYLINE_STATUS_EXECUTION_IN_PROGRESS = 202,
    /**
     * The execution has ended (R25); field `status`.
     */
    STAYLINE_STATUS_EXECUTION_NOT_ACTIVE = 203,
    /**
     * It had ended, or not begun (R1); fields `from`, `to`.
     */
    STAYLINE_STATUS_INVALID_TRANSITION = 204,
    /**
     * There is nothing to stop (R11).
     */
    STAYLINE_STATUS_NO_ACTIVE_EXECUTION = 205,
    /**
     * Another job is active (R49); field `active`.
     */
    STAYLINE_STATUS_JOB_CONFLICT = 206,
    /**
     * Another wrapper has taken over (R45a): stop.
     */
    STAYLINE_STATUS_SUPERSEDED = 207,
    /**
     * Somebody else has the lease (R38); fields `holder`, `expires_at`.
     */
    STAYLINE_STATUS_ALREADY_HELD = 210,
    /**
     * The lease is not yours (R38); fields `holder`, `expires_at`.
     */
    STAYLINE_STATUS_WRONG_HOLDER = 211,
    /**
     * Token or ticket missing or wrong.
     */
    STAYLINE_STATUS_UNAUTHORIZED = 300,
    /**
     * No room for the event (R44); fields `events`, `bytes`. Slow down.
     */
    STAYLINE_STATUS_FULL = 400,
    /**
     * A limit is exceeded; fields `limit`, `value`.
     */
    STAYLINE_STATUS_LIMIT_EXCEEDED = 401,
    /**
     * The time is over; what was stored stays stored.
     */
    STAYLINE_STATUS_TIMEOUT = 402,
    /**
     * It was closed, or has ended; the message says what, and how a run ended.
     */
    STAYLINE_STATUS_CLOSED = 403,
    /**
     * The wrapper gave up (R41); field `reason`.
     */
    STAYLINE_STATUS_DISCONNECTED = 404,
    /**
     * Another coordinator owns the file; fields `pid`, `since`, `url`.
     */
    STAYLINE_STATUS_STORE_IN_USE = 500,
    /**
     * Nothing of this step was kept; try again.
     */
    STAYLINE_STATUS_STORE_ERROR = 501,
    /**
     * It is not known whether this step was kept: read before you try again.
     */
    STAYLINE_STATUS_STORE_UNKNOWN = 502,
    /**
     * A newer format, or no database of ours; fields `found`, `supported`.
     */
    STAYLINE_STATUS_STORE_FORMAT = 503,
    /**
     * The object belongs to the process that made it; field `pid`. Make a new one.
     */
    STAYLINE_STATUS_FORK_ERROR = 600,
    /**
     * A bug of ours; the object is unusable from now on.
     */
    STAYLINE_STATUS_PANIC = 700,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_status stayline_status;
#else
typedef int32_t stayline_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an action asks for.
 */
enum stayline_action_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Begin connection attempt `attempt`, and answer with `stayline_sansio_handle_opened` or
     * `…_handle_refused`: `execution_id`, `protocol`, `producer`, both timeouts.
     */
    STAYLINE_ACTION_KIND_CONNECT = 1,
    /**
     * Send `text` as one text frame on connection `attempt`.
     */
    STAYLINE_ACTION_KIND_WRITE = 2,
    /**
     * Close connection `attempt` with `code` and `text`, or give up the attempt in flight; it may
     * name one that is gone already. Code 1006: drop the socket, without a close handshake.
     */
    STAYLINE_ACTION_KIND_CLOSE = 3,
    /**
     * Tell the host what `stayline_action_signal` says.
     */
    STAYLINE_ACTION_KIND_TELL = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_action_kind stayline_action_kind;
#else
typedef int32_t stayline_action_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a host says about a wrapper that wants to attach (R25).
 */
enum stayline_authorization
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It may not, now or ever: it stops.
     */
    STAYLINE_AUTHORIZATION_DENY = 0,
    /**
     * It may.
     */
    STAYLINE_AUTHORIZATION_ALLOW = 1,
    /**
     * That is not known now: it tries again.
     */
    STAYLINE_AUTHORIZATION_LATER = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_authorization stayline_authorization;
#else
typedef int32_t stayline_authorization;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a commit fails that is made to; for tests.
 */
enum stayline_commit_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing is kept, and that is told.
     */
    STAYLINE_COMMIT_OUTCOME_LOST = 1,
    /**
     * It is kept, but the outcome is reported as unknown.
     */
    STAYLINE_COMMIT_OUTCOME_UNKNOWN_KEPT = 2,
    /**
     * It is not kept, and the outcome is reported as unknown.
     */
    STAYLINE_COMMIT_OUTCOME_UNKNOWN_LOST = 3,
    /**
     * The commit panics, as if by a bug of ours: every call answers `PANIC` from then on.
     */
    STAYLINE_COMMIT_OUTCOME_PANIC = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_commit_outcome stayline_commit_outcome;
#else
typedef int32_t stayline_commit_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The status of an execution (R1). 0 stands for none.
 */
enum stayline_execution_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * No wrapper has attached yet.
     */
    STAYLINE_EXECUTION_STATUS_PENDING = 1,
    /**
     * A wrapper has attached.
     */
    STAYLINE_EXECUTION_STATUS_RUNNING = 2,
    /**
     * Ended by itself.
     */
    STAYLINE_EXECUTION_STATUS_COMPLETED = 3,
    /**
     * Failed.
     */
    STAYLINE_EXECUTION_STATUS_FAILED = 4,
    /**
     * Stopped on request.
     */
    STAYLINE_EXECUTION_STATUS_INTERRUPTED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_execution_status stayline_execution_status;
#else
typedef int32_t stayline_execution_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The health of a running execution, from its last sign of life (R6).
 */
enum stayline_health
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It is not running.
     */
    STAYLINE_HEALTH_NONE = 0,
    /**
     * A sign of life within `healthy_within_ms`.
     */
    STAYLINE_HEALTH_HEALTHY = 1,
    /**
     * None for a while.
     */
    STAYLINE_HEALTH_UNKNOWN = 2,
    /**
     * None for longer than `stale_after_ms`: it is about to be failed.
     */
    STAYLINE_HEALTH_STALE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_health stayline_health;
#else
typedef int32_t stayline_health;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How hard an agent is to be stopped. The numbers are POSIX's.
 */
enum stayline_kill_signal
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Insists.
     */
    STAYLINE_KILL_SIGNAL_KILL = 9,
    /**
     * Asks.
     */
    STAYLINE_KILL_SIGNAL_TERM = 15,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_kill_signal stayline_kill_signal;
#else
typedef int32_t stayline_kill_signal;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How important a log record is.
 */
enum stayline_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Something is broken.
     */
    STAYLINE_LOG_LEVEL_ERROR = 1,
    /**
     * Something is odd, and was dealt with.
     */
    STAYLINE_LOG_LEVEL_WARN = 2,
    /**
     * What a person who runs it wants to know.
     */
    STAYLINE_LOG_LEVEL_INFO = 3,
    /**
     * What a person who looks for a fault wants to know.
     */
    STAYLINE_LOG_LEVEL_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_log_level stayline_log_level;
#else
typedef int32_t stayline_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a notification tells (R39).
 */
enum stayline_notification_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * An execution became terminal.
     */
    STAYLINE_NOTIFICATION_KIND_EXECUTION_ENDED = 1,
    /**
     * A session has been idle for `idle_after_ms` (R19).
     */
    STAYLINE_NOTIFICATION_KIND_SESSION_IDLE = 2,
    /**
     * The wrapper's own ending came after the coordinator's (R10a).
     */
    STAYLINE_NOTIFICATION_KIND_LATE_RESULT = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_notification_kind stayline_notification_kind;
#else
typedef int32_t stayline_notification_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What is to be done to the socket.
 */
enum stayline_output_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Send `text` as one text frame.
     */
    STAYLINE_OUTPUT_KIND_SEND = 1,
    /**
     * Close with `code` and `text` as the reason; it is the last output.
     */
    STAYLINE_OUTPUT_KIND_CLOSE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_output_kind stayline_output_kind;
#else
typedef int32_t stayline_output_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a signal tells.
 */
enum stayline_signal_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The wait before attempt `attempt` begins (R41).
     */
    STAYLINE_SIGNAL_KIND_RECONNECTING = 1,
    /**
     * The link is up again.
     */
    STAYLINE_SIGNAL_KIND_RECONNECTED = 2,
    /**
     * The wrapper has given up; `text` says why.
     */
    STAYLINE_SIGNAL_KIND_DISCONNECTED = 3,
    /**
     * The execution has ended (R46): `status`, `text` (its error), `unacknowledged`.
     */
    STAYLINE_SIGNAL_KIND_EXECUTION_DONE = 4,
    /**
     * Another wrapper has taken over (R46): stop.
     */
    STAYLINE_SIGNAL_KIND_REPLACED = 5,
    /**
     * A frame from the coordinator that the wrapper has no use for (R52): `text` is its JSON.
     */
    STAYLINE_SIGNAL_KIND_COMMAND = 6,
    /**
     * The agent's own event feed is silent: restart it (R53).
     */
    STAYLINE_SIGNAL_KIND_RESTART_FEED = 7,
    /**
     * Run the post-completion task named `text`, and answer with `…_task_done` (R51).
     */
    STAYLINE_SIGNAL_KIND_TASK = 8,
    /**
     * Stop the agent by `kill_signal`, and answer with `…_aborted` (R46, R52).
     */
    STAYLINE_SIGNAL_KIND_ABORT = 9,
    /**
     * Everything is sent and the link is closed (R51).
     */
    STAYLINE_SIGNAL_KIND_DRAINED = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_signal_kind stayline_signal_kind;
#else
typedef int32_t stayline_signal_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The verdict on an interrupt (R11).
 */
enum stayline_verdict
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A link is attached: the kill goes out on it.
     */
    STAYLINE_VERDICT_SENT = 1,
    /**
     * It goes out at attach.
     */
    STAYLINE_VERDICT_LATCHED = 2,
    /**
     * There is nothing to stop any more.
     */
    STAYLINE_VERDICT_ALREADY_TERMINAL = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_verdict stayline_verdict;
#else
typedef int32_t stayline_verdict;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What the path of a request leads to.
 */
enum stayline_endpoint
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * No wrapper's and no subscriber's.
     */
    STAYLINE_ENDPOINT_OTHER = 0,
    /**
     * `…/sessions/{session}/ingest`: a wrapper.
     */
    STAYLINE_ENDPOINT_INGEST = 1,
    /**
     * `…/sessions/{session}/stream`: a subscriber on a WebSocket.
     */
    STAYLINE_ENDPOINT_STREAM = 2,
    /**
     * `…/sessions/{session}/events`: a subscriber to server-sent events.
     */
    STAYLINE_ENDPOINT_EVENTS = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_endpoint stayline_endpoint;
#else
typedef int32_t stayline_endpoint;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Where a wrapper's connection stands.
 */
enum stayline_wrapper_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Never opened.
     */
    STAYLINE_WRAPPER_STATE_IDLE = 0,
    /**
     * The first attempt is under way; in acknowledged mode until its `welcome`.
     */
    STAYLINE_WRAPPER_STATE_CONNECTING = 1,
    /**
     * Events go out.
     */
    STAYLINE_WRAPPER_STATE_CONNECTED = 2,
    /**
     * The link broke; waiting for the next attempt, or making it.
     */
    STAYLINE_WRAPPER_STATE_RECONNECTING = 3,
    /**
     * Over.
     */
    STAYLINE_WRAPPER_STATE_CLOSED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum stayline_wrapper_state stayline_wrapper_state;
#else
typedef int32_t stayline_wrapper_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * One thing to do. It does not change; any thread may use it.
 */
typedef struct stayline_action stayline_action;

/**
 * An attach that is being made by a thread of the coordinator's. Any thread may use it.
 */
typedef struct stayline_attaching stayline_attaching;

/**
 * A clock for coordinators in tests: it moves only when told, and handles everything that is due
 * on the way before the call returns. Give it to `stayline_coordinator_open`; one clock may serve
 * several.
 */
typedef struct stayline_clock stayline_clock;

/**
 * The side that owns sessions: status, event log, deadlines, subscribers, notifications.
 *
 * It is closed by `stayline_coordinator_close`, or when the last object that was got from it is
 * freed. Any thread may use it.
 */
typedef struct stayline_coordinator stayline_coordinator;

/**
 * An error: what went wrong and with which values. Owned by whoever got it; never changes.
 */
typedef struct stayline_error stayline_error;

/**
 * One event of a session's log or stream. It does not change; any thread may use it.
 */
typedef struct stayline_event stayline_event;

/**
 * Stored events, read in bounded rounds as they are taken (R36). Any thread may use it; each
 * event goes to one of those that take.
 */
typedef struct stayline_events stayline_events;

/**
 * One agent run, as it was when it was read: it does not change. Any thread may use it.
 */
typedef struct stayline_execution stayline_execution;

/**
 * Several executions. It does not change; any thread may use it.
 */
typedef struct stayline_executions stayline_executions;

/**
 * A lease as it was when it was taken or extended: it does not change. Any thread may use it.
 */
typedef struct stayline_lease stayline_lease;

/**
 * One connection from a wrapper. Give it what the socket receives, write what it puts out, and
 * say when the socket is gone. Freed without that, it counts as closed with 1006. Any thread may
 * use it.
 */
typedef struct stayline_link stayline_link;

/**
 * One notification as it was when it was taken or listed: it does not change. Any thread may use
 * it.
 */
typedef struct stayline_notification stayline_notification;

/**
 * Several notifications. It does not change; any thread may use it.
 */
typedef struct stayline_notifications stayline_notifications;

/**
 * One output of a link. It does not change; any thread may use it.
 */
typedef struct stayline_output stayline_output;

/**
 * A request as it was read: what of it matters here. It does not change; any thread may use it.
 */
typedef struct stayline_request stayline_request;

/**
 * The machine of a wrapper: no socket, no clock, no randomness of its own. After every call that
 * takes `now_ms`, take its actions with `stayline_sansio_poll_action` until there is none and do
 * them in order; then call `stayline_sansio_handle_timeout` at `stayline_sansio_next_deadline`.
 * Time is ms since the Unix epoch and must not go back; one beyond all calendars is
 * `INVALID_ARGUMENT` to all of them. Any thread may use it, one at a time if
 * the order matters.
 */
typedef struct stayline_sansio stayline_sansio;

/**
 * A running server; freeing it closes it. Any thread may use it.
 */
typedef struct stayline_server stayline_server;

/**
 * The unit of ownership: a conversation or workspace, named by an id. A handle on it; having one
 * creates nothing, and keeps the coordinator alive. Any thread may use it. What changes something
 * returns once that is durable (R27).
 */
typedef struct stayline_session stayline_session;

/**
 * A session as it was when it was read: it does not change. Any thread may use it.
 */
typedef struct stayline_session_snapshot stayline_session_snapshot;

/**
 * Several sessions. It does not change; any thread may use it.
 */
typedef struct stayline_session_snapshots stayline_session_snapshots;

/**
 * Every bound and every delay. Made with the defaults, changed one by one, and copied by whatever
 * takes it: changing it later changes nothing that is open.
 */
typedef struct stayline_settings stayline_settings;

/**
 * One thing that a wrapper tells its host. It does not change; any thread may use it.
 */
typedef struct stayline_signal stayline_signal;

/**
 * A cursor over a session's log: the past, a `connected` record, then what is live; each stored
 * event once and in order (R35). Any thread may use it; each event goes to one of those that
 * take.
 */
typedef struct stayline_subscription stayline_subscription;

/**
 * The side next to the agent, with its socket: it connects, reconnects, buffers and resends by
 * itself. Any thread may use it.
 */
typedef struct stayline_wrapper stayline_wrapper;

/**
 * A borrowed piece of text: UTF-8, not NUL-terminated. `data` NULL: no text; `len` 0 with `data`
 * set: an empty one.
 *
 * Given to a function it is read during the call only. Got from one it lives as long as what it
 * was got from, which the function's comment names.
 */
typedef struct {
    /**
     * The first byte; NULL for no text.
     */
    const char *data;
    /**
     * How many bytes.
     */
    size_t len;
} stayline_view;

/**
 * What an action says. Set `struct_size`, and call `stayline_action_get`. Texts live as long as
 * the action.
 */
typedef struct {
    /**
     * `sizeof(stayline_action_info)`.
     */
    size_t struct_size;
    /**
     * A `stayline_action_kind`.
     */
    int32_t kind;
    /**
     * `CONNECT`: the protocol to ask for, 2; 0: basic mode, ask for none.
     */
    uint8_t protocol;
    /**
     * `CLOSE`: the close code.
     */
    uint16_t code;
    /**
     * Which connection; all that is said about it carries this number (R42).
     */
    uint64_t attempt;
    /**
     * `CONNECT`: the execution to attach to.
     */
    stayline_view execution_id;
    /**
     * `CONNECT`: the producer to name; none in basic mode.
     */
    stayline_view producer;
    /**
     * `CONNECT`: for TCP and TLS, ms (R48).
     */
    int64_t dial_timeout_ms;
    /**
     * `CONNECT`: for the answer to the upgrade request, ms (R48).
     */
    int64_t upgrade_timeout_ms;
    /**
     * `WRITE`: the frame. `CLOSE`: the reason.
     */
    stayline_view text;
} stayline_action_info;

/**
 * How to open a coordinator. Begin with `stayline_coordinator_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_coordinator_options)`.
     */
    size_t struct_size;
    /**
     * Every bound and delay, copied; NULL: the defaults.
     */
    const stayline_settings *settings;
    /**
     * Where time comes from, for tests; NULL: the system's clock.
     */
    const stayline_clock *clock;
    /**
     * Beside the store's owner, or without one: what would write is `INVALID_ARGUMENT`, nothing
     * is recovered and no deadline is acted on. Takes no clock.
     */
    bool read_only;
} stayline_coordinator_options;

/**
 * The host's own way to let wrappers in (R25).
 *
 * `call` runs on threads of the server's, up to eight at a time, and may block; it may call into
 * this library, but must not close or free the server it answers for. It must not throw. One that
 * takes longer than `authorize_timeout_ms` has said `LATER`, and holds its thread until it
 * returns. `drop` runs once, after every `call` has returned, and no call begins after it.
 */
typedef struct {
    /**
     * Whether the wrapper that brought `bearer` (none: nothing) may attach: a
     * `stayline_authorization`; another number is `LATER`. `DENY` ends a run that has lost its
     * link: what could not be found out is `LATER`. The texts live during the call. NULL: the
     * execution's token decides.
     */
    int32_t (*call)(void *user_data,
                    stayline_view session_id,
                    stayline_view execution_id,
                    stayline_view bearer);
    /**
     * Frees `user_data`; NULL: nothing to free.
     */
    void (*drop)(void *user_data);
    /**
     * Passed to both.
     */
    void *user_data;
} stayline_authorize_callback;

/**
 * How a server is set up. Begin with `stayline_server_options_default()`, which serves this
 * machine only.
 */
typedef struct {
    /**
     * `sizeof(stayline_server_options)`.
     */
    size_t struct_size;
    /**
     * The key for REST and for tickets (`Authorization: Bearer`); needed on anything but
     * loopback. None: none.
     */
    stayline_view key;
    /**
     * Origins whose pages may connect, as browsers send them (`https://example.org`); `*`: all,
     * which needs a key.
     */
    const stayline_view *allowed_origins;
    /**
     * How many.
     */
    size_t allowed_origins_count;
    /**
     * Decides instead of the execution's token whether a wrapper is let in.
     */
    stayline_authorize_callback authorize;
    /**
     * What stands before `/sessions` in every path: none, or `/something`, of letters, digits and
     * `-._~`.
     */
    stayline_view base_path;
    /**
     * With this it serves `https://` and `wss://`, and nothing without TLS: the path of a PEM
     * file, the server's certificate followed by those that lead to its authority's. Where the
     * files change, new connections get the new certificate within a minute. None: no TLS.
     */
    stayline_view tls_certificate;
    /**
     * Its private key, the path of a PEM file without a passphrase.
     */
    stayline_view tls_key;
    /**
     * Sockets at the same time, of all kinds; one more is answered with 503. 0: 10 000.
     */
    size_t max_sockets;
    /**
     * Sockets at the same time that were let in to nothing yet; when there is one more, the one
     * that has been silent longest is answered with 503. 0: 256.
     */
    size_t max_unauthenticated_sockets;
    /**
     * Requests under way at the same time: so many that read, and so many that change something;
     * one more is answered with 429. 0: 256.
     */
    size_t max_requests;
    /**
     * The body of a request, in bytes; a longer one is answered with 413. 0: 2 MiB.
     */
    size_t max_body_bytes;
    /**
     * Threads that drive sockets, at most 64. 0: 2.
     */
    size_t workers;
} stayline_server_options;

/**
 * Text that the caller owns and frees with `stayline_buffer_free`. UTF-8; a NUL follows it,
 * which `len` does not count. `data` NULL: no text.
 */
typedef struct {
    /**
     * The first byte; NULL for no text.
     */
    char *data;
    /**
     * How many bytes, without the NUL.
     */
    size_t len;
} stayline_buffer;

/**
 * Conditions on stored events, all of which must hold (R34). Begin with
 * `stayline_event_filter_default()`, which lets everything through.
 */
typedef struct {
    /**
     * `sizeof(stayline_event_filter)`.
     */
    size_t struct_size;
    /**
     * Only ids greater than this.
     */
    uint64_t after;
    /**
     * Only these executions; NULL: all.
     */
    const stayline_view *executions;
    /**
     * How many.
     */
    size_t executions_count;
    /**
     * Only these event types; NULL: all.
     */
    const stayline_view *types;
    /**
     * How many.
     */
    size_t types_count;
    /**
     * Only timestamps from here on, ms, inclusive; `STAYLINE_NONE`: no bound.
     */
    int64_t since_ms;
    /**
     * Only timestamps up to here, ms, inclusive; `STAYLINE_NONE`: no bound.
     */
    int64_t until_ms;
    /**
     * At most so many; `UINT64_MAX`: no bound.
     */
    uint64_t limit;
} stayline_event_filter;

/**
 * What an event says. Set `struct_size`, and call `stayline_event_get`. Texts live as long as the
 * event.
 */
typedef struct {
    /**
     * `sizeof(stayline_event_info)`.
     */
    size_t struct_size;
    /**
     * Per session, from 1, strictly increasing (R33); 0 for volatile and control records.
     */
    uint64_t id;
    /**
     * Whose run it belongs to; none for control records.
     */
    stayline_view execution_id;
    /**
     * The session.
     */
    stayline_view session_id;
    /**
     * Its type; of a control record `connected`, `gap` or `deleted`.
     */
    stayline_view event_type;
    /**
     * The event's own timestamp, ms since the Unix epoch; it may lie.
     */
    int64_t timestamp_ms;
    /**
     * It came after the execution's end (R10a).
     */
    bool late;
    /**
     * It is a control record, which passes every filter (R34a).
     */
    bool control;
    /**
     * JSON.
     */
    stayline_view data;
} stayline_event_info;

/**
 * What an execution says. Set `struct_size`, and call `stayline_execution_get`. Texts live as
 * long as the execution object; times are ms since the Unix epoch, `STAYLINE_NONE` for none.
 */
typedef struct {
    /**
     * `sizeof(stayline_execution_info)`.
     */
    size_t struct_size;
    /**
     * Its id, unique in its session.
     */
    stayline_view id;
    /**
     * Its session.
     */
    stayline_view session_id;
    /**
     * What its wrapper must bring; only the object that `stayline_session_start` made has it, and
     * those that were got from that one.
     */
    stayline_view token;
    /**
     * The host's word for the kind of run.
     */
    stayline_view mode;
    /**
     * A `stayline_execution_status`.
     */
    int32_t status;
    /**
     * A `stayline_health`.
     */
    int32_t health;
    /**
     * Why it failed or was interrupted (R5).
     */
    stayline_view error;
    /**
     * The agent's own session id, where it is known (R30).
     */
    stayline_view agent_session_id;
    /**
     * It was asked to stop, and has not ended (R11).
     */
    bool interrupt_requested;
    /**
     * It runs without a link, in its disconnect grace (R20).
     */
    bool grace;
    /**
     * Times its wrapper came back after a disconnect (R21).
     */
    uint64_t reconnects;
    /**
     * When it was started.
     */
    int64_t created_at_ms;
    /**
     * When its first link was accepted.
     */
    int64_t started_at_ms;
    /**
     * When it became terminal (R5).
     */
    int64_t completed_at_ms;
    /**
     * The stored sign of life (R14).
     */
    int64_t last_heartbeat_at_ms;
    /**
     * When its newest frame other than a heartbeat came: to the moment where this coordinator
     * runs it, and once it has ended; else as far as it is stored (R14).
     */
    int64_t last_event_at_ms;
    /**
     * When its wrapper was last heard of: to the moment where this coordinator runs it, else as
     * far as it is stored, which is refreshed now and then (R14).
     */
    int64_t last_seen_at_ms;
    /**
     * The integer `exitCode` of its wrapper's terminal event (R29); `STAYLINE_NONE` for none.
     */
    int64_t exit_code;
} stayline_execution_info;

/**
 * What is called when the agent is to be stopped.
 *
 * `call` runs on a thread of ours, one call at a time, and may block; it may call into this
 * library, also `stayline_wrapper_aborted` and `stayline_wrapper_close`, but must not free the
 * wrapper. It must not throw. `drop` runs once, on that thread, after the last `call`.
 * `stayline_wrapper_free` waits for both: behind it nothing of this is used any more.
 */
typedef struct {
    /**
     * Stop the agent by this `stayline_kill_signal`, and answer with `stayline_wrapper_aborted`.
     */
    void (*call)(void *user_data,
                 int32_t kill_signal);
    /**
     * Frees `user_data`; NULL: nothing to free.
     */
    void (*drop)(void *user_data);
    /**
     * Passed to both.
     */
    void *user_data;
} stayline_kill_callback;

/**
 * How to interrupt. Begin with `stayline_interrupt_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_interrupt_options)`.
     */
    size_t struct_size;
    /**
     * Which execution; none: the active one.
     */
    stayline_view execution_id;
    /**
     * SIGKILL at once (R13).
     */
    bool escalate;
    /**
     * From now to SIGKILL, ms; or `STAYLINE_GRACE_DEFAULT`, `STAYLINE_GRACE_NEVER`.
     */
    int64_t grace_ms;
} stayline_interrupt_options;

/**
 * A job of the agent. Begin with `stayline_job_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_job)`.
     */
    size_t struct_size;
    /**
     * The execution it belongs to; a driven wrapper takes its own where there is none here.
     */
    stayline_view execution_id;
    /**
     * The agent's root session, where it is known: only its idle ends the run (R51).
     */
    stayline_view agent_session;
    /**
     * The post-completion tasks, run one after the other when the run is idle (R51).
     */
    const stayline_view *tasks;
    /**
     * How many.
     */
    size_t tasks_count;
    /**
     * The branch that `complete` names; may be none.
     */
    stayline_view branch;
} stayline_job;

/**
 * What a lease says. Set `struct_size`, and call `stayline_lease_get`. Texts live as long as the
 * lease object.
 */
typedef struct {
    /**
     * `sizeof(stayline_lease_info)`.
     */
    size_t struct_size;
    /**
     * The execution.
     */
    stayline_view execution_id;
    /**
     * Who holds it.
     */
    stayline_view lease_id;
    /**
     * What for, in the host's words; may be none.
     */
    stayline_view message_id;
    /**
     * Until when, ms since the Unix epoch; at that moment anyone may take it.
     */
    int64_t expires_at_ms;
} stayline_lease_info;

/**
 * What an output says. Set `struct_size`, and call `stayline_output_get`. The text lives as long
 * as the output.
 */
typedef struct {
    /**
     * `sizeof(stayline_output_info)`.
     */
    size_t struct_size;
    /**
     * A `stayline_output_kind`.
     */
    int32_t kind;
    /**
     * The close code.
     */
    uint16_t code;
    /**
     * The frame, or the close reason.
     */
    stayline_view text;
} stayline_output_info;

/**
 * Where log records go.
 *
 * `call` runs on whatever thread has something to say, several at a time, also on threads of the
 * host's in the middle of a call; it must return soon, must not wait for another thread that uses
 * this library, and must not throw. From inside, objects cannot be used (`INVALID_ARGUMENT`, and
 * looks answer nothing) and must not be freed; errors, buffers and names can. `drop` runs once,
 * after every `call` has returned, and no call begins after it.
 */
typedef struct {
    /**
     * Gets a `stayline_log_level` and one line, which lives during the call. NULL: no records.
     */
    void (*call)(void *user_data,
                 int32_t level,
                 stayline_view message);
    /**
     * Frees `user_data`; NULL: nothing to free.
     */
    void (*drop)(void *user_data);
    /**
     * Passed to both.
     */
    void *user_data;
} stayline_log_callback;

/**
 * What a notification says. Set `struct_size`, and call `stayline_notification_get`. Texts live
 * as long as the notification object.
 */
typedef struct {
    /**
     * `sizeof(stayline_notification_info)`.
     */
    size_t struct_size;
    /**
     * Its own id; the same at each delivery.
     */
    stayline_view id;
    /**
     * A `stayline_notification_kind`.
     */
    int32_t kind;
    /**
     * How it ended, a `stayline_execution_status`; for a late result, how the wrapper says it
     * ended. 0: none.
     */
    int32_t status;
    /**
     * The session it is about.
     */
    stayline_view session_id;
    /**
     * The execution it is about; none for `SESSION_IDLE`.
     */
    stayline_view execution_id;
    /**
     * Why it failed or was interrupted.
     */
    stayline_view error;
    /**
     * The branch that the run named when it completed (R29).
     */
    stayline_view branch;
    /**
     * The agent's own session id, where it is known (R30).
     */
    stayline_view agent_session_id;
    /**
     * Which delivery this is, from 1.
     */
    uint32_t attempt;
    /**
     * All its deliveries are used up: it comes no more unless it is requeued.
     */
    bool parked;
    /**
     * When it was enqueued, ms since the Unix epoch.
     */
    int64_t created_at_ms;
} stayline_notification_info;

/**
 * One header of a request. It does not grow.
 */
typedef struct {
    /**
     * Its name, in any case.
     */
    stayline_view name;
    /**
     * Its value. One that is no UTF-8 counts as none: none of ours is.
     */
    stayline_view value;
} stayline_header;

/**
 * What a request says. Set `struct_size`, and call `stayline_request_get`. Texts live as long as
 * the request object.
 */
typedef struct {
    /**
     * `sizeof(stayline_request_info)`.
     */
    size_t struct_size;
    /**
     * What its path leads to: a `stayline_endpoint`.
     */
    int32_t endpoint;
    /**
     * The session in the path, decoded; none for another path.
     */
    stayline_view session_id;
    /**
     * What came to show who asks: the bearer of `Authorization`, or the query's `token`; may be
     * none.
     */
    stayline_view token;
    /**
     * The query's `ticket` (`stayline_coordinator_verify_ticket`); may be none.
     */
    stayline_view ticket;
} stayline_request_info;

/**
 * A handshake that did not succeed. Begin with `stayline_refused_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_refused)`.
     */
    size_t struct_size;
    /**
     * The HTTP status; 0: there was no answer.
     */
    uint16_t status;
    /**
     * The `Stayline-Refusal` header; only with it a refusal is final (R46). None: not there.
     */
    stayline_view refusal;
    /**
     * The `Stayline-Status` header; none: not there.
     */
    stayline_view execution_status;
    /**
     * What went wrong, for people; may be none.
     */
    stayline_view detail;
    /**
     * The `Retry-After` header, in ms: the next attempt comes no sooner, as far as
     * `reconnect_cap_ms` goes (R41); 0: not there.
     */
    int64_t retry_after_ms;
} stayline_refused;

/**
 * How it ended. Set `struct_size`.
 */
typedef struct {
    /**
     * `sizeof(stayline_outcome)`.
     */
    size_t struct_size;
    /**
     * A `stayline_execution_status`; 0: everything was sent, and nobody said how it ended.
     */
    int32_t status;
    /**
     * Events that were not acknowledged and are discarded.
     */
    uint64_t unacknowledged;
} stayline_outcome;

/**
 * How an event is to be sent. Begin with `stayline_send_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_send_options)`.
     */
    size_t struct_size;
    /**
     * It may give way when the buffer is full, before any other kind does (R44).
     */
    bool droppable;
    /**
     * When it happened, ms since the Unix epoch; `STAYLINE_NONE`: now.
     */
    int64_t timestamp_ms;
} stayline_send_options;

/**
 * How to start an execution. Begin with `stayline_start_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_start_options)`.
     */
    size_t struct_size;
    /**
     * Its id, unique in the session; none: one is made (`exc_` + UUIDv7).
     */
    stayline_view execution_id;
    /**
     * The host's word for the kind of run; none: none.
     */
    stayline_view mode;
    /**
     * What the wrapper must bring; none: one is made.
     */
    stayline_view token;
} stayline_start_options;

/**
 * How to attach a link. Begin with `stayline_attach_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_attach_options)`.
     */
    size_t struct_size;
    /**
     * The execution to attach to: the query's `executionId`.
     */
    stayline_view execution_id;
    /**
     * What the wrapper brought, compared in constant time; none: nothing.
     */
    stayline_view token;
    /**
     * The host has checked by itself: `token` is not looked at.
     */
    bool trusted;
    /**
     * The wrapper asked for acknowledged mode (`Stayline-Protocol: 2`, R45).
     */
    bool acknowledged;
    /**
     * In acknowledged mode: the query's `producer`.
     */
    stayline_view producer;
    /**
     * In acknowledged mode: the query's `attempt`, from 1; 0: it had none.
     */
    uint64_t attempt;
} stayline_attach_options;

/**
 * How to fail an execution. Begin with `stayline_fail_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_fail_options)`.
     */
    size_t struct_size;
    /**
     * The type of the event that tells it; none: `error` (R9).
     */
    stayline_view event_type;
    /**
     * Further fields of that event, a JSON object; `error` and `fatal` cannot be overwritten.
     */
    stayline_view payload;
    /**
     * No notification, since the caller handles it itself (R10).
     */
    bool suppress_notification;
    /**
     * Only while no wrapper has attached: a launch that failed (R10). Otherwise nothing is done.
     */
    bool only_pending;
} stayline_fail_options;

/**
 * What to subscribe to. Begin with `stayline_subscribe_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_subscribe_options)`.
     */
    size_t struct_size;
    /**
     * Which events; its `after` is where to begin, its limit is not used. NULL: all.
     */
    const stayline_event_filter *filter;
    /**
     * The log's epoch as the reader knows it, when it resumes: another one is told by a `gap`
     * record (R34a); none: not known.
     */
    stayline_view epoch;
    /**
     * Begin at the end of the log instead of replaying the past.
     */
    bool live_only;
    /**
     * End once this execution is terminal and everything stored was given; none: never.
     */
    stayline_view until;
} stayline_subscribe_options;

/**
 * What a session says. Set `struct_size`, and call `stayline_session_snapshot_info`. Texts live
 * as long as the snapshot; times are ms since the Unix epoch.
 */
typedef struct {
    /**
     * `sizeof(stayline_session_info)`.
     */
    size_t struct_size;
    /**
     * Its id.
     */
    stayline_view id;
    /**
     * The log's epoch, made with the session (R34a).
     */
    stayline_view epoch;
    /**
     * When it was made.
     */
    int64_t created_at_ms;
    /**
     * Start, heartbeats, events, completion (R19).
     */
    int64_t last_activity_at_ms;
    /**
     * The id of the newest event (R33).
     */
    uint64_t last_event_id;
    /**
     * The branch of the last completed execution that named one (R29).
     */
    stayline_view branch;
    /**
     * The agent's own session id (R30).
     */
    stayline_view agent_session_id;
    /**
     * The id of the active execution; none when none is.
     */
    stayline_view active;
    /**
     * The active execution is in its disconnect grace (R20).
     */
    bool grace;
    /**
     * The active execution has a link; known to the store's owner only.
     */
    bool link_attached;
} stayline_session_info;

/**
 * What a signal says. Set `struct_size`, and call `stayline_signal_get`. The text lives as long
 * as the signal.
 */
typedef struct {
    /**
     * `sizeof(stayline_signal_info)`.
     */
    size_t struct_size;
    /**
     * A `stayline_signal_kind`.
     */
    int32_t kind;
    /**
     * `EXECUTION_DONE`: a `stayline_execution_status`; 0 where it is not known.
     */
    int32_t status;
    /**
     * `ABORT`: a `stayline_kill_signal`.
     */
    int32_t kill_signal;
    /**
     * `RECONNECTING`: the attempt that is waited for, from 1.
     */
    uint32_t attempt;
    /**
     * `EXECUTION_DONE`: events that were not acknowledged and are discarded.
     */
    uint64_t unacknowledged;
    /**
     * The reason, the error, the task's name, or the command as JSON.
     */
    stayline_view text;
} stayline_signal_info;

/**
 * Where a wrapper connects to, as whom, and how it behaves. Begin with
 * `stayline_wrapper_options_default()`.
 */
typedef struct {
    /**
     * `sizeof(stayline_wrapper_options)`.
     */
    size_t struct_size;
    /**
     * The server's base address: `http://`, `https://`, `ws://` or `wss://`.
     */
    stayline_view url;
    /**
     * The session.
     */
    stayline_view session_id;
    /**
     * The execution.
     */
    stayline_view execution_id;
    /**
     * The execution's token, or whatever the server's host asks for; may be none.
     */
    stayline_view token;
    /**
     * Every bound and delay, copied; NULL: the defaults.
     */
    const stayline_settings *settings;
    /**
     * The first connection is retried like later ones (R48); default: it fails fast.
     */
    bool retry_first;
    /**
     * The run is active from the beginning (default): a kill is told to the host, which stops the
     * agent and answers with `stayline_wrapper_aborted` (R52). Hosts that give jobs and turns
     * themselves switch it off.
     */
    bool active;
    /**
     * Whether it goes through a proxy (`CONNECT`; TLS goes through it end to end): none or
     * `environment` (default), as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; `none`, never;
     * or the address of one, `http://[USER:PASSWORD@]HOST[:PORT]`.
     */
    stayline_view proxy;
} stayline_wrapper_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a kind of action: `connect`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_action_kind_name(int32_t kind);

/**
 * Reads what an action says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_action_get(const stayline_action *action,
                                    stayline_action_info *out_info,
                                    stayline_error **out_error);

/**
 * What the host is to be told; NULL unless the kind is `TELL`. It belongs to the action, and
 * lives as long as it. Threads: any.
 */
const stayline_signal *stayline_action_signal(const stayline_action *action);

/**
 * Frees an action; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_action_free(stayline_action *action);

/**
 * Begins what `stayline_session_attach_request` does, and returns at once: a thread of the
 * coordinator's waits for the disk. Of those there are at most 8; what is more waits in a queue. What
 * the link is given later is committed by other threads, too (`stayline_link_try_receive`).
 *
 * - `trusted`: the host has checked by itself: the request's token is not looked at.
 * - `out_attaching`: yours; free it with `stayline_attaching_free`.
 *
 * Returns `OK`; `INVALID_ARGUMENT` as `stayline_session_attach_request`; or `LIMIT_EXCEEDED` when no
 * thread can be made. Threads: any.
 */
stayline_status stayline_session_begin_attach(stayline_session *session,
                                              const stayline_request *request,
                                              bool trusted,
                                              stayline_attaching **out_attaching,
                                              stayline_error **out_error);

/**
 * Takes the link, once.
 *
 * - `timeout_ms`: 0: does not wait; below 0: for ever.
 * - `out_link`: yours; free it with `stayline_link_free`. NULL on `OK`: it is not there yet.
 *
 * Returns as `stayline_session_attach`, and `CLOSED` after it has been answered. Threads: any.
 */
stayline_status stayline_attaching_take(stayline_attaching *attaching,
                                        int64_t timeout_ms,
                                        stayline_link **out_link,
                                        stayline_error **out_error);

/**
 * A file descriptor for event loops: readable once `stayline_attaching_take` has an answer, and from
 * then on.
 *
 * - `out_fd`: lent; it lives as long as the attach.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_attaching_fd(const stayline_attaching *attaching,
                                      int *out_fd,
                                      stayline_error **out_error);

/**
 * Frees it; NULL is fine. A link that nobody has taken closes with 1006, then or when it is there.
 * It waits for nothing.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_attaching_free(stayline_attaching *attaching);

/**
 * Makes a clock.
 *
 * - `now_ms`: what it shows, ms since the Unix epoch.
 * - `out_clock`: yours; free it with `stayline_clock_free`. Coordinators keep it alive.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` when `out_clock` is NULL or `now_ms` is beyond all calendars.
 * Threads: any.
 */
stayline_status stayline_clock_new(int64_t now_ms,
                                   stayline_clock **out_clock,
                                   stayline_error **out_error);

/**
 * What it shows, ms since the Unix epoch; `STAYLINE_NONE` for NULL. Threads: any.
 */
int64_t stayline_clock_now(const stayline_clock *clock);

/**
 * Moves on by `ms`, from one due moment to the next; what is due is handled on this thread, each
 * at its own moment (R18).
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for a negative `ms`, one beyond 100 years, or one that leads
 * beyond all calendars. Threads: any.
 */
stayline_status stayline_clock_advance(stayline_clock *clock,
                                       int64_t ms,
                                       stayline_error **out_error);

/**
 * Time jumps by `ms` without the coordinators noticing before it is over (R18b).
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for a negative `ms`, one beyond 100 years, or one that leads
 * beyond all calendars. Threads: any.
 */
stayline_status stayline_clock_suspend(stayline_clock *clock,
                                       int64_t ms,
                                       stayline_error **out_error);

/**
 * Only moves time, to `now_ms` or not at all if that has passed; nothing that is due is handled
 * (see `stayline_coordinator_handle_due`).
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for a time beyond all calendars. Threads: any.
 */
stayline_status stayline_clock_set(stayline_clock *clock,
                                   int64_t now_ms,
                                   stayline_error **out_error);

/**
 * The earliest deadline of all its coordinators, ms since the Unix epoch; `STAYLINE_NONE` when
 * there is none. Threads: any.
 */
int64_t stayline_clock_next_deadline(const stayline_clock *clock);

/**
 * Frees a clock; NULL is fine. Coordinators that were opened with it keep theirs.
 *
 * Threads: any; nobody else may be using this handle.
 */
void stayline_clock_free(stayline_clock *clock);

/**
 * The name of a commit's outcome: `unknown_kept`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_commit_outcome_name(int32_t outcome);

/**
 * Writes the defaults of `stayline_coordinator_open`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_coordinator_options_default` calls it. Threads: any.
 */
void stayline_coordinator_options_init(stayline_coordinator_options *options,
                                       size_t struct_size);

/**
 * What `stayline_coordinator_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_coordinator_options stayline_coordinator_options_default(void)
{
    stayline_coordinator_options options;
    stayline_coordinator_options_init(&options, sizeof options);
    return options;
}

/**
 * Opens a store and recovers what was active (R23) before it returns.
 *
 * - `location`: `memory:`, or `sqlite:PATH`.
 * - `options`: NULL for the defaults.
 * - `out_coordinator`: yours; free it with `stayline_coordinator_free`.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: another location; a clock together with `read_only`.
 * - `INVALID_SETTINGS`: settings that contradict each other (R24).
 * - `STORE_IN_USE`: another coordinator owns the file; its fields say which.
 * - `STORE_FORMAT`, `STORE_ERROR`
 * - `FORK_ERROR`: settings or a clock of the process that this one was forked from.
 * - `LIMIT_EXCEEDED`: no thread can be made.
 *
 * Threads: any. It may wait for a disk.
 */
stayline_status stayline_coordinator_open(stayline_view location,
                                          const stayline_coordinator_options *options,
                                          stayline_coordinator **out_coordinator,
                                          stayline_error **out_error);

/**
 * Closes in order: what was handed over is committed, servers and links close with 1012, streams
 * end, waiting calls answer `CLOSED`, the store is released. Later calls on everything that was
 * got from it answer `CLOSED`. Closing again does nothing.
 *
 * Returns `OK`. Threads: any, also while others use it; it waits for a disk and for its threads.
 */
stayline_status stayline_coordinator_close(stayline_coordinator *coordinator,
                                           stayline_error **out_error);

/**
 * Ends it as a crash would: nothing is flushed and nobody is told; only the store is released.
 * For tests.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_coordinator_abandon(stayline_coordinator *coordinator,
                                             stayline_error **out_error);

/**
 * What it was opened with; it lives as long as the coordinator. Threads: any.
 */
stayline_view stayline_coordinator_location(const stayline_coordinator *coordinator);

/**
 * Whether it was opened to read only. Threads: any.
 */
bool stayline_coordinator_is_read_only(const stayline_coordinator *coordinator);

/**
 * Its time, ms since the Unix epoch; it never goes back (R18c). Threads: any.
 */
int64_t stayline_coordinator_now(const stayline_coordinator *coordinator);

/**
 * A copy of its settings.
 *
 * - `out_settings`: yours; free it with `stayline_settings_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_coordinator_settings(const stayline_coordinator *coordinator,
                                              stayline_settings **out_settings,
                                              stayline_error **out_error);

/**
 * The next wake-up: the minimum of all pending deadlines, the expiry of leases aside (R18).
 *
 * - `out_deadline_ms`: ms since the Unix epoch; `STAYLINE_NONE` when nothing is due ever.
 *
 * Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_coordinator_next_deadline(const stayline_coordinator *coordinator,
                                                   int64_t *out_deadline_ms,
                                                   stayline_error **out_error);

/**
 * Handles what is due now (R18a). With the system's clock a thread of ours does it by itself.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_coordinator_handle_due(stayline_coordinator *coordinator,
                                                stayline_error **out_error);

/**
 * Makes the next commit that has something to write fail; for tests.
 *
 * - `outcome`: a `stayline_commit_outcome`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for another outcome, and on one that only reads. Threads:
 * any.
 */
stayline_status stayline_coordinator_fail_next_commit(stayline_coordinator *coordinator,
                                                      int32_t outcome,
                                                      stayline_error **out_error);

/**
 * A handle on a session; creates nothing (R19a).
 *
 * - `session_id`: 1 to `max_id_bytes` bytes, no control characters.
 * - `out_session`: yours; free it with `stayline_session_free`. It keeps the coordinator alive.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for an id that is none. Threads: any.
 */
stayline_status stayline_coordinator_session(const stayline_coordinator *coordinator,
                                             stayline_view session_id,
                                             stayline_session **out_session,
                                             stayline_error **out_error);

/**
 * Sessions, the one with the newest activity first.
 *
 * - `limit`: at most so many.
 * - `out_sessions`: yours; free it with `stayline_session_snapshots_free`.
 *
 * Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may wait for a disk.
 */
stayline_status stayline_coordinator_sessions(const stayline_coordinator *coordinator,
                                              size_t limit,
                                              stayline_session_snapshots **out_sessions,
                                              stayline_error **out_error);

/**
 * Takes the next notification, which leases it (R39): acknowledge it, or it comes again.
 *
 * - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
 * - `out_notification`: yours; free it with `stayline_notification_free`. NULL: none in time.
 *
 * Returns:
 * - `OK`
 * - `CLOSED`: the coordinator was closed, also while this call waited.
 * - `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any; each notification goes to one of those that wait.
 */
stayline_status stayline_coordinator_take_notification(stayline_coordinator *coordinator,
                                                       int64_t timeout_ms,
                                                       stayline_notification **out_notification,
                                                       stayline_error **out_error);

/**
 * A file descriptor for event loops: readable from a notification until a take with a timeout of
 * 0 finds none, and for ever once the coordinator is closed.
 *
 * - `out_fd`: borrowed; it lives as long as the coordinator. Never read from it or close it.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_coordinator_notification_fd(const stayline_coordinator *coordinator,
                                                     int *out_fd,
                                                     stayline_error **out_error);

/**
 * Notifications that are not acknowledged, in order. Taking none of them.
 *
 * - `parked_only`: only those whose deliveries are used up.
 * - `out_notifications`: yours; free it with `stayline_notifications_free`.
 *
 * Returns `OK`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may wait for a disk.
 */
stayline_status stayline_coordinator_notifications(const stayline_coordinator *coordinator,
                                                   bool parked_only,
                                                   stayline_notifications **out_notifications,
                                                   stayline_error **out_error);

/**
 * Serves wrappers, readers and REST at an address; see `docs/rest.md`.
 *
 * - `address`: `127.0.0.1:8787`; port 0 takes a free one.
 * - `options`: NULL for the defaults. Its callback is taken over, and dropped, in any case.
 * - `out_server`: yours; freeing it closes it.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: an address that cannot be bound; anything but loopback without a key; a
 *   base path that does not begin with `/`; a certificate or key that cannot be used.
 * - `CLOSED`
 * - `LIMIT_EXCEEDED`: no thread can be made.
 *
 * Threads: any.
 */
stayline_status stayline_coordinator_serve(stayline_coordinator *coordinator,
                                           stayline_view address,
                                           const stayline_server_options *options,
                                           stayline_server **out_server,
                                           stayline_error **out_error);

/**
 * Makes a signed ticket that opens one session's stream: of the session that is there now, and no
 * later one of its name. It outlives a restart where the store is a file. May read the store.
 *
 * - `ttl_ms`: for how long.
 * - `out_ticket`: yours; free it with `stayline_buffer_free`.
 *
 * Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, `STORE_ERROR`, or `INVALID_ARGUMENT`
 * for a bad id or time. Threads: any.
 */
stayline_status stayline_coordinator_issue_ticket(const stayline_coordinator *coordinator,
                                                  stayline_view session_id,
                                                  int64_t ttl_ms,
                                                  stayline_buffer *out_ticket,
                                                  stayline_error **out_error);

/**
 * Checks a ticket. May read the store.
 *
 * Returns `OK`, `UNAUTHORIZED` for one that is wrong, expired, or of another session or store, or
 * `STORE_ERROR` where that cannot be told now. Threads: any.
 */
stayline_status stayline_coordinator_verify_ticket(const stayline_coordinator *coordinator,
                                                   stayline_view session_id,
                                                   stayline_view ticket,
                                                   stayline_error **out_error);

/**
 * What it has done since it was opened and what it holds now, as the text that Prometheus reads.
 *
 * - `out_text`: yours; free it with `stayline_buffer_free`.
 *
 * Returns `OK`, or `CLOSED`. Threads: any.
 */
stayline_status stayline_coordinator_metrics(const stayline_coordinator *coordinator,
                                             stayline_buffer *out_text,
                                             stayline_error **out_error);

/**
 * Frees the handle; NULL is fine. The coordinator itself goes on until it is closed, or until the
 * last object that was got from it is freed, which closes it.
 *
 * Threads: any; nobody else may be using this handle.
 */
void stayline_coordinator_free(stayline_coordinator *coordinator);

/**
 * The status that the call returned; `STAYLINE_STATUS_OK` for NULL.
 *
 * Threads: any.
 */
stayline_status stayline_error_status(const stayline_error *error);

/**
 * The stable name, the same in every language: `NotFound`.
 *
 * Returns a view that lives as long as the library; none for NULL. Threads: any.
 */
stayline_view stayline_error_name(const stayline_error *error);

/**
 * What went wrong and what to do, for people. The words may change.
 *
 * Returns a view that lives as long as the error; none for NULL. Threads: any.
 */
stayline_view stayline_error_message(const stayline_error *error);

/**
 * A field that is a text, by its name (`docs/errors.md`).
 *
 * Returns a view that lives as long as the error; none for a field that the error does not have,
 * that is null or that is a number. Threads: any.
 */
stayline_view stayline_error_text(const stayline_error *error,
                                  stayline_view field);

/**
 * A field that is an integer, by its name (`docs/errors.md`).
 *
 * - `out_value`: may be NULL; 0 when there is no such field.
 *
 * Returns whether there is such a field. Threads: any.
 */
bool stayline_error_integer(const stayline_error *error,
                            stayline_view field,
                            int64_t *out_value);

/**
 * All of it as a JSON object: `name`, `message`, and each field by its name.
 *
 * Returns a view that lives as long as the error; none for NULL. Threads: any.
 */
stayline_view stayline_error_json(const stayline_error *error);

/**
 * The HTTP status with which a server answers this error; 500 where the table names none.
 *
 * Returns 200 for NULL. Threads: any.
 */
uint16_t stayline_error_http_status(const stayline_error *error);

/**
 * For hosts that accept wrappers on sockets of their own: the `Stayline-Refusal` header with
 * which to answer the handshake that this error refuses. With it a wrapper stops; without it, it
 * tries again (R46).
 *
 * Returns a view that lives as long as the library; none where no such header is to be sent: the
 * error is no refusal, or the attempt was merely overtaken by a newer one (R45a). Threads: any.
 */
stayline_view stayline_error_refusal(const stayline_error *error);

/**
 * Frees an error; NULL is fine. Views of its texts end with it.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_error_free(stayline_error *error);

/**
 * The stable name of a status: `NotFound`, `Ok`.
 *
 * Returns a view that lives as long as the library; none for a number that this version does not
 * know. Threads: any.
 */
stayline_view stayline_status_name(int32_t status);

/**
 * Writes a filter that lets everything through: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_event_filter_default` calls it. Threads: any.
 */
void stayline_event_filter_init(stayline_event_filter *options,
                                size_t struct_size);

/**
 * What `stayline_event_filter_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_event_filter stayline_event_filter_default(void)
{
    stayline_event_filter options;
    stayline_event_filter_init(&options, sizeof options);
    return options;
}

/**
 * Reads what an event says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_event_get(const stayline_event *event,
                                   stayline_event_info *out_info,
                                   stayline_error **out_error);

/**
 * The event as `/stream` sends it: one JSON object (`docs/rest.md`).
 *
 * Returns a view that lives as long as the event; none for NULL. Threads: any.
 */
stayline_view stayline_event_frame(const stayline_event *event);

/**
 * Frees an event; NULL is fine. Texts that were got from it end with it.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_event_free(stayline_event *event);

/**
 * The next event.
 *
 * - `out_event`: yours; free it with `stayline_event_free`. NULL: that was the last.
 *
 * Returns `OK`, `NOT_FOUND` when the session was deleted meanwhile, `CLOSED`, or `STORE_ERROR`.
 * Threads: any. It may wait for a disk.
 */
stayline_status stayline_events_next(stayline_events *events,
                                     stayline_event **out_event,
                                     stayline_error **out_error);

/**
 * Frees the reader; NULL is fine. Events that were taken stay.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_events_free(stayline_events *events);

/**
 * The name of a status, as in every language: `running`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_execution_status_name(int32_t status);

/**
 * The name of a health, as in every language: `healthy`.
 *
 * Returns a view that lives as long as the library; none for `NONE` and unknown ones. Threads:
 * any.
 */
stayline_view stayline_health_name(int32_t health);

/**
 * Reads what it says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_execution_get(const stayline_execution *execution,
                                       stayline_execution_info *out_info,
                                       stayline_error **out_error);

/**
 * The same execution as it is now.
 *
 * - `out_execution`: a new object; yours, free it with `stayline_execution_free`.
 *
 * Returns `OK`, `NOT_FOUND` when its session was deleted, `CLOSED`, or `STORE_ERROR`. Threads:
 * any.
 */
stayline_status stayline_execution_refresh(const stayline_execution *execution,
                                           stayline_execution **out_execution,
                                           stayline_error **out_error);

/**
 * Waits until it is terminal.
 *
 * - `timeout_ms`: 0: does not wait, below 0: for ever.
 * - `out_execution`: may be NULL. As it ended, a new object; yours.
 *
 * Returns:
 * - `OK`: it is terminal.
 * - `TIMEOUT`: it is not, yet.
 * - `NOT_FOUND`: its session was deleted meanwhile.
 * - `INVALID_ARGUMENT`: not terminal, on a coordinator that only reads and so hears of no end.
 * - `CLOSED`: the coordinator was closed, also while this call waited.
 * - `STORE_ERROR`
 *
 * Threads: any; several may wait.
 */
stayline_status stayline_execution_wait(const stayline_execution *execution,
                                        int64_t timeout_ms,
                                        stayline_execution **out_execution,
                                        stayline_error **out_error);

/**
 * A file descriptor for event loops: readable when it may have become terminal; then call
 * `stayline_execution_wait` with a timeout of 0.
 *
 * - `out_fd`: borrowed; it lives as long as this object. Never read from it or close it.
 *
 * Returns `OK`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `INVALID_ARGUMENT` as
 * `stayline_execution_wait`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads:
 * any.
 */
stayline_status stayline_execution_fd(const stayline_execution *execution,
                                      int *out_fd,
                                      stayline_error **out_error);

/**
 * Frees the object; NULL is fine. The execution itself stays as it is. Texts and the descriptor
 * that were got from the object end with it.
 *
 * Threads: any; nobody else may be using this object.
 */
void stayline_execution_free(stayline_execution *execution);

/**
 * How many there are. Threads: any.
 */
size_t stayline_executions_count(const stayline_executions *executions);

/**
 * One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it.
 * Threads: any.
 */
const stayline_execution *stayline_executions_at(const stayline_executions *executions,
                                                 size_t index);

/**
 * Frees the list and what is in it; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_executions_free(stayline_executions *executions);

/**
 * Calls back at every kill from now on (R52), beside the signal `ABORT`, which is told all the
 * same. A second callback shares the kills with the first.
 *
 * - `callback`: taken over in any case.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, or `LIMIT_EXCEEDED` when no thread can be made. Threads: any.
 */
stayline_status stayline_wrapper_on_kill(stayline_wrapper *wrapper,
                                         stayline_kill_callback callback,
                                         stayline_error **out_error);

/**
 * Writes the defaults of `stayline_session_interrupt`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_interrupt_options_default` calls it. Threads: any.
 */
void stayline_interrupt_options_init(stayline_interrupt_options *options,
                                     size_t struct_size);

/**
 * What `stayline_interrupt_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_interrupt_options stayline_interrupt_options_default(void)
{
    stayline_interrupt_options options;
    stayline_interrupt_options_init(&options, sizeof options);
    return options;
}

/**
 * The name of a verdict, as in every language: `already_terminal`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_verdict_name(int32_t verdict);

/**
 * Asks the active execution, or the one named, to stop (R11, R13).
 *
 * - `options`: NULL for the defaults.
 * - `out_verdict`: may be NULL. A `stayline_verdict`.
 *
 * Returns:
 * - `OK`
 * - `NO_ACTIVE_EXECUTION`
 * - `NOT_FOUND`: an execution or session that is not known.
 * - `INVALID_ARGUMENT`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_interrupt(stayline_session *session,
                                           const stayline_interrupt_options *options,
                                           int32_t *out_verdict,
                                           stayline_error **out_error);

/**
 * Takes an interrupt back (R13).
 *
 * - `execution_id`: none: the active one.
 *
 * Returns `OK`, `NO_ACTIVE_EXECUTION`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`.
 * Threads: any.
 */
stayline_status stayline_session_clear_interrupt(stayline_session *session,
                                                 stayline_view execution_id,
                                                 stayline_error **out_error);

/**
 * Writes a job without anything: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_job_default` calls it. Threads: any.
 */
void stayline_job_init(stayline_job *options,
                       size_t struct_size);

/**
 * What `stayline_job_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_job stayline_job_default(void)
{
    stayline_job options;
    stayline_job_init(&options, sizeof options);
    return options;
}

/**
 * A job begins (R49); for wrappers that were opened without `active`.
 *
 * - `job`: NULL for one without anything.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, or `JOB_CONFLICT` while another is active. Threads: any.
 */
stayline_status stayline_wrapper_start_job(stayline_wrapper *wrapper,
                                           const stayline_job *job,
                                           stayline_error **out_error);

/**
 * A prompt goes to the agent: the run is active until it is idle (R49).
 *
 * - `out_message_id`: may be NULL. R50; yours, free it with `stayline_buffer_free`.
 *
 * Returns `OK`, `INVALID_ARGUMENT` without a job and while the run is stopping, or `CLOSED` after
 * the end. Threads: any.
 */
stayline_status stayline_wrapper_begin_turn(stayline_wrapper *wrapper,
                                            stayline_buffer *out_message_id,
                                            stayline_error **out_error);

/**
 * An event of the agent itself, for the `kilo` dialect (R51, R53, R54).
 *
 * - `event_type`: the agent's word.
 * - `properties`: JSON; none: `{}`.
 *
 * Returns `OK`, also after the end, when it means nothing any more; `INVALID_ARGUMENT` for
 * properties that are no JSON; `INVALID_EVENT`; or `FULL`. Threads: any.
 */
stayline_status stayline_wrapper_agent_event(stayline_wrapper *wrapper,
                                             stayline_view event_type,
                                             stayline_view properties,
                                             stayline_error **out_error);

/**
 * The run is idle (R51): tasks run, `complete` goes out, it drains and closes. For hosts without
 * a dialect.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_wrapper_idle(stayline_wrapper *wrapper,
                                      stayline_error **out_error);

/**
 * A post-completion task has ended (R51).
 *
 * - `name`: as the signal `TASK` gave it.
 * - `ok`: `false`: it failed, which becomes a non-fatal `error` event.
 *
 * Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_wrapper_task_done(stayline_wrapper *wrapper,
                                           stayline_view name,
                                           bool ok,
                                           stayline_error **out_error);

/**
 * What the signal `ABORT` asked for is done: the agent has stopped (R52).
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_wrapper_aborted(stayline_wrapper *wrapper,
                                         stayline_error **out_error);

/**
 * Reads what a lease says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_lease_get(const stayline_lease *lease,
                                   stayline_lease_info *out_info,
                                   stayline_error **out_error);

/**
 * Extends it by its time to live.
 *
 * - `out_lease`: may be NULL. As it is now, a new object; yours.
 *
 * Returns `OK`, `NOT_FOUND` (it has expired, or was given back), `WRONG_HOLDER`, `CLOSED`,
 * `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_lease_extend(stayline_lease *lease,
                                      stayline_lease **out_lease,
                                      stayline_error **out_error);

/**
 * Gives it back.
 *
 * Returns `OK`, `NOT_FOUND` (it has expired, or was given back), `WRONG_HOLDER`, `CLOSED`,
 * `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_lease_release(stayline_lease *lease,
                                       stayline_error **out_error);

/**
 * Frees the object; NULL is fine. The lease itself stays until it is given back or expires.
 *
 * Threads: any; nobody else may be using this object.
 */
void stayline_lease_free(stayline_lease *lease);

/**
 * Takes the lease on an execution, or renews one's own (R38).
 *
 * - `lease_id`: who takes it.
 * - `message_id`: what for, in the host's words; may be none.
 * - `out_lease`: yours; freeing it gives no lease back, `stayline_lease_release` does.
 *
 * Returns:
 * - `OK`
 * - `ALREADY_HELD`: the fields `holder` and `expires_at` say by whom and until when.
 * - `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_lease(stayline_session *session,
                                       stayline_view execution_id,
                                       stayline_view lease_id,
                                       stayline_view message_id,
                                       stayline_lease **out_lease,
                                       stayline_error **out_error);

/**
 * Extends a lease by its time to live (R38), for whoever has its id and no `stayline_lease`.
 *
 * - `out_lease`: may be NULL. As it is now; yours.
 *
 * Returns `OK`, `NOT_FOUND` (none, or expired), `WRONG_HOLDER`, `CLOSED`, `STORE_ERROR`, or
 * `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_session_extend_lease(stayline_session *session,
                                              stayline_view execution_id,
                                              stayline_view lease_id,
                                              stayline_lease **out_lease,
                                              stayline_error **out_error);

/**
 * Gives a lease back (R38), for whoever has its id and no `stayline_lease`.
 *
 * Returns `OK`, `NOT_FOUND` (none, or expired), `WRONG_HOLDER`, `CLOSED`, `STORE_ERROR`, or
 * `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_session_release_lease(stayline_session *session,
                                               stayline_view execution_id,
                                               stayline_view lease_id,
                                               stayline_error **out_error);

/**
 * The execution it belongs to; it lives as long as the link. Threads: any.
 */
stayline_view stayline_link_execution_id(const stayline_link *link);

/**
 * The session it belongs to; it lives as long as the link. Threads: any.
 */
stayline_view stayline_link_session_id(const stayline_link *link);

/**
 * Whether it is in acknowledged mode (R45): then answer the handshake with the header
 * `Stayline-Protocol: 2`. Threads: any.
 */
bool stayline_link_is_acknowledged(const stayline_link *link);

/**
 * Hands one text frame over. It does not wait for its commit, only while the link is congested.
 * A frame that is refused is answered on the link and is no error here (R28).
 *
 * - `text`: one frame, read during the call.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: NULLs, or no UTF-8: close the socket, a text frame cannot be so.
 * - `CLOSED`: the coordinator was closed, also while this call waited.
 *
 * Threads: any; frames keep the order of calls that follow one another.
 */
stayline_status stayline_link_receive(stayline_link *link,
                                      stayline_view text,
                                      stayline_error **out_error);

/**
 * Hands several text frames over, as one batch.
 *
 * - `texts`, `count`: in order, read during the call.
 *
 * Returns as `stayline_link_receive`; when a text is refused, none was handed over. Threads: any.
 */
stayline_status stayline_link_receive_many(stayline_link *link,
                                           const stayline_view *texts,
                                           size_t count,
                                           stayline_error **out_error);

/**
 * Hands several text frames over unless the link is congested; never waits. For event loops:
 * where it took nothing, read no more from the socket until `stayline_link_is_congested` is false;
 * `stayline_link_fd` becomes readable then. Look at it after the take that found no output, not
 * before: that take makes the descriptor unreadable.
 *
 * - `out_taken`: all or nothing.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, or `CLOSED`. Threads: any.
 */
stayline_status stayline_link_try_receive(stayline_link *link,
                                          const stayline_view *texts,
                                          size_t count,
                                          bool *out_taken,
                                          stayline_error **out_error);

/**
 * Says that a binary frame came, which is refused and answered on the link (R28).
 *
 * - `bytes`: its size.
 *
 * Returns `OK`, or `CLOSED`. Threads: any.
 */
stayline_status stayline_link_receive_binary(stayline_link *link,
                                             size_t bytes,
                                             stayline_error **out_error);

/**
 * Whether the next `stayline_link_receive` would wait. Threads: any.
 */
bool stayline_link_is_congested(const stayline_link *link);

/**
 * Says that the socket is gone, by whomever; starts the grace of the execution when this was its
 * last link (R20). Whoever waits for outputs is let go. Saying it again does nothing.
 *
 * - `code`: the close code; 1006 where there was none.
 * - `reason`: may be none.
 *
 * Returns `OK`, also after the coordinator's end, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_link_closed(stayline_link *link,
                                     uint16_t code,
                                     stayline_view reason,
                                     stayline_error **out_error);

/**
 * The name of a kind of output: `send`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_output_kind_name(int32_t kind);

/**
 * Reads what an output says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_output_get(const stayline_output *output,
                                    stayline_output_info *out_info,
                                    stayline_error **out_error);

/**
 * Frees an output; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_output_free(stayline_output *output);

/**
 * The next thing to do to the socket.
 *
 * - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
 * - `out_output`: yours; free it with `stayline_output_free`. NULL: none in time, or there will
 *   be no more, which `stayline_link_is_finished` says.
 *
 * Returns `OK`. Threads: any; one at a time, if the order matters.
 */
stayline_status stayline_link_next_output(stayline_link *link,
                                          int64_t timeout_ms,
                                          stayline_output **out_output,
                                          stayline_error **out_error);

/**
 * A file descriptor for event loops: readable from an output, or the end of a congestion, until
 * a take with a timeout of 0 finds nothing; and for ever once the link is finished.
 *
 * - `out_fd`: borrowed; it lives as long as the link. Never read from it or close it.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_link_fd(const stayline_link *link,
                                 int *out_fd,
                                 stayline_error **out_error);

/**
 * Whether nothing will come out any more: the `CLOSE` was taken; or `stayline_link_closed` was
 * called, and so was everything taken that had been put out before. Threads: any.
 */
bool stayline_link_is_finished(const stayline_link *link);

/**
 * How the link was closed, by the coordinator or by `stayline_link_closed`.
 *
 * - `out_code`: 0 while it is open.
 * - `out_reason`: may be NULL. Yours; free it with `stayline_buffer_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_link_close_state(const stayline_link *link,
                                          uint16_t *out_code,
                                          stayline_buffer *out_reason,
                                          stayline_error **out_error);

/**
 * Frees it; NULL is fine. One that nobody closed counts as closed with 1006.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_link_free(stayline_link *link);

/**
 * The name of a log level: `warn`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_log_level_name(int32_t level);

/**
 * Sets where the log records of this process go, instead of where they went before; the callback
 * there was is dropped before this returns, which waits for the calls of it that are under way.
 *
 * - `callback`: taken over in any case. With a NULL `call` nothing is told any more.
 * - `level`: the least important `stayline_log_level` that is told.
 *
 * Returns `OK`; `INVALID_ARGUMENT` for an unknown level, from inside a log callback, and when
 * another part of the process that uses the same copy of this library collects its records
 * already. Threads: any.
 */
stayline_status stayline_log_set(stayline_log_callback callback,
                                 int32_t level,
                                 stayline_error **out_error);

/**
 * Reads what a notification says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_notification_get(const stayline_notification *notification,
                                          stayline_notification_info *out_info,
                                          stayline_error **out_error);

/**
 * The name of a kind, as in every language: `execution_ended`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_notification_kind_name(int32_t kind);

/**
 * It was dealt with and does not come again.
 *
 * Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
 * `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_notification_ack(stayline_notification *notification,
                                          stayline_error **out_error);

/**
 * It could not be dealt with: it comes again later, unless this was its last delivery.
 *
 * - `retry_in_ms`: how much later; 0: at once.
 *
 * Returns `OK`, `NOT_FOUND` when it was acknowledged before, `INVALID_ARGUMENT` for a negative
 * time, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_notification_nack(stayline_notification *notification,
                                           int64_t retry_in_ms,
                                           stayline_error **out_error);

/**
 * Undoes a take whose notification nobody got to see: it is available at once, and the delivery
 * does not count.
 *
 * Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
 * `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_notification_give_back(stayline_notification *notification,
                                                stayline_error **out_error);

/**
 * Puts a parked one back into the queue, with all its deliveries.
 *
 * Returns `OK`, `NOT_FOUND` when it was acknowledged before, `CLOSED`, `STORE_ERROR`, or
 * `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_notification_requeue(stayline_notification *notification,
                                              stayline_error **out_error);

/**
 * Frees the object; NULL is fine. The notification itself comes again unless it was acknowledged.
 *
 * Threads: any; nobody else may be using this object.
 */
void stayline_notification_free(stayline_notification *notification);

/**
 * How many there are. Threads: any.
 */
size_t stayline_notifications_count(const stayline_notifications *notifications);

/**
 * One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it; it
 * can be acknowledged or requeued, but not freed. Threads: any.
 */
stayline_notification *stayline_notifications_at(const stayline_notifications *notifications,
                                                 size_t index);

/**
 * Frees the list and what is in it; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_notifications_free(stayline_notifications *notifications);

/**
 * The name of an endpoint: `ingest`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_endpoint_name(int32_t endpoint);

/**
 * Reads a request of a wrapper or a subscriber, as the built-in server does.
 *
 * - `target`: what stands behind the method in its first line: the path and the query, such as
 *   `/sessions/s/ingest?executionId=e`.
 * - `headers`: may be NULL with a count of 0. Of several with one name the first counts; those
 *   that say nothing here are passed over.
 * - `out_request`: yours; free it with `stayline_request_free`. It keeps nothing of yours.
 *
 * Returns `OK`, or `INVALID_ARGUMENT`, also for what is no UTF-8 when it is decoded: answer with
 * `stayline_error_http_status`. Threads: any.
 */
stayline_status stayline_request_read(stayline_view target,
                                      const stayline_header *headers,
                                      size_t headers_count,
                                      stayline_request **out_request,
                                      stayline_error **out_error);

/**
 * Reads what a request says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_request_get(const stayline_request *request,
                                     stayline_request_info *out_info,
                                     stayline_error **out_error);

/**
 * Frees it; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_request_free(stayline_request *request);

/**
 * Attaches the wrapper whose request this is, as `stayline_session_attach` does with what stands
 * in it. Which session it is for is the host's word, not the path's.
 *
 * - `trusted`: the host has checked by itself: the request's token is not looked at.
 * - `out_link`: yours; free it with `stayline_link_free`.
 *
 * Returns as `stayline_session_attach`; `INVALID_ARGUMENT` for a query without `executionId`, or,
 * where acknowledged mode is asked for, without `producer` or `attempt`. Threads: any.
 */
stayline_status stayline_session_attach_request(stayline_session *session,
                                                const stayline_request *request,
                                                bool trusted,
                                                stayline_link **out_link,
                                                stayline_error **out_error);

/**
 * The subscription that a request asks for: `fromId`, `epoch`, `Last-Event-ID`, the filters, `replay`
 * (R34). Its ticket is the host's to check. What cannot be read in it is passed over.
 *
 * - `out_subscription`: yours; free it with `stayline_subscription_free`.
 *
 * Returns as `stayline_session_subscribe`. Threads: any.
 */
stayline_status stayline_session_subscribe_request(const stayline_session *session,
                                                   const stayline_request *request,
                                                   stayline_subscription **out_subscription,
                                                   stayline_error **out_error);

/**
 * Makes a machine that has not been opened.
 *
 * - `settings`: copied; NULL for the defaults.
 * - `seed`: 16 random bytes; jitter and producer ids come from them, and only from them. NULL
 *   takes the system's randomness.
 * - `out_sansio`: yours; free it with `stayline_sansio_free`.
 *
 * Returns `OK`, `INVALID_SETTINGS` (R24), `INVALID_ARGUMENT`, or `FORK_ERROR` for settings of the
 * process that this one was forked from. Threads: any.
 */
stayline_status stayline_sansio_new(const stayline_settings *settings,
                                    const uint8_t *seed,
                                    stayline_sansio **out_sansio,
                                    stayline_error **out_error);

/**
 * Begins the first attempt for an execution (R48).
 *
 * - `retry_first`: a first connection that fails is retried like a later one (R41).
 *
 * Returns `OK`, or `INVALID_ARGUMENT` when it is open already, or the id is none. Threads: any.
 */
stayline_status stayline_sansio_open(stayline_sansio *sansio,
                                     stayline_view execution_id,
                                     bool retry_first,
                                     int64_t now_ms,
                                     stayline_error **out_error);

/**
 * An attempt was accepted.
 *
 * - `protocol`: as the 101 answer granted it, 2; 0: none.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_handle_opened(stayline_sansio *sansio,
                                              uint64_t attempt,
                                              uint8_t protocol,
                                              int64_t now_ms,
                                              stayline_error **out_error);

/**
 * Writes a handshake that got no answer: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_refused_default` calls it. Threads: any.
 */
void stayline_refused_init(stayline_refused *options,
                           size_t struct_size);

/**
 * What `stayline_refused_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_refused stayline_refused_default(void)
{
    stayline_refused options;
    stayline_refused_init(&options, sizeof options);
    return options;
}

/**
 * An attempt failed: refused, timed out, or never answered (R46).
 *
 * - `refused`: NULL: no answer. Values that this version does not know count as not there.
 *
 * Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_sansio_handle_refused(stayline_sansio *sansio,
                                               uint64_t attempt,
                                               const stayline_refused *refused,
                                               int64_t now_ms,
                                               stayline_error **out_error);

/**
 * A connection is gone.
 *
 * - `code`: the close code; 1006 where there was none.
 * - `reason`: may be none.
 *
 * Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_sansio_handle_closed(stayline_sansio *sansio,
                                              uint64_t attempt,
                                              uint16_t code,
                                              stayline_view reason,
                                              int64_t now_ms,
                                              stayline_error **out_error);

/**
 * A text frame from the coordinator.
 *
 * Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_sansio_handle_frame(stayline_sansio *sansio,
                                             uint64_t attempt,
                                             stayline_view text,
                                             int64_t now_ms,
                                             stayline_error **out_error);

/**
 * Handles everything that is due.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_handle_timeout(stayline_sansio *sansio,
                                               int64_t now_ms,
                                               stayline_error **out_error);

/**
 * A job begins (R49).
 *
 * - `job`: with its execution.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, or `JOB_CONFLICT` while another is active. Threads: any.
 */
stayline_status stayline_sansio_start_job(stayline_sansio *sansio,
                                          const stayline_job *job,
                                          int64_t now_ms,
                                          stayline_error **out_error);

/**
 * A prompt goes to the agent: the run is active until it is idle (R49).
 *
 * - `out_message_id`: may be NULL. R50; yours, free it with `stayline_buffer_free`.
 *
 * Returns `OK`, `INVALID_ARGUMENT` without a job and while the run is stopping, or `CLOSED` after
 * the end. Threads: any.
 */
stayline_status stayline_sansio_begin_turn(stayline_sansio *sansio,
                                           int64_t now_ms,
                                           stayline_buffer *out_message_id,
                                           stayline_error **out_error);

/**
 * An event of the agent itself, for the `kilo` dialect (R51, R53, R54).
 *
 * - `properties`: JSON; none: `{}`.
 *
 * Returns `OK`, also after the end, when it means nothing any more; `INVALID_ARGUMENT` for
 * properties that are no JSON; `INVALID_EVENT`; or `FULL`. Threads: any.
 */
stayline_status stayline_sansio_handle_agent_event(stayline_sansio *sansio,
                                                   stayline_view event_type,
                                                   stayline_view properties,
                                                   int64_t now_ms,
                                                   stayline_error **out_error);

/**
 * The run is idle (R51), for hosts without a dialect.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_handle_idle(stayline_sansio *sansio,
                                            int64_t now_ms,
                                            stayline_error **out_error);

/**
 * A post-completion task has ended (R51).
 *
 * Returns `OK`, or `INVALID_ARGUMENT`. Threads: any.
 */
stayline_status stayline_sansio_handle_task_done(stayline_sansio *sansio,
                                                 stayline_view name,
                                                 bool ok,
                                                 int64_t now_ms,
                                                 stayline_error **out_error);

/**
 * What the signal `ABORT` asked for is done (R52).
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_handle_aborted(stayline_sansio *sansio,
                                               int64_t now_ms,
                                               stayline_error **out_error);

/**
 * The next thing to do.
 *
 * - `out_action`: yours; free it with `stayline_action_free`. NULL: nothing until the next input.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_poll_action(stayline_sansio *sansio,
                                            stayline_action **out_action,
                                            stayline_error **out_error);

/**
 * When `stayline_sansio_handle_timeout` is to be called next, ms since the Unix epoch;
 * `STAYLINE_NONE`: not before another input. Threads: any.
 */
int64_t stayline_sansio_next_deadline(const stayline_sansio *sansio);

/**
 * Where the connection stands: a `stayline_wrapper_state`. Threads: any.
 */
int32_t stayline_sansio_state(const stayline_sansio *sansio);

/**
 * Events that are held and have not been written. Threads: any.
 */
uint64_t stayline_sansio_buffered(const stayline_sansio *sansio);

/**
 * Events that have been written and are not acknowledged; 0 in basic mode. Threads: any.
 */
uint64_t stayline_sansio_unacknowledged(const stayline_sansio *sansio);

/**
 * Connection attempts so far, over all executions. Threads: any.
 */
uint64_t stayline_sansio_attempts(const stayline_sansio *sansio);

/**
 * The id of the present producer (R45a).
 *
 * - `out_producer`: no text in basic mode and before the first open. Yours; free it with
 *   `stayline_buffer_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_sansio_producer(const stayline_sansio *sansio,
                                         stayline_buffer *out_producer,
                                         stayline_error **out_error);

/**
 * How it ended (R46).
 *
 * - `out_outcome`: may be NULL; with its `struct_size` set.
 * - `out_error_text`: may be NULL. Why, for failed and interrupted executions; yours, free it
 *   with `stayline_buffer_free`.
 *
 * Returns as `stayline_wrapper_outcome`; `TIMEOUT`: it is not known yet. Threads: any.
 */
stayline_status stayline_sansio_outcome(const stayline_sansio *sansio,
                                        stayline_outcome *out_outcome,
                                        stayline_buffer *out_error_text,
                                        stayline_error **out_error);

/**
 * Frees it; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_sansio_free(stayline_sansio *sansio);

/**
 * Sends an event; never waits (R40, R44).
 *
 * - `data`: JSON; none: `{}`.
 * - `options`: NULL for the defaults; its timestamp, where there is none, is `now_ms`.
 *
 * Returns `OK`, `INVALID_EVENT`, `FULL`, `CLOSED` after the end, `DISCONNECTED` when the wrapper gave
 * up, or `SUPERSEDED` when another one took over. Threads: any.
 */
stayline_status stayline_sansio_send(stayline_sansio *sansio,
                                     stayline_view event_type,
                                     stayline_view data,
                                     const stayline_send_options *options,
                                     int64_t now_ms,
                                     stayline_error **out_error);

/**
 * Whether a send may succeed where the last one said `FULL`. Threads: any.
 */
bool stayline_sansio_has_room(const stayline_sansio *sansio);

/**
 * The run has ended: `complete` goes out, then it drains and closes (R51).
 *
 * - `branch`: may be none.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_sansio_complete(stayline_sansio *sansio,
                                         int64_t exit_code,
                                         stayline_view branch,
                                         int64_t now_ms,
                                         stayline_error **out_error);

/**
 * The run has failed: a fatal `error` goes out, then it drains and closes.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_sansio_fail(stayline_sansio *sansio,
                                     stayline_view error,
                                     int64_t now_ms,
                                     stayline_error **out_error);

/**
 * The run has failed, with an exit code: as `stayline_sansio_fail`, and the code is kept on the
 * execution (R29).
 *
 * - `exit_code`: `STAYLINE_NONE`: none.
 *
 * Returns as `stayline_sansio_fail`. Threads: any.
 */
stayline_status stayline_sansio_fail_with_exit_code(stayline_sansio *sansio,
                                                    stayline_view error,
                                                    int64_t exit_code,
                                                    int64_t now_ms,
                                                    stayline_error **out_error);

/**
 * The run was stopped: `interrupted` goes out, then it drains and closes.
 *
 * - `reason`: may be none.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_sansio_interrupted(stayline_sansio *sansio,
                                            stayline_view reason,
                                            int64_t now_ms,
                                            stayline_error **out_error);

/**
 * The run was stopped, with an exit code: as `stayline_sansio_interrupted`, and the code is kept
 * on the execution (R29).
 *
 * - `reason`: may be none.
 * - `exit_code`: `STAYLINE_NONE`: none.
 *
 * Returns as `stayline_sansio_interrupted`. Threads: any.
 */
stayline_status stayline_sansio_interrupted_with_exit_code(stayline_sansio *sansio,
                                                           stayline_view reason,
                                                           int64_t exit_code,
                                                           int64_t now_ms,
                                                           stayline_error **out_error);

/**
 * The host closes: nothing is sent, retried or told any more (R42).
 *
 * - `out_unacknowledged`: may be NULL. How many events were given up.
 *
 * Returns `OK`. Threads: any.
 */
stayline_status stayline_sansio_close(stayline_sansio *sansio,
                                      int64_t now_ms,
                                      uint64_t *out_unacknowledged,
                                      stayline_error **out_error);

/**
 * Writes the defaults of `stayline_wrapper_send`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_send_options_default` calls it. Threads: any.
 */
void stayline_send_options_init(stayline_send_options *options,
                                size_t struct_size);

/**
 * What `stayline_send_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_send_options stayline_send_options_default(void)
{
    stayline_send_options options;
    stayline_send_options_init(&options, sizeof options);
    return options;
}

/**
 * Sends an event. Where the overflow policy waits, it waits for room up to `send_timeout_ms`
 * (R44).
 *
 * - `event_type`: not empty.
 * - `data`: JSON; none: `{}`.
 * - `options`: NULL for the defaults.
 *
 * Returns:
 * - `OK`: it is written, or kept until it can be.
 * - `INVALID_EVENT`: the other side would refuse it (R40); nothing is sent.
 * - `FULL`: no room in time; nothing is sent.
 * - `CLOSED`: after the end.
 * - `DISCONNECTED`: the wrapper gave up.
 * - `SUPERSEDED`: another wrapper took over.
 *
 * Threads: any; events keep the order of calls that follow one another.
 */
stayline_status stayline_wrapper_send(stayline_wrapper *wrapper,
                                      stayline_view event_type,
                                      stayline_view data,
                                      const stayline_send_options *options,
                                      stayline_error **out_error);

/**
 * As `stayline_wrapper_send`, but never waits: `FULL` at once.
 *
 * Returns as `stayline_wrapper_send`. Threads: any.
 */
stayline_status stayline_wrapper_try_send(stayline_wrapper *wrapper,
                                          stayline_view event_type,
                                          stayline_view data,
                                          const stayline_send_options *options,
                                          stayline_error **out_error);

/**
 * The run has ended: sends `complete`, drains and closes (R51). `stayline_wrapper_outcome` tells
 * when that is done.
 *
 * - `branch`: may be none.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_wrapper_complete(stayline_wrapper *wrapper,
                                          int64_t exit_code,
                                          stayline_view branch,
                                          stayline_error **out_error);

/**
 * The run has failed: sends a fatal `error`, drains and closes.
 *
 * - `error`: what the execution's error becomes.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_wrapper_fail(stayline_wrapper *wrapper,
                                      stayline_view error,
                                      stayline_error **out_error);

/**
 * The run has failed, with an exit code: as `stayline_wrapper_fail`, and the code is kept on the
 * execution (R29).
 *
 * - `error`: what the execution's error becomes.
 * - `exit_code`: `STAYLINE_NONE`: none.
 *
 * Returns as `stayline_wrapper_fail`. Threads: any.
 */
stayline_status stayline_wrapper_fail_with_exit_code(stayline_wrapper *wrapper,
                                                     stayline_view error,
                                                     int64_t exit_code,
                                                     stayline_error **out_error);

/**
 * The run was stopped: sends `interrupted`, drains and closes.
 *
 * - `reason`: may be none.
 *
 * What is too large for a frame is cut (R40). Returns `OK`, `CLOSED` after the end, `DISCONNECTED`
 * or `SUPERSEDED`. Threads: any.
 */
stayline_status stayline_wrapper_interrupted(stayline_wrapper *wrapper,
                                             stayline_view reason,
                                             stayline_error **out_error);

/**
 * The run was stopped, with an exit code: as `stayline_wrapper_interrupted`, and the code is kept
 * on the execution (R29).
 *
 * - `reason`: may be none.
 * - `exit_code`: `STAYLINE_NONE`: none.
 *
 * Returns as `stayline_wrapper_interrupted`. Threads: any.
 */
stayline_status stayline_wrapper_interrupted_with_exit_code(stayline_wrapper *wrapper,
                                                            stayline_view reason,
                                                            int64_t exit_code,
                                                            stayline_error **out_error);

/**
 * The code that has the run in its hands ended by an error before it had ended the run (R51a).
 * The run fails, or is interrupted, as `stayline_wrapper_fail_with_exit_code` and
 * `stayline_wrapper_interrupted_with_exit_code` do it; then this waits until that is known, for
 * `ack_timeout_ms` at most, five seconds where the code was stopped.
 *
 * - `what`: what is told of the error; it is cut to `max_text_bytes`.
 * - `stopped`: it was stopped from outside, so that the run is interrupted. So is one that a kill
 *   has asked to stop, whatever this says.
 * - `exit_code`: `STAYLINE_NONE`: none.
 *
 * Returns:
 * - `OK`: it has ended.
 * - `TIMEOUT`: its ending is under way.
 * - `CLOSED`, `DISCONNECTED`, `SUPERSEDED`: it has had its ending, and is left alone.
 *
 * Threads: any.
 */
stayline_status stayline_wrapper_raised(stayline_wrapper *wrapper,
                                        stayline_view what,
                                        bool stopped,
                                        int64_t exit_code,
                                        stayline_error **out_error);

/**
 * Waits until it is known how it ended (R46).
 *
 * - `timeout_ms`: 0: does not wait, below 0: for ever.
 * - `out_outcome`: may be NULL; with its `struct_size` set.
 * - `out_error_text`: may be NULL. Why, for failed and interrupted executions; yours, free it
 *   with `stayline_buffer_free`.
 *
 * Returns:
 * - `OK`
 * - `TIMEOUT`: it is not known yet.
 * - `DISCONNECTED`: the wrapper gave up; the field `reason` says why.
 * - `SUPERSEDED`: another wrapper took over.
 * - `CLOSED`: it was closed, also while this call waited.
 *
 * Threads: any.
 */
stayline_status stayline_wrapper_outcome(const stayline_wrapper *wrapper,
                                         int64_t timeout_ms,
                                         stayline_outcome *out_outcome,
                                         stayline_buffer *out_error_text,
                                         stayline_error **out_error);

/**
 * Waits until everything that was sent has been written and, in acknowledged mode, acknowledged.
 *
 * - `timeout_ms`: 0: does not wait, below 0: for ever.
 *
 * Returns `OK`, `TIMEOUT`, or `CLOSED` when it was closed, also while this call waited, or is over
 * with something left; `DISCONNECTED` or `SUPERSEDED` when it is over for that. Threads: any.
 */
stayline_status stayline_wrapper_flush(const stayline_wrapper *wrapper,
                                       int64_t timeout_ms,
                                       stayline_error **out_error);

/**
 * The name of an answer: `allow`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_authorization_name(int32_t authorization);

/**
 * Writes the defaults of `stayline_coordinator_serve`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_server_options_default` calls it. Threads: any.
 */
void stayline_server_options_init(stayline_server_options *options,
                                  size_t struct_size);

/**
 * What `stayline_server_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_server_options stayline_server_options_default(void)
{
    stayline_server_options options;
    stayline_server_options_init(&options, sizeof options);
    return options;
}

/**
 * The base of all paths, for wrappers: `http://127.0.0.1:8787`. It lives as long as the server.
 * Threads: any.
 */
stayline_view stayline_server_url(const stayline_server *server);

/**
 * Where it listens, with the port that was taken: `127.0.0.1:8787`. It lives as long as the
 * server. Threads: any.
 */
stayline_view stayline_server_address(const stayline_server *server);

/**
 * Reads the certificate and its key anew from their files; new connections get them. A server
 * looks every minute by itself whether they have changed.
 *
 * Returns `OK`; `INVALID_ARGUMENT` for what cannot be used, when what was served before goes on,
 * and for a server without TLS. Threads: any.
 */
stayline_status stayline_server_reload_tls(stayline_server *server,
                                           stayline_error **out_error);

/**
 * Stops accepting, closes links and streams with 1012 after taking what their peers had sent, and
 * waits for them at most a few seconds; what they had sent is stored when it returns, however long
 * the disk takes. The coordinator goes on. Closing again does nothing.
 *
 * Returns `OK`. Threads: any but the callback's.
 */
stayline_status stayline_server_close(stayline_server *server,
                                      stayline_error **out_error);

/**
 * Closes the server and frees it; NULL is fine.
 *
 * Threads: any but the callback's; nobody else may be using it.
 */
void stayline_server_free(stayline_server *server);

/**
 * Writes the defaults of `stayline_session_start`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_start_options_default` calls it. Threads: any.
 */
void stayline_start_options_init(stayline_start_options *options,
                                 size_t struct_size);

/**
 * What `stayline_start_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_start_options stayline_start_options_default(void)
{
    stayline_start_options options;
    stayline_start_options_init(&options, sizeof options);
    return options;
}

/**
 * Writes the defaults of `stayline_session_attach`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_attach_options_default` calls it. Threads: any.
 */
void stayline_attach_options_init(stayline_attach_options *options,
                                  size_t struct_size);

/**
 * What `stayline_attach_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_attach_options stayline_attach_options_default(void)
{
    stayline_attach_options options;
    stayline_attach_options_init(&options, sizeof options);
    return options;
}

/**
 * Writes the defaults of `stayline_session_fail`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_fail_options_default` calls it. Threads: any.
 */
void stayline_fail_options_init(stayline_fail_options *options,
                                size_t struct_size);

/**
 * What `stayline_fail_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_fail_options stayline_fail_options_default(void)
{
    stayline_fail_options options;
    stayline_fail_options_init(&options, sizeof options);
    return options;
}

/**
 * Its id; it lives as long as the handle. Threads: any.
 */
stayline_view stayline_session_id(const stayline_session *session);

/**
 * Adds a pending execution, which is thereby the active one (R2).
 *
 * - `options`: NULL for the defaults.
 * - `out_execution`: what was started, with the token that its wrapper must bring, told this one
 *   time. Yours; free it with `stayline_execution_free`.
 *
 * Returns:
 * - `OK`
 * - `EXECUTION_IN_PROGRESS`: another one is active; the field `active` names it.
 * - `ALREADY_EXISTS`: the id is taken.
 * - `INVALID_ARGUMENT`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_start(stayline_session *session,
                                       const stayline_start_options *options,
                                       stayline_execution **out_execution,
                                       stayline_error **out_error);

/**
 * Attaches a link for a wrapper that connected to a socket of the host's (R3, R25, R26). A
 * refused attach changes nothing; `stayline_error_http_status` and `stayline_error_refusal` say
 * how to answer the handshake.
 *
 * - `out_link`: yours; free it with `stayline_link_free`.
 *
 * Returns, in the order of the checks:
 * - `OK`
 * - `INVALID_ARGUMENT`: no execution id; acknowledged without `producer` or `attempt`.
 * - `NOT_FOUND`: session or execution unknown.
 * - `UNAUTHORIZED`
 * - `EXECUTION_NOT_ACTIVE`: it has ended; the field `status` says how.
 * - `SUPERSEDED`: another wrapper has taken over, or a newer attempt of the same.
 * - `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_attach(stayline_session *session,
                                        const stayline_attach_options *options,
                                        stayline_link **out_link,
                                        stayline_error **out_error);

/**
 * Fails an execution through the one failure path (R7).
 *
 * - `message`: becomes the execution's error.
 * - `options`: NULL for the defaults.
 * - `out_did`: may be NULL. Whether this call did it; `false`: it had ended already, and nothing
 *   was changed.
 *
 * Returns:
 * - `OK`
 * - `NOT_FOUND`
 * - `INVALID_ARGUMENT`: a payload that is no JSON object; an empty event type.
 * - `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_fail(stayline_session *session,
                                      stayline_view execution_id,
                                      stayline_view message,
                                      const stayline_fail_options *options,
                                      bool *out_did,
                                      stayline_error **out_error);

/**
 * Ends a running execution in the host's name (R4).
 *
 * - `status`: `STAYLINE_EXECUTION_STATUS_COMPLETED`, `…_FAILED` or `…_INTERRUPTED`.
 * - `message`: its error, for the latter two; may be none.
 * - `completed_at_ms`: when it ended (R5); `STAYLINE_NONE`: now.
 *
 * Returns:
 * - `OK`
 * - `INVALID_TRANSITION`: it has ended, or cannot end so (R1).
 * - `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, `STORE_UNKNOWN`
 *
 * Threads: any.
 */
stayline_status stayline_session_finish(stayline_session *session,
                                        stayline_view execution_id,
                                        int32_t status,
                                        stayline_view message,
                                        int64_t completed_at_ms,
                                        stayline_error **out_error);

/**
 * A sign of life that the host has of the run (R14).
 *
 * Returns `OK`, `NOT_FOUND`, `EXECUTION_NOT_ACTIVE`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`.
 * Threads: any.
 */
stayline_status stayline_session_heartbeat(stayline_session *session,
                                           stayline_view execution_id,
                                           stayline_error **out_error);

/**
 * Removes the session wholly and at once: the active execution is failed, links close with 4000,
 * streams end with a `deleted` record, rows go (R19a).
 *
 * Returns `OK`, `NOT_FOUND`, `CLOSED`, `STORE_ERROR`, or `STORE_UNKNOWN`. Threads: any.
 */
stayline_status stayline_session_delete(stayline_session *session,
                                        stayline_error **out_error);

/**
 * The id of the active execution.
 *
 * - `out_execution_id`: no text when none is active. Yours; free it with `stayline_buffer_free`.
 *
 * Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_active(const stayline_session *session,
                                        stayline_buffer *out_execution_id,
                                        stayline_error **out_error);

/**
 * The session as it is committed.
 *
 * - `out_snapshot`: yours; free it with `stayline_session_snapshot_free`.
 *
 * Returns `OK`, `NOT_FOUND` for an unknown session, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_snapshot_get(const stayline_session *session,
                                              stayline_session_snapshot **out_snapshot,
                                              stayline_error **out_error);

/**
 * One execution as it is committed.
 *
 * - `out_execution`: yours; free it with `stayline_execution_free`.
 *
 * Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_execution(const stayline_session *session,
                                           stayline_view execution_id,
                                           stayline_execution **out_execution,
                                           stayline_error **out_error);

/**
 * Executions of the session, the newest first.
 *
 * - `status`: only those of this `stayline_execution_status`; 0: all.
 * - `limit`: at most so many.
 * - `out_executions`: yours; free it with `stayline_executions_free`.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any. It may
 * wait for a disk.
 */
stayline_status stayline_session_executions(const stayline_session *session,
                                            int32_t status,
                                            size_t limit,
                                            stayline_executions **out_executions,
                                            stayline_error **out_error);

/**
 * The status of an execution: what `stayline_session_execution` says, without an object.
 *
 * - `execution_id`: none: the active one.
 * - `out_status`: a `stayline_execution_status`; 0: none is active.
 *
 * Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_status(const stayline_session *session,
                                        stayline_view execution_id,
                                        int32_t *out_status,
                                        stayline_error **out_error);

/**
 * The health of an execution (R6).
 *
 * - `out_health`: a `stayline_health`; `NONE` unless it is running.
 *
 * Returns `OK`, `NOT_FOUND`, `CLOSED`, or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_health(const stayline_session *session,
                                        stayline_view execution_id,
                                        int32_t *out_health,
                                        stayline_error **out_error);

/**
 * Stored events: the past, read in bounded rounds as it is taken (R36).
 *
 * - `filter`: NULL for all.
 * - `out_events`: yours; free it with `stayline_events_free`.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown session, `CLOSED`, or
 * `STORE_ERROR`. Threads: any. It may wait for a disk.
 */
stayline_status stayline_session_events(const stayline_session *session,
                                        const stayline_event_filter *filter,
                                        stayline_events **out_events,
                                        stayline_error **out_error);

/**
 * How many stored events pass a filter.
 *
 * - `filter`: NULL for all.
 * - `out_count`: its limit included.
 *
 * Returns `OK`, `INVALID_ARGUMENT`, `NOT_FOUND` for an unknown session, `CLOSED`, or
 * `STORE_ERROR`. Threads: any. It may wait for a disk.
 */
stayline_status stayline_session_count_events(const stayline_session *session,
                                              const stayline_event_filter *filter,
                                              uint64_t *out_count,
                                              stayline_error **out_error);

/**
 * The past, and then what is live, each event once and in order (R35).
 *
 * - `options`: NULL for everything from the beginning.
 * - `out_subscription`: yours; free it with `stayline_subscription_free`.
 *
 * Returns `OK`; `INVALID_ARGUMENT`, also on a coordinator that only reads; `NOT_FOUND` for an
 * unknown session or `until`; `CLOSED`; or `STORE_ERROR`. Threads: any.
 */
stayline_status stayline_session_subscribe(const stayline_session *session,
                                           const stayline_subscribe_options *options,
                                           stayline_subscription **out_subscription,
                                           stayline_error **out_error);

/**
 * Frees the handle; NULL is fine. The session itself stays as it is.
 *
 * Threads: any; nobody else may be using this handle.
 */
void stayline_session_free(stayline_session *session);

/**
 * Reads what it says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_session_snapshot_info(const stayline_session_snapshot *snapshot,
                                               stayline_session_info *out_info,
                                               stayline_error **out_error);

/**
 * Its active execution; in a list of sessions, where none is active, the one started last. NULL
 * when there is none. It belongs to the snapshot, and lives as long as it. Threads: any.
 */
const stayline_execution *stayline_session_snapshot_latest(const stayline_session_snapshot *snapshot);

/**
 * Frees the snapshot; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_session_snapshot_free(stayline_session_snapshot *snapshot);

/**
 * How many there are. Threads: any.
 */
size_t stayline_session_snapshots_count(const stayline_session_snapshots *snapshots);

/**
 * One of them, from 0; NULL beyond the last. It belongs to the list, and lives as long as it.
 * Threads: any.
 */
const stayline_session_snapshot *stayline_session_snapshots_at(const stayline_session_snapshots *snapshots,
                                                               size_t index);

/**
 * Frees the list and what is in it; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_session_snapshots_free(stayline_session_snapshots *snapshots);

/**
 * Makes settings with every default of `docs/settings.md`.
 *
 * - `out_settings`: yours; free it with `stayline_settings_free`.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: `out_settings` is NULL.
 *
 * Threads: any.
 */
stayline_status stayline_settings_new(stayline_settings **out_settings,
                                      stayline_error **out_error);

/**
 * Sets one by its name.
 *
 * - `name`: a name of `docs/settings.md`: `disconnect_grace_ms`.
 * - `value`: JSON: `20000`, `null`, `"drop_oldest"`, `["heartbeat"]`.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: no such setting, or a value of another shape; the message says which
 *   shape it has. Nothing is changed.
 *
 * Threads: any.
 */
stayline_status stayline_settings_set(stayline_settings *settings,
                                      stayline_view name,
                                      stayline_view value,
                                      stayline_error **out_error);

/**
 * Reads one by its name.
 *
 * - `out_value`: JSON; yours, free it with `stayline_buffer_free`.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: no such setting.
 *
 * Threads: any.
 */
stayline_status stayline_settings_get(const stayline_settings *settings,
                                      stayline_view name,
                                      stayline_buffer *out_value,
                                      stayline_error **out_error);

/**
 * Reads all of them.
 *
 * - `out_json`: a JSON object with every name; yours, free it with `stayline_buffer_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_settings_json(const stayline_settings *settings,
                                       stayline_buffer *out_json,
                                       stayline_error **out_error);

/**
 * Checks that no two of them contradict each other (R24). Whatever takes settings does it too.
 *
 * Returns:
 * - `OK`
 * - `INVALID_SETTINGS`: the fields `first` and `second` name them.
 * - `INVALID_ARGUMENT`: a value that makes no sense alone.
 *
 * Threads: any.
 */
stayline_status stayline_settings_check(const stayline_settings *settings,
                                        stayline_error **out_error);

/**
 * What settings there are.
 *
 * - `out_json`: a JSON array of `{name, about, shape, default}`; yours, free it with
 *   `stayline_buffer_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` when `out_json` is NULL. Threads: any.
 */
stayline_status stayline_settings_table(stayline_buffer *out_json,
                                        stayline_error **out_error);

/**
 * Frees settings; NULL is fine.
 *
 * Threads: any; nobody else may be using them.
 */
void stayline_settings_free(stayline_settings *settings);

/**
 * The name of a kill signal, as frames have it: `SIGTERM`.
 *
 * Returns a view that lives as long as the library; none for another number. Threads: any.
 */
stayline_view stayline_kill_signal_name(int32_t kill_signal);

/**
 * Reads what a signal says.
 *
 * - `out_info`: with its `struct_size` set.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs and a wrong `struct_size`. Threads: any.
 */
stayline_status stayline_signal_get(const stayline_signal *signal,
                                    stayline_signal_info *out_info,
                                    stayline_error **out_error);

/**
 * The name of a kind, as in every language: `execution_done`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_signal_kind_name(int32_t kind);

/**
 * Frees a signal; NULL is fine.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_signal_free(stayline_signal *signal);

/**
 * Writes the defaults of `stayline_session_subscribe`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_subscribe_options_default` calls it. Threads: any.
 */
void stayline_subscribe_options_init(stayline_subscribe_options *options,
                                     size_t struct_size);

/**
 * What `stayline_subscribe_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_subscribe_options stayline_subscribe_options_default(void)
{
    stayline_subscribe_options options;
    stayline_subscribe_options_init(&options, sizeof options);
    return options;
}

/**
 * The next event.
 *
 * - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
 * - `out_event`: yours; free it with `stayline_event_free`. NULL: none in time, or the stream is
 *   over, which `stayline_subscription_is_ended` says.
 *
 * Returns:
 * - `OK`
 * - `CLOSED`: the subscription was closed, also while this call waited. The end of its coordinator
 *   is an end of the stream.
 * - `STORE_ERROR`
 *
 * Threads: any.
 */
stayline_status stayline_subscription_next(stayline_subscription *subscription,
                                           int64_t timeout_ms,
                                           stayline_event **out_event,
                                           stayline_error **out_error);

/**
 * A file descriptor for event loops: readable from an event until a take with a timeout of 0
 * finds none, and for ever once the stream is over or closed.
 *
 * - `out_fd`: borrowed; it lives as long as the subscription. Never read from it or close it.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_subscription_fd(const stayline_subscription *subscription,
                                         int *out_fd,
                                         stayline_error **out_error);

/**
 * Whether the stream is over: `until` was reached, the session was deleted, or the coordinator or
 * the subscription was closed; and everything before that was taken. Threads: any.
 */
bool stayline_subscription_is_ended(const stayline_subscription *subscription);

/**
 * The id of the newest stored event that was taken: resume with `after` this. Threads: any.
 */
uint64_t stayline_subscription_last_id(const stayline_subscription *subscription);

/**
 * How many stored events it has not looked at yet. Threads: any.
 */
uint64_t stayline_subscription_lag(const stayline_subscription *subscription);

/**
 * The log's epoch, to be given when resuming (R34a).
 *
 * - `out_epoch`: yours; free it with `stayline_buffer_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_subscription_epoch(const stayline_subscription *subscription,
                                            stayline_buffer *out_epoch,
                                            stayline_error **out_error);

/**
 * Ends it: whoever waits gets `CLOSED`, and so does every later take. Closing again does nothing.
 *
 * Returns `OK`. Threads: any, also while others wait.
 */
stayline_status stayline_subscription_close(stayline_subscription *subscription,
                                            stayline_error **out_error);

/**
 * Frees it; NULL is fine. Events that were taken stay.
 *
 * Threads: any; nobody else may be using it.
 */
void stayline_subscription_free(stayline_subscription *subscription);

/**
 * Frees what a buffer holds and empties it, so that freeing it again does nothing.
 *
 * - `buffer`: may be NULL, or empty.
 *
 * Threads: any; one at a time for one buffer.
 */
void stayline_buffer_free(stayline_buffer *buffer);

/**
 * A view of a NUL-terminated C string; no text for NULL.
 *
 * - `text`: borrowed; the view lives as long as it.
 *
 * Threads: any.
 */
stayline_view stayline_view_of(const char *text);

/**
 * The version of the library's interface; see `STAYLINE_ABI_VERSION`.
 *
 * Threads: any.
 */
uint32_t stayline_abi_version(void);

/**
 * The library's version, as `STAYLINE_VERSION` of the header: `0.1.0`.
 *
 * Returns a view that lives as long as the library. Threads: any.
 */
stayline_view stayline_version(void);

/**
 * Writes the defaults of `stayline_wrapper_open`: `struct_size` bytes, the caller's `sizeof`, and no more.
 * `stayline_wrapper_options_default` calls it. Threads: any.
 */
void stayline_wrapper_options_init(stayline_wrapper_options *options,
                                   size_t struct_size);

/**
 * What `stayline_wrapper_options_init` writes, for the struct of this header. Threads: any.
 */
static inline stayline_wrapper_options stayline_wrapper_options_default(void)
{
    stayline_wrapper_options options;
    stayline_wrapper_options_init(&options, sizeof options);
    return options;
}

/**
 * Begins the first connection attempt and returns at once.
 *
 * - `out_wrapper`: yours; free it with `stayline_wrapper_free`.
 *
 * Returns:
 * - `OK`
 * - `INVALID_ARGUMENT`: an address or a proxy that is none; no session or execution id.
 * - `INVALID_SETTINGS`: settings that contradict each other (R24).
 * - `FORK_ERROR`: settings of the process that this one was forked from.
 * - `LIMIT_EXCEEDED`: no thread can be made.
 *
 * Threads: any.
 */
stayline_status stayline_wrapper_open(const stayline_wrapper_options *options,
                                      stayline_wrapper **out_wrapper,
                                      stayline_error **out_error);

/**
 * The server's base address; it lives as long as the wrapper. Threads: any.
 */
stayline_view stayline_wrapper_url(const stayline_wrapper *wrapper);

/**
 * Its session; it lives as long as the wrapper. Threads: any.
 */
stayline_view stayline_wrapper_session_id(const stayline_wrapper *wrapper);

/**
 * Its execution; it lives as long as the wrapper. Threads: any.
 */
stayline_view stayline_wrapper_execution_id(const stayline_wrapper *wrapper);

/**
 * A copy of its settings.
 *
 * - `out_settings`: yours; free it with `stayline_settings_free`.
 *
 * Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
 */
stayline_status stayline_wrapper_settings(const stayline_wrapper *wrapper,
                                          stayline_settings **out_settings,
                                          stayline_error **out_error);

/**
 * Waits until it is connected.
 *
 * - `timeout_ms`: 0: does not wait, below 0: for ever. The first connection fails fast by itself
 *   unless `retry_first` is set (R48).
 *
 * Returns:
 * - `OK`
 * - `TIMEOUT`: it is not, yet.
 * - `DISCONNECTED`: it gave up; the field `reason` says why.
 * - `SUPERSEDED`: another wrapper took over.
 * - `CLOSED`: it was closed, also while this call waited; or the execution has ended.
 *
 * Threads: any.
 */
stayline_status stayline_wrapper_wait_connected(const stayline_wrapper *wrapper,
                                                int64_t timeout_ms,
                                                stayline_error **out_error);

/**
 * A file descriptor for event loops: readable when `stayline_wrapper_wait_connected`,
 * `stayline_wrapper_outcome` or `stayline_wrapper_try_send` may answer otherwise than before;
 * the former two with a timeout of 0 make it unreadable when they have nothing to say.
 *
 * - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_wrapper_changes_fd(const stayline_wrapper *wrapper,
                                            int *out_fd,
                                            stayline_error **out_error);

/**
 * The name of a state, as in every language: `reconnecting`.
 *
 * Returns a view that lives as long as the library; none for an unknown one. Threads: any.
 */
stayline_view stayline_wrapper_state_name(int32_t state);

/**
 * Where its connection stands: a `stayline_wrapper_state`. Threads: any.
 */
int32_t stayline_wrapper_state_get(const stayline_wrapper *wrapper);

/**
 * Events not written yet. Threads: any.
 */
uint64_t stayline_wrapper_buffered(const stayline_wrapper *wrapper);

/**
 * Events written and not acknowledged yet; 0 in basic mode. Threads: any.
 */
uint64_t stayline_wrapper_unacknowledged(const stayline_wrapper *wrapper);

/**
 * Connection attempts so far. Threads: any.
 */
uint64_t stayline_wrapper_attempts(const stayline_wrapper *wrapper);

/**
 * Times it came back. Threads: any.
 */
uint64_t stayline_wrapper_reconnects(const stayline_wrapper *wrapper);

/**
 * The next thing that the wrapper tells.
 *
 * - `timeout_ms`: how long to wait; 0: not at all, below 0: for ever.
 * - `out_signal`: yours; free it with `stayline_signal_free`. NULL: none in time, or there will
 *   be no more, which `stayline_wrapper_is_finished` says.
 *
 * Returns `OK`. Threads: any; each signal goes to one of those that take.
 */
stayline_status stayline_wrapper_next_signal(stayline_wrapper *wrapper,
                                             int64_t timeout_ms,
                                             stayline_signal **out_signal,
                                             stayline_error **out_error);

/**
 * A file descriptor for event loops: readable from a signal until a take with a timeout of 0
 * finds none, and for ever after the last.
 *
 * - `out_fd`: borrowed; it lives as long as the wrapper. Never read from it or close it.
 *
 * Returns `OK`, or `LIMIT_EXCEEDED` when the process has no descriptor left. Threads: any.
 */
stayline_status stayline_wrapper_fd(const stayline_wrapper *wrapper,
                                    int *out_fd,
                                    stayline_error **out_error);

/**
 * Whether there will be no more signals, all being taken. Threads: any.
 */
bool stayline_wrapper_is_finished(const stayline_wrapper *wrapper);

/**
 * Closes, gives up what is unacknowledged, and returns once what was written before is out, at
 * most a few seconds later (R42). Waiting calls answer `CLOSED`. Closing again does nothing.
 *
 * - `out_unacknowledged`: may be NULL. How many events were given up.
 *
 * Returns `OK`. Threads: any, also while others wait.
 */
stayline_status stayline_wrapper_close(stayline_wrapper *wrapper,
                                       uint64_t *out_unacknowledged,
                                       stayline_error **out_error);

/**
 * Frees it, which closes it without waiting for what is on its way; NULL is fine. Returns once its
 * kill callbacks have returned and are dropped; none begins any more.
 *
 * Threads: any but one that runs a kill callback; nobody else may be using it, a kill callback
 * excepted.
 */
void stayline_wrapper_free(stayline_wrapper *wrapper);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* STAYLINE_H */
