// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_LEASE_HPP
#define STAYLINE_LEASE_HPP

#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_lease> {
    using Info = stayline_lease_info;
    static constexpr auto read = stayline_lease_get;
    static constexpr auto free = stayline_lease_free;
};
}  // namespace detail

/// A lease as it was when it was taken or extended: it does not change, and its end gives nothing
/// back. Texts live as long as it. Any thread may use it.
class Lease : public detail::Snapshot<stayline_lease> {
public:
    using Snapshot::Snapshot;

    /// The execution.
    std::string_view execution_id() const { return detail::text(info().execution_id); }
    /// Who holds it.
    std::string_view lease_id() const { return detail::text(info().lease_id); }
    /// What for, in the host's words.
    std::optional<std::string_view> message_id() const {
        return detail::maybe_text(info().message_id);
    }
    /// Until when; at that moment anyone may take it.
    Moment expires_at() const { return detail::moment(info().expires_at_ms); }

    /// Extends it by its time to live, and returns it as it is now. Throws `NotFound` (it has
    /// expired, or was given back), `WrongHolder`, `Closed`, `StoreError`, `StoreUnknown`.
    Lease extend() {
        stayline_lease* now = nullptr;
        detail::call(stayline_lease_extend, get(), &now);
        return Lease(now);
    }

    /// Gives it back. Throws as `extend`.
    void release() { detail::call(stayline_lease_release, get()); }
};

}  // namespace stayline

#endif  // STAYLINE_LEASE_HPP
