// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SANSIO_HPP
#define STAYLINE_SANSIO_HPP

#include <stayline/settings.hpp>
#include <stayline/signal.hpp>

#include <array>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_action> {
    using Info = stayline_action_info;
    static constexpr auto read = stayline_action_get;
    static constexpr auto free = stayline_action_free;
};
template <>
struct Noun<stayline_sansio> {
    static void free(stayline_sansio* sansio) noexcept { stayline_sansio_free(sansio); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_sansio_handle_timeout(nullptr, 0, out_error);
    }
};
}  // namespace detail

/// One thing to do for a machine. It does not change; texts live as long as it. Any thread may use
/// it.
class Action : public detail::Snapshot<const stayline_action> {
public:
    using Snapshot::Snapshot;

    /// What to do.
    ActionKind kind() const { return static_cast<ActionKind>(info().kind); }
    /// Which connection; all that is said about it carries this number (R42).
    std::uint64_t attempt() const { return info().attempt; }
    /// `connect`: the execution to attach to.
    std::optional<std::string_view> execution_id() const {
        return detail::maybe_text(info().execution_id);
    }
    /// `connect`: the protocol to ask for, 2; 0: basic mode, ask for none.
    std::uint8_t protocol() const { return info().protocol; }
    /// `connect`: the producer to name; none in basic mode.
    std::optional<std::string_view> producer() const {
        return detail::maybe_text(info().producer);
    }
    /// `connect`: for TCP and TLS (R48).
    std::chrono::milliseconds dial_timeout() const {
        return std::chrono::milliseconds(info().dial_timeout_ms);
    }
    /// `connect`: for the answer to the upgrade request (R48).
    std::chrono::milliseconds upgrade_timeout() const {
        return std::chrono::milliseconds(info().upgrade_timeout_ms);
    }
    /// `close`: the close code.
    std::uint16_t code() const { return info().code; }
    /// `write`: the frame. `close`: the reason.
    std::string_view text() const { return detail::text(info().text); }

    /// `tell`: what the host is to be told; none for other kinds.
    std::optional<Signal> signal() const {
        static_cast<void>(info());
        const stayline_signal* signal = stayline_action_signal(get());
        if (signal == nullptr) {
            return std::nullopt;
        }
        return Signal(std::shared_ptr<const stayline_signal>(shared(), signal));
    }
};

/// The wrapper without sockets, threads and clocks.
namespace sansio {

/// A handshake that did not succeed. Made so: there was no answer.
struct Refused {
    /// The HTTP status; 0: there was no answer.
    std::uint16_t status = 0;
    /// The `Stayline-Refusal` header; only with it a refusal is final (R46).
    std::optional<std::string> refusal{};
    /// The `Stayline-Status` header.
    std::optional<std::string> execution_status{};
    /// What went wrong, for people.
    std::optional<std::string> detail{};
    /// The `Retry-After` header, in ms: the next attempt comes no sooner, as far as
    /// `reconnect_cap_ms` goes (R41); 0: not there.
    std::int64_t retry_after_ms = 0;
};

/// 16 random bytes.
using Seed = std::array<std::uint8_t, 16>;

/// The machine of a wrapper: no socket, no clock, no randomness of its own. After every call that
/// takes `now`, take its actions with `poll_action` until there is none and do them in order; then
/// call `handle_timeout` at `next_deadline`. Time must not go back. Any thread may use it, one at a
/// time if the order matters.
class [[nodiscard]] Wrapper : public detail::Handle<stayline_sansio> {
public:
    /// A machine that has not been opened. `settings` are copied; NULL: the defaults. Jitter and
    /// producer ids come from the seed, and only from it; none takes the system's randomness.
    /// Throws `InvalidSettings` (R24).
    explicit Wrapper(const Settings* settings = nullptr, const std::optional<Seed>& seed = {})
        : Wrapper(made(settings, seed)) {}

    /// Takes C's object over.
    explicit Wrapper(stayline_sansio* taken) noexcept : Handle(taken) {}

    /// Begins the first attempt for an execution (R48); with `retry_first` a first connection that
    /// fails is retried like a later one (R41). Throws `InvalidArgument` when it is open already,
    /// or the id is none.
    void open(std::string_view execution_id, Moment now, bool retry_first = false) {
        detail::call(stayline_sansio_open, get(), detail::given(execution_id), retry_first,
                     detail::given(now));
    }

    /// An attempt was accepted, with the protocol that the 101 answer granted: 2; 0: none.
    void handle_opened(std::uint64_t attempt, std::uint8_t protocol, Moment now) {
        detail::call(stayline_sansio_handle_opened, get(), attempt, protocol, detail::given(now));
    }

    /// An attempt failed: refused, timed out, or never answered (R46). Values that this version
    /// does not know count as not there.
    void handle_refused(std::uint64_t attempt, const Refused& refused, Moment now) {
        stayline_refused handshake = stayline_refused_default();
        handshake.status = refused.status;
        handshake.refusal = detail::given(refused.refusal);
        handshake.execution_status = detail::given(refused.execution_status);
        handshake.detail = detail::given(refused.detail);
        handshake.retry_after_ms = refused.retry_after_ms;
        detail::call(stayline_sansio_handle_refused, get(), attempt, &handshake,
                     detail::given(now));
    }

    /// A connection is gone, with its close code; 1006 where there was none.
    void handle_closed(std::uint64_t attempt, std::uint16_t code, std::string_view reason,
                       Moment now) {
        detail::call(stayline_sansio_handle_closed, get(), attempt, code, detail::given(reason),
                     detail::given(now));
    }

    /// A text frame from the coordinator.
    void handle_frame(std::uint64_t attempt, std::string_view text, Moment now) {
        detail::call(stayline_sansio_handle_frame, get(), attempt, detail::given(text),
                     detail::given(now));
    }

    /// Handles everything that is due.
    void handle_timeout(Moment now) {
        detail::call(stayline_sansio_handle_timeout, get(), detail::given(now));
    }

    /// Sends an event; never waits (R40, R44). The data is JSON; none: `{}`. Throws `InvalidEvent`,
    /// `Full`, `Closed` after the end, `Disconnected`, `Superseded`.
    void send(std::string_view event_type, std::optional<std::string_view> data, Moment now,
              const SendOptions& options = {}) {
        const stayline_send_options how = detail::given(options);
        detail::call(stayline_sansio_send, get(), detail::given(event_type), detail::given(data),
                     &how, detail::given(now));
    }

    /// Whether a send may succeed where the last one said `Full`.
    bool has_room() const { return stayline_sansio_has_room(live()); }

    /// The run has ended: `complete` goes out, then it drains and closes (R51). Throws `Closed`
    /// after the end; so do the following two.
    void complete(std::int64_t exit_code, std::optional<std::string_view> branch, Moment now) {
        detail::call(stayline_sansio_complete, get(), exit_code, detail::given(branch),
                     detail::given(now));
    }

    /// The run has failed: a fatal `error` goes out, then it drains and closes. The exit code,
    /// where there is one, is kept with it (R29).
    void fail(std::string_view error, Moment now,
              std::optional<std::int64_t> exit_code = std::nullopt) {
        detail::call(stayline_sansio_fail_with_exit_code, get(), detail::given(error),
                     exit_code.value_or(STAYLINE_NONE), detail::given(now));
    }

    /// The run was stopped: `interrupted` goes out, then it drains and closes. The exit code, where
    /// there is one, is kept with it (R29).
    void interrupted(std::optional<std::string_view> reason, Moment now,
                     std::optional<std::int64_t> exit_code = std::nullopt) {
        detail::call(stayline_sansio_interrupted_with_exit_code, get(), detail::given(reason),
                     exit_code.value_or(STAYLINE_NONE), detail::given(now));
    }

    /// The host closes: nothing is sent, retried or told any more (R42). Returns how many events
    /// were given up.
    std::uint64_t close(Moment now) {
        std::uint64_t unacknowledged = 0;
        detail::call(stayline_sansio_close, get(), detail::given(now), &unacknowledged);
        return unacknowledged;
    }

    /// A job begins (R49), with its execution. Throws `InvalidArgument`, `JobConflict` while
    /// another is active.
    void start_job(const Job& job, Moment now) {
        detail::call(stayline_sansio_start_job, get(), detail::GivenJob(job).get(),
                     detail::given(now));
    }

    /// A prompt goes to the agent: the run is active until it is idle (R49). Returns the message id
    /// (R50). Throws `InvalidArgument` without a job.
    std::string begin_turn(Moment now) {
        detail::Buffer message_id;
        detail::call(stayline_sansio_begin_turn, get(), detail::given(now), message_id.out());
        return message_id.text();
    }

    /// An event of the agent itself, for the `kilo` dialect (R51, R53, R54); the properties are
    /// JSON; none: `{}`. Throws `InvalidArgument` for what is no JSON, `InvalidEvent`, `Full`,
    /// `Closed`.
    void handle_agent_event(std::string_view event_type,
                            std::optional<std::string_view> properties, Moment now) {
        detail::call(stayline_sansio_handle_agent_event, get(), detail::given(event_type),
                     detail::given(properties),
             detail::given(now));
    }

    /// The run is idle (R51), for hosts without a dialect.
    void handle_idle(Moment now) {
        detail::call(stayline_sansio_handle_idle, get(), detail::given(now));
    }

    /// A post-completion task has ended (R51).
    void handle_task_done(std::string_view name, bool ok, Moment now) {
        detail::call(stayline_sansio_handle_task_done, get(), detail::given(name), ok,
                     detail::given(now));
    }

    /// What the signal `abort` asked for is done (R52).
    void handle_aborted(Moment now) {
        detail::call(stayline_sansio_handle_aborted, get(), detail::given(now));
    }

    /// The next thing to do; none: nothing until the next input.
    std::optional<Action> poll_action() {
        stayline_action* action = nullptr;
        detail::call(stayline_sansio_poll_action, get(), &action);
        return action != nullptr ? std::optional<Action>(std::in_place, action) : std::nullopt;
    }

    /// The actions as a range, over when there is nothing until the next input.
    Taking<Action> actions() {
        return Taking<Action>([this] { return poll_action(); });
    }

    /// When `handle_timeout` is to be called next; none: not before another input.
    std::optional<Moment> next_deadline() const {
        return detail::maybe_moment(stayline_sansio_next_deadline(live()));
    }

    /// Where the connection stands.
    WrapperState state() const { return static_cast<WrapperState>(stayline_sansio_state(live())); }

    /// Events that are held and have not been written.
    std::uint64_t buffered() const { return stayline_sansio_buffered(live()); }

    /// Events that have been written and are not acknowledged; 0 in basic mode.
    std::uint64_t unacknowledged() const { return stayline_sansio_unacknowledged(live()); }

    /// Connection attempts so far, over all executions.
    std::uint64_t attempts() const { return stayline_sansio_attempts(live()); }

    /// The id of the present producer (R45a); none in basic mode and before the first open.
    std::optional<std::string> producer() const {
        detail::Buffer producer;
        detail::call(stayline_sansio_producer, get(), producer.out());
        return producer.maybe_text();
    }

    /// How it ended (R46); none while it is not known. Throws `Disconnected` (it gave up),
    /// `Superseded`, `Closed`.
    std::optional<Outcome> outcome() const {
        detail::TakenOutcome taken;
        if (!detail::call_in_time(stayline_sansio_outcome, get(), taken.out(),
                                            taken.out_error_text())) {
            return std::nullopt;
        }
        return taken.outcome();
    }

private:
    static stayline_sansio* made(const Settings* settings, const std::optional<Seed>& seed) {
        stayline_sansio* sansio = nullptr;
        detail::call(stayline_sansio_new, Settings::lent(settings), seed ? seed->data() : nullptr,
                     &sansio);
        return sansio;
    }
};

}  // namespace sansio
}  // namespace stayline

#endif  // STAYLINE_SANSIO_HPP
