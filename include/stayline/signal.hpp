// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SIGNAL_HPP
#define STAYLINE_SIGNAL_HPP

#include <stayline/enums.hpp>
#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_signal> {
    using Info = stayline_signal_info;
    static constexpr auto read = stayline_signal_get;
    static constexpr auto free = stayline_signal_free;
};
}  // namespace detail

/// One thing that a wrapper tells its host. It does not change; the text lives as long as it. Any
/// thread may use it.
class Signal : public detail::Snapshot<const stayline_signal> {
public:
    using Snapshot::Snapshot;

    /// What it tells.
    SignalKind kind() const { return static_cast<SignalKind>(info().kind); }
    /// `execution_done`: how it ended; none where it is not known.
    std::optional<ExecutionStatus> status() const {
        return detail::maybe_enum<ExecutionStatus>(info().status);
    }
    /// `abort`: how hard to stop the agent.
    KillSignal kill_signal() const { return static_cast<KillSignal>(info().kill_signal); }
    /// `reconnecting`: the attempt that is waited for, from 1.
    std::uint32_t attempt() const { return info().attempt; }
    /// `execution_done`: events that were not acknowledged and are discarded.
    std::uint64_t unacknowledged() const { return info().unacknowledged; }
    /// The reason, the error, the task's name, or the command as JSON.
    std::optional<std::string_view> text() const { return detail::maybe_text(info().text); }
};

/// How an event is to be sent.
struct SendOptions {
    /// It may give way when the buffer is full, before any other kind does (R44).
    bool droppable = false;
    /// When it happened; none: now.
    std::optional<Moment> timestamp{};
};

/// A job of the agent.
struct Job {
    /// The execution it belongs to; a driven wrapper takes its own where there is none here.
    std::optional<std::string> execution_id{};
    /// The agent's root session, where it is known: only its idle ends the run (R51).
    std::optional<std::string> agent_session{};
    /// The post-completion tasks, run one after the other when the run is idle (R51).
    std::vector<std::string> tasks{};
    /// The branch that `complete` names.
    std::optional<std::string> branch{};
};

/// How it ended.
struct Outcome {
    /// How; none: everything was sent, and nobody said how it ended.
    std::optional<ExecutionStatus> status{};
    /// Why, for failed and interrupted executions.
    std::optional<std::string> error{};
    /// Events that were not acknowledged and are discarded.
    std::uint64_t unacknowledged = 0;
};

namespace detail {
/// How to send, for C.
inline stayline_send_options given(const SendOptions& options) {
    stayline_send_options given = stayline_send_options_default();
    given.droppable = options.droppable;
    given.timestamp_ms = detail::given(options.timestamp);
    return given;
}

/// A job for C, which lives as long as this and what it was made from.
class GivenJob {
public:
    explicit GivenJob(const Job& job) : tasks_(job.tasks), job_(stayline_job_default()) {
        job_.execution_id = given(job.execution_id);
        job_.agent_session = given(job.agent_session);
        job_.tasks = tasks_.data();
        job_.tasks_count = tasks_.size();
        job_.branch = given(job.branch);
    }
    GivenJob(const GivenJob&) = delete;
    GivenJob& operator=(const GivenJob&) = delete;

    const stayline_job* get() const { return &job_; }

private:
    Views tasks_;
    stayline_job job_;
};

/// An outcome that C puts out.
class TakenOutcome {
public:
    TakenOutcome() { outcome_.struct_size = sizeof outcome_; }

    stayline_outcome* out() { return &outcome_; }
    stayline_buffer* out_error_text() { return error_.out(); }
    Outcome outcome() const {
        return {maybe_enum<ExecutionStatus>(outcome_.status), error_.maybe_text(),
                outcome_.unacknowledged};
    }

private:
    stayline_outcome outcome_{};
    Buffer error_;
};
}  // namespace detail

}  // namespace stayline

#endif  // STAYLINE_SIGNAL_HPP
