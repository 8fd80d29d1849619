// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SUBSCRIPTION_HPP
#define STAYLINE_SUBSCRIPTION_HPP

#include <stayline/event.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_subscription> {
    static void free(stayline_subscription* subscription) noexcept {
        stayline_subscription_free(subscription);
    }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_subscription_close(nullptr, out_error);
    }
};
}  // namespace detail

/// What to subscribe to. Made so: everything from the beginning, without an end.
struct SubscribeOptions {
    /// Which events; its `after` is where to begin, its limit is not used.
    EventFilter filter{};
    /// The log's epoch as the reader knows it, when it resumes: another one is told by a `gap`
    /// record (R34a).
    std::optional<std::string> epoch{};
    /// Begin at the end of the log instead of replaying the past.
    bool live_only = false;
    /// End once this execution is terminal and everything stored was given; none: never.
    std::optional<std::string> until{};
};

/// A cursor over a session's log: the past, a `connected` record, then what is live; each stored
/// event once and in order (R35); a range. Any thread may use it; each event goes to one of those
/// that take.
class [[nodiscard]] Subscription : public detail::Handle<stayline_subscription> {
public:
    /// Takes C's object over.
    explicit Subscription(stayline_subscription* taken) noexcept : Handle(taken) {}

    /// The next event; none: none in time, or the stream is over, which `is_ended` says. Throws
    /// `Closed` when it was closed, also while it waited, and `StoreError`.
    std::optional<Event> next(TimeLimit limit = for_ever) {
        stayline_event* event = nullptr;
        detail::call(stayline_subscription_next, get(), detail::given(limit), &event);
        return event != nullptr ? std::optional<Event>(std::in_place, event) : std::nullopt;
    }

    /// As a range: `next` until the stream is over.
    Taking<Event>::Iterator begin() {
        return Taking<Event>::Iterator([this] { return next(); });
    }

    /// Where the stream is over.
    Taking<Event>::Iterator end() { return {}; }

    /// A range that is over also when no event comes within the limit:
    /// `for (const Event& event : subscription.take(std::chrono::seconds(5)))`.
    Taking<Event> take(TimeLimit limit) {
        return Taking<Event>([this, limit] { return next(limit); });
    }

    /// A file descriptor for event loops: readable from an event until a take that does not wait
    /// finds none, and for ever once the stream is over or closed. Lent while this lives; never
    /// read from it or close it. Throws `LimitExceeded`.
    int fd() const {
        int fd = -1;
        detail::call(stayline_subscription_fd, get(), &fd);
        return fd;
    }

    /// Whether the stream is over: `until` was reached, the session was deleted, or the
    /// coordinator or this was closed; and everything before that was taken.
    bool is_ended() const { return stayline_subscription_is_ended(live()); }

    /// The id of the newest stored event that was taken: resume with `after` this.
    std::uint64_t last_id() const { return stayline_subscription_last_id(live()); }

    /// How many stored events it has not looked at yet.
    std::uint64_t lag() const { return stayline_subscription_lag(live()); }

    /// The log's epoch, to be given when resuming (R34a).
    std::string epoch() const {
        detail::Buffer epoch;
        detail::call(stayline_subscription_epoch, get(), epoch.out());
        return epoch.text();
    }

    /// Ends it: whoever waits gets `Closed`, and so does every later take. Closing again does
    /// nothing.
    void close() { detail::call(stayline_subscription_close, get()); }
};

}  // namespace stayline

#endif  // STAYLINE_SUBSCRIPTION_HPP
