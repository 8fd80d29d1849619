// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_CLOCK_HPP
#define STAYLINE_CLOCK_HPP

#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_clock> {
    static void free(stayline_clock* clock) noexcept { stayline_clock_free(clock); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_clock_set(nullptr, 0, out_error);
    }
};
}  // namespace detail

/// A clock for coordinators in tests: it moves only when told, and handles everything that is due
/// on the way before the call returns. Give it to a `Coordinator`; one may serve several, which
/// keep it alive. Any thread may use it.
class Clock : public detail::Handle<stayline_clock> {
public:
    /// A clock that shows `now`.
    explicit Clock(Moment now) : Clock(made(now)) {}

    /// Takes C's object over.
    explicit Clock(stayline_clock* taken) noexcept : Handle(taken) {}

    /// What it shows.
    Moment now() const { return detail::moment(stayline_clock_now(live())); }

    /// Moves on, from one due moment to the next; what is due is handled on this thread, each at
    /// its own moment (R18). Throws `InvalidArgument` for a time below 0 or beyond 100 years.
    void advance(std::chrono::milliseconds time) {
        detail::call(stayline_clock_advance, get(), std::int64_t{time.count()});
    }

    /// Time jumps without the coordinators noticing before it is over (R18b). Throws as `advance`.
    void suspend(std::chrono::milliseconds time) {
        detail::call(stayline_clock_suspend, get(), std::int64_t{time.count()});
    }

    /// Only moves time, to `now` or not at all if that has passed; nothing that is due is handled
    /// (see `Coordinator::handle_due`).
    void set(Moment now) { detail::call(stayline_clock_set, get(), detail::given(now)); }

    /// The earliest deadline of all its coordinators.
    std::optional<Moment> next_deadline() const {
        return detail::maybe_moment(stayline_clock_next_deadline(live()));
    }

private:
    static stayline_clock* made(Moment now) {
        stayline_clock* clock = nullptr;
        detail::call(stayline_clock_new, detail::given(now), &clock);
        return clock;
    }
};

}  // namespace stayline

#endif  // STAYLINE_CLOCK_HPP
