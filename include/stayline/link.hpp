// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_LINK_HPP
#define STAYLINE_LINK_HPP

#include <stayline/enums.hpp>
#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<const stayline_output> {
    using Info = stayline_output_info;
    static constexpr auto read = stayline_output_get;
    static constexpr auto free = stayline_output_free;
};
template <>
struct Noun<stayline_link> {
    static void free(stayline_link* link) noexcept { stayline_link_free(link); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_link_receive_binary(nullptr, 0, out_error);
    }
};
}  // namespace detail

/// One output of a link: something to do to its socket. It does not change; the text lives as long
/// as it. Any thread may use it.
class Output : public detail::Snapshot<const stayline_output> {
public:
    using Snapshot::Snapshot;

    /// What to do.
    OutputKind kind() const { return static_cast<OutputKind>(info().kind); }
    /// `close`: the close code.
    std::uint16_t code() const { return info().code; }
    /// The frame, or the close reason.
    std::string_view text() const { return detail::text(info().text); }
};

/// How a link was closed.
struct CloseState {
    /// The close code.
    std::uint16_t code;
    /// The reason; may be empty.
    std::string reason;
};

/// One connection from a wrapper. Give it what the socket receives, write what it puts out, and
/// say when the socket is gone; without that it counts as closed with 1006 when this ends. Any
/// thread may use it.
class [[nodiscard]] Link : public detail::Handle<stayline_link> {
public:
    /// Takes C's object over.
    explicit Link(stayline_link* taken) noexcept : Handle(taken) {}

    /// The execution it belongs to; the text lives as long as the link.
    std::string_view execution_id() const {
        return detail::text(stayline_link_execution_id(live()));
    }

    /// The session it belongs to; the text lives as long as the link.
    std::string_view session_id() const { return detail::text(stayline_link_session_id(live())); }

    /// Whether it is in acknowledged mode (R45): then answer the handshake with the header
    /// `Stayline-Protocol: 2`.
    bool is_acknowledged() const { return stayline_link_is_acknowledged(live()); }

    /// Hands one text frame over. It does not wait for its commit, only while the link is
    /// congested. A frame that is refused is answered on the link and is no error here (R28).
    /// Throws `InvalidArgument` for what is no UTF-8, and `Closed` when the coordinator was closed,
    /// also while it waited. Frames keep the order of calls that follow one another.
    void receive(std::string_view frame) {
        detail::call(stayline_link_receive, get(), detail::given(frame));
    }

    /// Hands several text frames over, as one batch. Throws as `receive`; then none was handed
    /// over.
    void receive_many(const std::vector<std::string_view>& frames) {
        const detail::Views views(frames);
        detail::call(stayline_link_receive_many, get(), views.data(), views.size());
    }

    /// Hands a text frame over unless the link is congested, and says whether it did; never waits.
    /// For event loops: where it did not, read no more from the socket until `fd` is readable and
    /// `is_congested` is false. Throws as `receive`.
    bool try_receive(std::string_view frame) {
        const stayline_view view = detail::given(frame);
        bool taken = false;
        detail::call(stayline_link_try_receive, get(), &view, std::size_t{1}, &taken);
        return taken;
    }

    /// The same for several, all or none.
    bool try_receive_many(const std::vector<std::string_view>& frames) {
        const detail::Views views(frames);
        bool taken = false;
        detail::call(stayline_link_try_receive, get(), views.data(), views.size(), &taken);
        return taken;
    }

    /// Says that a binary frame of so many bytes came, which is refused and answered on the link
    /// (R28). Throws `Closed`.
    void receive_binary(std::size_t bytes) {
        detail::call(stayline_link_receive_binary, get(), bytes);
    }

    /// Whether the next `receive` would wait.
    bool is_congested() const { return stayline_link_is_congested(live()); }

    /// Says that the socket is gone, by whomever, with its close code (1006 where there was none);
    /// starts the grace of the execution when this was its last link (R20). Whoever waits for
    /// outputs is let go. Saying it again does nothing. Throws `Closed` after the coordinator was
    /// closed.
    void closed(std::uint16_t code = 1006, std::string_view reason = {}) {
        detail::call(stayline_link_closed, get(), code, detail::given(reason));
    }

    /// The next thing to do to the socket; none: none in time, or there will be no more, which
    /// `is_finished` says. Any thread; one at a time, if the order matters.
    std::optional<Output> next_output(TimeLimit limit = for_ever) {
        stayline_output* output = nullptr;
        detail::call(stayline_link_next_output, get(), detail::given(limit), &output);
        return output != nullptr ? std::optional<Output>(std::in_place, output) : std::nullopt;
    }

    /// The outputs as a range, over when none comes within the limit or there will be no more.
    Taking<Output> outputs(TimeLimit limit = for_ever) {
        return Taking<Output>([this, limit] { return next_output(limit); });
    }

    /// A file descriptor for event loops: readable from an output, or the end of a congestion,
    /// until a take that does not wait finds nothing; and for ever once the link is finished. Lent
    /// while this lives; never read from it or close it. Throws `LimitExceeded`.
    int fd() const {
        int fd = -1;
        detail::call(stayline_link_fd, get(), &fd);
        return fd;
    }

    /// Whether nothing will come out any more: the `close` was taken, or `closed` was called.
    bool is_finished() const { return stayline_link_is_finished(live()); }

    /// How it was closed, by the coordinator or by `closed`; none while it is open.
    std::optional<CloseState> close_state() const {
        std::uint16_t code = 0;
        detail::Buffer reason;
        detail::call(stayline_link_close_state, get(), &code, reason.out());
        return code != 0 ? std::optional<CloseState>({code, reason.text()}) : std::nullopt;
    }
};

}  // namespace stayline

#endif  // STAYLINE_LINK_HPP
