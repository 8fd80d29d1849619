// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_ATTACHING_HPP
#define STAYLINE_ATTACHING_HPP

#include <stayline/link.hpp>

#include <optional>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_attaching> {
    static void free(stayline_attaching* attaching) noexcept { stayline_attaching_free(attaching); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_attaching_take(nullptr, 0, nullptr, out_error);
    }
};
}  // namespace detail

/// An attach that is being made by a thread of the coordinator's (`Session::begin_attach`). A link that
/// nobody has taken closes with 1006. Any thread may use it.
class [[nodiscard]] Attaching : public detail::Handle<stayline_attaching> {
public:
    /// Takes C's object over.
    explicit Attaching(stayline_attaching* taken) noexcept : Handle(taken) {}

    /// Takes the link, once; none: the time is over first. Throws as `Session::attach`, and `Closed`
    /// after it has been answered.
    std::optional<Link> take(TimeLimit limit = for_ever) {
        stayline_link* link = nullptr;
        detail::call(stayline_attaching_take, get(), detail::given(limit), &link);
        return link == nullptr ? std::nullopt : std::optional<Link>(link);
    }

    /// A file descriptor for event loops: readable once `take` has an answer; lent, it lives as long
    /// as this.
    int fd() const {
        int descriptor = -1;
        detail::call(stayline_attaching_fd, get(), &descriptor);
        return descriptor;
    }
};

}  // namespace stayline

#endif  // STAYLINE_ATTACHING_HPP
