// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_WRAPPER_HPP
#define STAYLINE_WRAPPER_HPP

#include <stayline/settings.hpp>
#include <stayline/signal.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_wrapper> {
    static void free(stayline_wrapper* wrapper) noexcept { stayline_wrapper_free(wrapper); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_wrapper_idle(nullptr, out_error);
    }
};
}  // namespace detail

/// Where a wrapper connects to, as whom, and how it behaves. Read during the call only.
struct WrapperOptions {
    /// The server's base address: `http://`, `https://`, `ws://` or `wss://`.
    std::string url{};
    /// The session.
    std::string session_id{};
    /// The execution.
    std::string execution_id{};
    /// The execution's token, or whatever the server's host asks for.
    std::optional<std::string> token{};
    /// Every bound and delay, copied; NULL: the defaults.
    const Settings* settings = nullptr;
    /// The first connection is retried like later ones (R48); default: it fails fast.
    bool retry_first = false;
    /// The run is active from the beginning (default): a kill is told to the host, which stops the
    /// agent and answers with `aborted` (R52). Hosts that give jobs and turns themselves switch it
    /// off.
    bool active = true;
    /// Whether it goes through a proxy (`CONNECT`; TLS goes through it end to end): `environment`
    /// (as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say), `none`, or the address of one,
    /// `http://[USER:PASSWORD@]HOST[:PORT]`.
    std::string proxy = "environment";
};

/// What is called when the agent is to be stopped, on a thread of ours, one call at a time. It may
/// block and call into this library, also `aborted` and `close`, but must not end the wrapper. An
/// exception inside is swallowed. It is freed on that thread, after the last call; the wrapper's
/// end waits for both.
using OnKill = std::function<void(KillSignal)>;

namespace detail {
/// What C calls; no exception gets out.
inline void on_kill(void* function, std::int32_t kill_signal) noexcept {
    swallowing([&] { (*static_cast<OnKill*>(function))(static_cast<KillSignal>(kill_signal)); });
}
}  // namespace detail

/// The side next to the agent, with its socket: it connects, reconnects, buffers and resends by
/// itself. Its end closes it without waiting for what is on its way. Any thread may use it.
class [[nodiscard]] Wrapper : public detail::Handle<stayline_wrapper> {
public:
    /// Begins the first connection attempt and returns at once. Throws `InvalidArgument` (an
    /// address or a proxy that is none; no session or execution id), `InvalidSettings` (R24).
    explicit Wrapper(const WrapperOptions& options) : Wrapper(opened(options)) {}

    /// Takes C's object over.
    explicit Wrapper(stayline_wrapper* taken) noexcept : Handle(taken) {}

    /// The server's base address; lives as long as this, and so do the two ids.
    std::string_view url() const { return detail::text(stayline_wrapper_url(live())); }

    /// Its session.
    std::string_view session_id() const {
        return detail::text(stayline_wrapper_session_id(live()));
    }

    /// Its execution.
    std::string_view execution_id() const {
        return detail::text(stayline_wrapper_execution_id(live()));
    }

    /// A copy of its settings.
    Settings settings() const {
        stayline_settings* settings = nullptr;
        detail::call(stayline_wrapper_settings, get(), &settings);
        return Settings(settings);
    }

    /// Waits until it is connected. The first connection fails fast by itself unless `retry_first`
    /// is set (R48). Throws `Timeout`, `Disconnected` (it gave up), `Superseded`, `Closed` (also
    /// while it waited; or the execution has ended).
    void wait_connected(TimeLimit limit = for_ever) const {
        detail::call(stayline_wrapper_wait_connected, get(), detail::given(limit));
    }

    /// As `wait_connected`, without waiting: whether it is connected.
    bool poll_connected() const {
        return detail::call_in_time(stayline_wrapper_wait_connected, get(), std::int64_t{0});
    }

    /// Sends an event: a type that is not empty, and data that is JSON; none: `{}`. Where the
    /// overflow policy waits, it waits for room up to `send_timeout_ms` (R44). When it returns the
    /// event is written, or kept until it can be. Throws `InvalidEvent` (R40) and `Full`, with
    /// nothing sent, `Closed` after the end, `Disconnected` when the wrapper gave up and `Superseded`
    /// when another one took over. Events keep the order of calls that follow one another.
    void send(std::string_view event_type, std::optional<std::string_view> data = std::nullopt,
              const SendOptions& options = {}) {
        const stayline_send_options given = detail::given(options);
        detail::call(stayline_wrapper_send, get(), detail::given(event_type), detail::given(data),
                     &given);
    }

    /// As `send`, but never waits: `Full` at once.
    void try_send(std::string_view event_type, std::optional<std::string_view> data = std::nullopt,
                  const SendOptions& options = {}) {
        const stayline_send_options given = detail::given(options);
        detail::call(stayline_wrapper_try_send, get(), detail::given(event_type),
                     detail::given(data), &given);
    }

    /// The run has ended: sends `complete`, drains and closes (R51). `outcome` tells when that is
    /// done. Throws `Closed` after the end.
    void complete(std::int64_t exit_code = 0,
                  std::optional<std::string_view> branch = std::nullopt) {
        detail::call(stayline_wrapper_complete, get(), exit_code, detail::given(branch));
    }

    /// The run has failed: sends a fatal `error`, which becomes the execution's, drains and closes.
    /// The exit code, where there is one, is kept with it (R29). Throws `Closed` after the end.
    void fail(std::string_view error, std::optional<std::int64_t> exit_code = std::nullopt) {
        detail::call(stayline_wrapper_fail_with_exit_code, get(), detail::given(error),
                     exit_code.value_or(STAYLINE_NONE));
    }

    /// The run was stopped: sends `interrupted`, drains and closes. The exit code, where there is
    /// one, is kept with it (R29). Throws `Closed` after the end.
    void interrupted(std::optional<std::string_view> reason = std::nullopt,
                     std::optional<std::int64_t> exit_code = std::nullopt) {
        detail::call(stayline_wrapper_interrupted_with_exit_code, get(), detail::given(reason),
                     exit_code.value_or(STAYLINE_NONE));
    }

    /// Runs the code that has the run in its hands, a callable without arguments, and returns what
    /// it returns. An exception that leaves it, unless the run has had its ending, fails the run
    /// with what it says, or interrupts it where a kill has asked for that (R51a); once that is
    /// known, or after `ack_timeout_ms`, it is thrown on.
    template <typename Code>
    auto run(Code&& code) -> decltype(std::forward<Code>(code)()) {
#if STAYLINE_EXCEPTIONS
        try {
            return std::forward<Code>(code)();
        } catch (const std::exception& failure) {
            raised(failure.what());
            throw;
        } catch (...) {
            raised("an exception that is no std::exception");
            throw;
        }
#else
        return std::forward<Code>(code)();
#endif
    }

    /// Waits until it is known how it ended (R46). Throws `Timeout`, `Disconnected` (it gave up),
    /// `Superseded`, `Closed` (also while it waited).
    Outcome outcome(TimeLimit limit = for_ever) const {
        detail::TakenOutcome taken;
        detail::call(stayline_wrapper_outcome, get(), detail::given(limit), taken.out(),
                     taken.out_error_text());
        return taken.outcome();
    }

    /// As `outcome`, without waiting: none while it is not known.
    std::optional<Outcome> poll_outcome() const {
        detail::TakenOutcome taken;
        if (!detail::call_in_time(stayline_wrapper_outcome, get(), std::int64_t{0}, taken.out(),
                                  taken.out_error_text())) {
            return std::nullopt;
        }
        return taken.outcome();
    }

    /// A file descriptor for event loops: readable when `poll_connected`, `poll_outcome` or
    /// `try_send` may answer otherwise than before; the former two make it unreadable when they
    /// have nothing to say. Lent while this lives; never read from it or close it. Throws
    /// `LimitExceeded`.
    int changes_fd() const {
        int fd = -1;
        detail::call(stayline_wrapper_changes_fd, get(), &fd);
        return fd;
    }

    /// A job begins (R49); for wrappers that were opened without `active`. Throws
    /// `InvalidArgument`, `JobConflict` while another is active, `Closed`.
    void start_job(const Job& job = {}) {
        detail::call(stayline_wrapper_start_job, get(), detail::GivenJob(job).get());
    }

    /// A prompt goes to the agent: the run is active until it is idle (R49). Returns the message id
    /// (R50). Throws `InvalidArgument` without a job, `Closed`.
    std::string begin_turn() {
        detail::Buffer message_id;
        detail::call(stayline_wrapper_begin_turn, get(), message_id.out());
        return message_id.text();
    }

    /// An event of the agent itself, for the `kilo` dialect (R51, R53, R54): the agent's word, and
    /// JSON; none: `{}`. Throws `InvalidArgument` for what is no JSON, `InvalidEvent`, `Full`,
    /// `Closed`.
    void agent_event(std::string_view event_type,
                     std::optional<std::string_view> properties = std::nullopt) {
        detail::call(stayline_wrapper_agent_event, get(), detail::given(event_type),
                     detail::given(properties));
    }

    /// The run is idle (R51): tasks run, `complete` goes out, it drains and closes. For hosts
    /// without a dialect.
    void idle() { detail::call(stayline_wrapper_idle, get()); }

    /// A post-completion task has ended (R51), named as the signal `task` did; one that failed
    /// becomes a non-fatal `error` event.
    void task_done(std::string_view name, bool ok = true) {
        detail::call(stayline_wrapper_task_done, get(), detail::given(name), ok);
    }

    /// What the signal `abort` asked for is done: the agent has stopped (R52).
    void aborted() { detail::call(stayline_wrapper_aborted, get()); }

    /// Where its connection stands.
    WrapperState state() const {
        return static_cast<WrapperState>(stayline_wrapper_state_get(live()));
    }

    /// Events not written yet.
    std::uint64_t buffered() const { return stayline_wrapper_buffered(live()); }

    /// Events written and not acknowledged yet; 0 in basic mode.
    std::uint64_t unacknowledged() const { return stayline_wrapper_unacknowledged(live()); }

    /// Connection attempts so far.
    std::uint64_t attempts() const { return stayline_wrapper_attempts(live()); }

    /// Times it came back.
    std::uint64_t reconnects() const { return stayline_wrapper_reconnects(live()); }

    /// The next thing that it tells; none: none in time, or there will be no more, which
    /// `is_finished` says. Each signal goes to one of those that take.
    std::optional<Signal> next_signal(TimeLimit limit = for_ever) {
        stayline_signal* signal = nullptr;
        detail::call(stayline_wrapper_next_signal, get(), detail::given(limit), &signal);
        return signal != nullptr ? std::optional<Signal>(std::in_place, signal) : std::nullopt;
    }

    /// The signals as a range, over when none comes within the limit or there will be no more.
    Taking<Signal> signals(TimeLimit limit = for_ever) {
        return Taking<Signal>([this, limit] { return next_signal(limit); });
    }

    /// A file descriptor for event loops: readable from a signal until a take that does not wait
    /// finds none, and for ever after the last. Lent while this lives; never read from it or close
    /// it. Throws `LimitExceeded`.
    int fd() const {
        int fd = -1;
        detail::call(stayline_wrapper_fd, get(), &fd);
        return fd;
    }

    /// Whether there will be no more signals, all being taken.
    bool is_finished() const { return stayline_wrapper_is_finished(live()); }

    /// Calls back at every kill from now on (R52), beside the signal `abort`, which is told all the
    /// same. A second callback shares the kills with the first. Throws `InvalidArgument` for an
    /// empty one, `LimitExceeded` when no thread can be made.
    void on_kill(OnKill callback) {
        const bool empty = !callback;
        detail::call(stayline_wrapper_on_kill, get(),
                     stayline_kill_callback{empty ? nullptr : detail::on_kill,
                                            detail::Callback<OnKill>::drop,
                                            detail::Callback<OnKill>::keep(std::move(callback))});
    }

    /// Waits until everything that was sent has been written and, in acknowledged mode,
    /// acknowledged. Throws `Timeout`, and `Closed` when it is over with something left.
    void flush(TimeLimit limit = for_ever) const {
        detail::call(stayline_wrapper_flush, get(), detail::given(limit));
    }

    /// Closes, gives up what is unacknowledged, and returns once what was written before is out, at
    /// most a few seconds later (R42); returns how many events were given up. Waiting calls throw
    /// `Closed`. Closing again does nothing.
    std::uint64_t close() {
        std::uint64_t unacknowledged = 0;
        detail::call(stayline_wrapper_close, get(), &unacknowledged);
        return unacknowledged;
    }

private:
    /// Whatever becomes of it, the exception that is in flight is what the caller has to see.
    void raised(const char* what) noexcept {
        stayline_wrapper_raised(get(), detail::given(std::string_view(what)), false, STAYLINE_NONE,
                                nullptr);
    }

    static stayline_wrapper* opened(const WrapperOptions& options) {
        stayline_wrapper_options given = stayline_wrapper_options_default();
        given.url = detail::given(options.url);
        given.session_id = detail::given(options.session_id);
        given.execution_id = detail::given(options.execution_id);
        given.token = detail::given(options.token);
        given.settings = Settings::lent(options.settings);
        given.retry_first = options.retry_first;
        given.active = options.active;
        given.proxy = detail::given(options.proxy);
        stayline_wrapper* wrapper = nullptr;
        detail::call(stayline_wrapper_open, &given, &wrapper);
        return wrapper;
    }
};

}  // namespace stayline

#endif  // STAYLINE_WRAPPER_HPP
