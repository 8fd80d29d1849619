// SPDX-License-Identifier: Apache-2.0
//
// Errors: an exception class for each name of docs/errors.md, with its fields.
#ifndef STAYLINE_ERROR_HPP
#define STAYLINE_ERROR_HPP

#include <stayline/base.hpp>
#include <stayline/enums.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace stayline {

/// The base of every error of this library: what went wrong (`what()`, for people), and with which
/// values. Each name of docs/errors.md has a class of its own; one that this header does not know
/// is thrown as `Error` itself. Copying shares; texts live as long as any copy.
class Error : public std::runtime_error {
public:
    /// Takes an error of C's over.
    explicit Error(std::shared_ptr<const stayline_error> error)
        : std::runtime_error(std::string(detail::text(stayline_error_message(error.get())))),
          error_(std::move(error)) {}

    /// The number, the same in every language.
    Status status() const noexcept {
        return static_cast<Status>(stayline_error_status(error_.get()));
    }

    /// The stable name, the same in every language: `NotFound`.
    std::string_view name() const noexcept {
        return detail::text(stayline_error_name(error_.get()));
    }

    /// A field that is a text, by its name; none for one that the error does not have, that is
    /// null or that is a number.
    std::optional<std::string_view> text(std::string_view field) const noexcept {
        return detail::maybe_text(stayline_error_text(error_.get(), detail::given(field)));
    }

    /// A field that is an integer, by its name; none for one that the error does not have.
    std::optional<std::int64_t> integer(std::string_view field) const noexcept {
        std::int64_t value = 0;
        const bool found = stayline_error_integer(error_.get(), detail::given(field), &value);
        return found ? std::optional<std::int64_t>(value) : std::nullopt;
    }

    /// All of it as a JSON object: `name`, `message`, and each field by its name.
    std::string_view json() const noexcept {
        return detail::text(stayline_error_json(error_.get()));
    }

    /// The HTTP status with which a server answers this error; 500 where the table names none.
    std::uint16_t http_status() const noexcept {
        return stayline_error_http_status(error_.get());
    }

    /// For hosts that accept wrappers on sockets of their own: the `Stayline-Refusal` header with
    /// which to answer the handshake that this error refuses. None where no such header is to be
    /// sent: the error is no refusal, or the attempt was merely overtaken by a newer one (R45a).
    std::optional<std::string_view> refusal() const noexcept {
        return detail::maybe_text(stayline_error_refusal(error_.get()));
    }

protected:
    /// A field that every error of a class has.
    std::string_view required_text(std::string_view field) const noexcept {
        return text(field).value_or(std::string_view());
    }

    /// The same for an integer.
    std::int64_t required_integer(std::string_view field) const noexcept {
        return integer(field).value_or(0);
    }

private:
    std::shared_ptr<const stayline_error> error_;
};

/// The call is wrong; the message names the argument. Fix the call. So are calls on objects that
/// were moved from.
class InvalidArgument : public Error {
public:
    using Error::Error;
    /// What is wrong with it (the field `what`).
    std::string_view what_() const noexcept { return required_text("what"); }
};

/// Two settings contradict each other (R24).
class InvalidSettings : public Error {
public:
    using Error::Error;
    /// The name of one.
    std::string_view first() const noexcept { return required_text("first"); }
    /// The name of the other.
    std::string_view second() const noexcept { return required_text("second"); }
};

/// The event was not accepted (R40). Send something else.
class InvalidEvent : public Error {
public:
    using Error::Error;
    /// Why.
    std::string_view reason() const noexcept { return required_text("reason"); }
    /// How large it was.
    std::int64_t bytes() const noexcept { return required_integer("bytes"); }
};

/// No such session, execution, lease or notification.
class NotFound : public Error {
public:
    using Error::Error;
    /// What there is not (the field `what`).
    std::string_view what_() const noexcept { return required_text("what"); }
};

/// The execution id is taken (R2). Choose another.
class AlreadyExists : public Error {
public:
    using Error::Error;
    /// The id.
    std::string_view execution_id() const noexcept { return required_text("execution_id"); }
};

/// Another execution is active (R2). Wait for it, or interrupt it.
class ExecutionInProgress : public Error {
public:
    using Error::Error;
    /// Its id.
    std::string_view active() const noexcept { return required_text("active"); }
};

/// The execution has ended (R25).
class ExecutionNotActive : public Error {
public:
    using Error::Error;
    /// How, by the name of its status: `failed` (the field `status`).
    std::string_view execution_status() const noexcept { return required_text("status"); }
};

/// It had ended, or not begun (R1).
class InvalidTransition : public Error {
public:
    using Error::Error;
    /// The name of the status that it has.
    std::string_view from() const noexcept { return required_text("from"); }
    /// The name of the status that it cannot take.
    std::string_view to() const noexcept { return required_text("to"); }
};

/// There is nothing to stop (R11).
class NoActiveExecution : public Error {
public:
    using Error::Error;
};

/// Another job is active (R49). Wait until it is idle.
class JobConflict : public Error {
public:
    using Error::Error;
    /// Its execution's id.
    std::string_view active() const noexcept { return required_text("active"); }
};

/// Another wrapper has taken over (R45a): stop.
class Superseded : public Error {
public:
    using Error::Error;
};

/// Somebody else has the lease (R38). Wait, or give up.
class AlreadyHeld : public Error {
public:
    using Error::Error;
    /// Who.
    std::string_view holder() const noexcept { return required_text("holder"); }
    /// Until when.
    Moment expires_at() const noexcept { return detail::moment(required_integer("expires_at")); }
};

/// The lease is not yours (R38).
class WrongHolder : public Error {
public:
    using Error::Error;
    /// Whose it is.
    std::string_view holder() const noexcept { return required_text("holder"); }
    /// Until when.
    Moment expires_at() const noexcept { return detail::moment(required_integer("expires_at")); }
};

/// Token, ticket or key missing or wrong.
class Unauthorized : public Error {
public:
    using Error::Error;
};

/// No room for the event (R44). Slow down, or choose an overflow policy.
class Full : public Error {
public:
    using Error::Error;
    /// How many events are held.
    std::int64_t events() const noexcept { return required_integer("events"); }
    /// How many bytes they have.
    std::int64_t bytes() const noexcept { return required_integer("bytes"); }
};

/// A limit is exceeded.
class LimitExceeded : public Error {
public:
    using Error::Error;
    /// Its name.
    std::string_view limit() const noexcept { return required_text("limit"); }
    /// By what.
    std::int64_t value() const noexcept { return required_integer("value"); }
};

/// The time is over; what was stored stays stored.
class Timeout : public Error {
public:
    using Error::Error;
};

/// It was closed, or has ended; the message says what, and how a run ended. Make a new one.
class Closed : public Error {
public:
    using Error::Error;
};

/// The wrapper gave up (R41).
class Disconnected : public Error {
public:
    using Error::Error;
    /// Why.
    std::string_view reason() const noexcept { return required_text("reason"); }
};

/// Another coordinator owns the file. Use that one, or open to read only.
class StoreInUse : public Error {
public:
    using Error::Error;
    /// Its process.
    std::int64_t pid() const noexcept { return required_integer("pid"); }
    /// Since when.
    Moment since() const noexcept { return detail::moment(required_integer("since")); }
    /// Where it serves, if it does.
    std::optional<std::string_view> url() const noexcept { return text("url"); }
    /// Its program's name, where that is known.
    std::optional<std::string_view> program() const noexcept { return text("program"); }
};

/// Nothing of this step was kept; try again.
class StoreError : public Error {
public:
    using Error::Error;
};

/// It is not known whether this step was kept: read before you try again.
class StoreUnknown : public Error {
public:
    using Error::Error;
};

/// A newer format, or no database of ours.
class StoreFormat : public Error {
public:
    using Error::Error;
    /// What it has.
    std::string_view found() const noexcept { return required_text("found"); }
    /// What this library knows.
    std::string_view supported() const noexcept { return required_text("supported"); }
};

/// The object belongs to the process that this one was forked from. Make a new one.
class ForkError : public Error {
public:
    using Error::Error;
    /// That process.
    std::int64_t pid() const noexcept { return required_integer("pid"); }
};

/// A bug of ours, now or in an earlier call on the object, which is unusable from now on.
class Panic : public Error {
public:
    using Error::Error;
};

namespace detail {

/// Throws, or without exceptions ends the process.
template <typename Thrown>
[[noreturn]] void raise_as(std::shared_ptr<const stayline_error> error) {
#if STAYLINE_EXCEPTIONS
    throw Thrown(std::move(error));
#else
    const std::string_view message = text(stayline_error_message(error.get()));
    std::fprintf(stderr, "stayline: %.*s\n", static_cast<int>(message.size()), message.data());
    std::abort();
#endif
}

/// Throws an error of C's as the class of its status.
[[noreturn]] inline void raise(stayline_error* taken) {
    const std::shared_ptr<const stayline_error> error(taken, stayline_error_free);
    switch (stayline_error_status(taken)) {
        case STAYLINE_STATUS_INVALID_ARGUMENT: raise_as<InvalidArgument>(error);
        case STAYLINE_STATUS_INVALID_SETTINGS: raise_as<InvalidSettings>(error);
        case STAYLINE_STATUS_INVALID_EVENT: raise_as<InvalidEvent>(error);
        case STAYLINE_STATUS_NOT_FOUND: raise_as<NotFound>(error);
        case STAYLINE_STATUS_ALREADY_EXISTS: raise_as<AlreadyExists>(error);
        case STAYLINE_STATUS_EXECUTION_IN_PROGRESS: raise_as<ExecutionInProgress>(error);
        case STAYLINE_STATUS_EXECUTION_NOT_ACTIVE: raise_as<ExecutionNotActive>(error);
        case STAYLINE_STATUS_INVALID_TRANSITION: raise_as<InvalidTransition>(error);
        case STAYLINE_STATUS_NO_ACTIVE_EXECUTION: raise_as<NoActiveExecution>(error);
        case STAYLINE_STATUS_JOB_CONFLICT: raise_as<JobConflict>(error);
        case STAYLINE_STATUS_SUPERSEDED: raise_as<Superseded>(error);
        case STAYLINE_STATUS_ALREADY_HELD: raise_as<AlreadyHeld>(error);
        case STAYLINE_STATUS_WRONG_HOLDER: raise_as<WrongHolder>(error);
        case STAYLINE_STATUS_UNAUTHORIZED: raise_as<Unauthorized>(error);
        case STAYLINE_STATUS_FULL: raise_as<Full>(error);
        case STAYLINE_STATUS_LIMIT_EXCEEDED: raise_as<LimitExceeded>(error);
        case STAYLINE_STATUS_TIMEOUT: raise_as<Timeout>(error);
        case STAYLINE_STATUS_CLOSED: raise_as<Closed>(error);
        case STAYLINE_STATUS_DISCONNECTED: raise_as<Disconnected>(error);
        case STAYLINE_STATUS_STORE_IN_USE: raise_as<StoreInUse>(error);
        case STAYLINE_STATUS_STORE_ERROR: raise_as<StoreError>(error);
        case STAYLINE_STATUS_STORE_UNKNOWN: raise_as<StoreUnknown>(error);
        case STAYLINE_STATUS_STORE_FORMAT: raise_as<StoreFormat>(error);
        case STAYLINE_STATUS_FORK_ERROR: raise_as<ForkError>(error);
        case STAYLINE_STATUS_PANIC: raise_as<Panic>(error);
        default: raise_as<Error>(error);
    }
}

/// Calls a function of C's, with the error as its last parameter, and throws what it refuses.
template <typename... Parameters, typename... Arguments>
void call(stayline_status (*function)(Parameters...), Arguments... arguments) {
    stayline_error* error = nullptr;
    if (function(arguments..., &error) != STAYLINE_STATUS_OK) {
        raise(error);
    }
}

/// The same, where time running out is an answer: whether it said `OK`.
template <typename... Parameters, typename... Arguments>
bool call_in_time(stayline_status (*function)(Parameters...), Arguments... arguments) {
    stayline_error* error = nullptr;
    const stayline_status status = function(arguments..., &error);
    if (status == STAYLINE_STATUS_TIMEOUT) {
        stayline_error_free(error);
        return false;
    }
    if (status != STAYLINE_STATUS_OK) {
        raise(error);
    }
    return true;
}

}  // namespace detail
}  // namespace stayline

#endif  // STAYLINE_ERROR_HPP
