// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_EVENT_HPP
#define STAYLINE_EVENT_HPP

#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_event> {
    using Info = stayline_event_info;
    static constexpr auto read = stayline_event_get;
    static constexpr auto free = stayline_event_free;
};
template <>
struct Noun<stayline_events> {
    static void free(stayline_events* events) noexcept { stayline_events_free(events); }
    static stayline_status refuse(stayline_error** out_error) {
        stayline_event* event = nullptr;
        return stayline_events_next(nullptr, &event, out_error);
    }
};
}  // namespace detail

/// One event of a session's log or stream. It does not change; texts live as long as it. Any
/// thread may use it.
class Event : public detail::Snapshot<const stayline_event> {
public:
    using Snapshot::Snapshot;

    /// Per session, from 1, strictly increasing (R33); 0 for volatile and control records.
    std::uint64_t id() const { return info().id; }
    /// Whose run it belongs to; none for control records.
    std::optional<std::string_view> execution_id() const {
        return detail::maybe_text(info().execution_id);
    }
    /// The session.
    std::string_view session_id() const { return detail::text(info().session_id); }
    /// Its type; of a control record `connected`, `gap` or `deleted`.
    std::string_view type() const { return detail::text(info().event_type); }
    /// The event's own timestamp; it may lie.
    Moment timestamp() const { return detail::moment(info().timestamp_ms); }
    /// It came after the execution's end (R10a).
    bool late() const { return info().late; }
    /// It is a control record, which passes every filter (R34a).
    bool control() const { return info().control; }
    /// JSON.
    std::string_view data() const { return detail::text(info().data); }
    /// The event as `/stream` sends it: one JSON object (docs/rest.md).
    std::string_view frame() const {
        static_cast<void>(info());
        return detail::text(stayline_event_frame(get()));
    }
};

/// Conditions on stored events, all of which must hold (R34). Made so, it lets everything through.
struct EventFilter {
    /// Only ids greater than this.
    std::uint64_t after = 0;
    /// Only these executions; none: all.
    std::optional<std::vector<std::string>> executions{};
    /// Only these event types; none: all.
    std::optional<std::vector<std::string>> types{};
    /// Only timestamps from here on, inclusive.
    std::optional<Moment> since{};
    /// Only timestamps up to here, inclusive.
    std::optional<Moment> until{};
    /// At most so many.
    std::optional<std::uint64_t> limit{};
};

namespace detail {
/// A filter for C, which lives as long as this and what it was made from.
class Filter {
public:
    explicit Filter(const EventFilter& filter) : options_(stayline_event_filter_default()) {
        options_.after = filter.after;
        if (filter.executions) {
            executions_.emplace(*filter.executions);
            options_.executions = executions_->data();
            options_.executions_count = executions_->size();
        }
        if (filter.types) {
            types_.emplace(*filter.types);
            options_.types = types_->data();
            options_.types_count = types_->size();
        }
        options_.since_ms = given(filter.since);
        options_.until_ms = given(filter.until);
        options_.limit = filter.limit.value_or(options_.limit);
    }
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    const stayline_event_filter* get() const { return &options_; }

private:
    std::optional<Views> executions_;
    std::optional<Views> types_;
    stayline_event_filter options_;
};
}  // namespace detail

/// Stored events, read in bounded rounds as they are taken (R36); a range. Any thread may use it;
/// each event goes to one of those that take.
class Events : public detail::Handle<stayline_events> {
public:
    /// Takes C's object over.
    explicit Events(stayline_events* taken) noexcept : Handle(taken) {}

    /// The next event; none: that was the last. Throws `NotFound` when the session was deleted
    /// meanwhile, `Closed`, `StoreError`. It may wait for a disk.
    std::optional<Event> next() {
        stayline_event* event = nullptr;
        detail::call(stayline_events_next, get(), &event);
        return event != nullptr ? std::optional<Event>(std::in_place, event) : std::nullopt;
    }

    /// Takes the first, and so on with `next`.
    Taking<Event>::Iterator begin() {
        return Taking<Event>::Iterator([this] { return next(); });
    }

    /// Where there is no next.
    Taking<Event>::Iterator end() { return {}; }
};

}  // namespace stayline

#endif  // STAYLINE_EVENT_HPP
