// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_REQUEST_HPP
#define STAYLINE_REQUEST_HPP

#include <stayline/enums.hpp>
#include <stayline/object.hpp>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_request> {
    static void free(stayline_request* request) noexcept { stayline_request_free(request); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_request_get(nullptr, nullptr, out_error);
    }
};
}  // namespace detail

/// Headers of a request: their names, in any case, and their values.
using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

/// A request of a wrapper or a subscriber, for hosts with sockets of their own: what of it matters
/// here, read as the built-in server does. It does not change; any thread may use it.
class Request : public detail::Handle<stayline_request> {
public:
    /// Reads one. `target`: what stands behind the method in its first line, such as
    /// `/sessions/s/ingest?executionId=e`. Of several headers with one name the first counts. Throws
    /// `InvalidArgument`, also for what is no UTF-8 when it is decoded.
    explicit Request(std::string_view target, const Headers& headers = {})
        : Handle(read(target, headers)) {}

    /// Takes C's object over.
    explicit Request(stayline_request* taken) noexcept : Handle(taken) {}

    /// What its path leads to.
    Endpoint endpoint() const { return static_cast<Endpoint>(info().endpoint); }

    /// The session in the path, decoded; none for another path. Texts live as long as this.
    std::optional<std::string_view> session_id() const { return detail::maybe_text(info().session_id); }

    /// What came to show who asks: the bearer of `Authorization`, or the query's `token`.
    std::optional<std::string_view> token() const { return detail::maybe_text(info().token); }

    /// The query's `ticket` (`Coordinator::verify_ticket`).
    std::optional<std::string_view> ticket() const { return detail::maybe_text(info().ticket); }

private:
    static stayline_request* read(std::string_view target, const Headers& headers) {
        std::vector<stayline_header> given;
        given.reserve(headers.size());
        for (const auto& [name, value] : headers) {
            given.push_back({detail::given(name), detail::given(value)});
        }
        stayline_request* request = nullptr;
        detail::call(stayline_request_read, detail::given(target), given.data(), given.size(),
                     &request);
        return request;
    }

    stayline_request_info info() const {
        stayline_request_info info{};
        info.struct_size = sizeof info;
        detail::call(stayline_request_get, get(), &info);
        return info;
    }
};

}  // namespace stayline

#endif  // STAYLINE_REQUEST_HPP
