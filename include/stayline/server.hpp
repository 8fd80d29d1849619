// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SERVER_HPP
#define STAYLINE_SERVER_HPP

#include <stayline/object.hpp>

namespace stayline {

namespace detail {
template <>
struct Noun<stayline_server> {
    static void free(stayline_server* server) noexcept { stayline_server_free(server); }
    static stayline_status refuse(stayline_error** out_error) {
        return stayline_server_close(nullptr, out_error);
    }
};
}  // namespace detail

/// The host's own way to let wrappers in (R25): whether the one that brought `bearer` (none:
/// nothing) may attach; the texts live during the call. It runs on threads of the server's,
/// several at a time, and may block; it may call into this library, but must not close or end the
/// server it answers for. An exception inside denies. It is freed once no call runs or begins.
using Authorize = std::function<bool(std::string_view session_id, std::string_view execution_id,
                                     std::optional<std::string_view> bearer)>;

/// How a server is set up. Made so, it serves this machine only.
struct ServerOptions {
    /// The key for REST and for tickets (`Authorization: Bearer`); needed on anything but loopback.
    std::optional<std::string> key{};
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*`: all.
    std::vector<std::string> allowed_origins{};
    /// Decides instead of the execution's token whether a wrapper is let in; empty: the token.
    Authorize authorize{};
    /// What stands before `/sessions` in every path: none, or `/something`.
    std::optional<std::string> base_path{};
    /// With this it serves `https://` and `wss://`, and nothing without TLS: the path of a PEM
    /// file, the server's certificate followed by those that lead to its authority's. It is read
    /// once, by `Coordinator::serve`. None: no TLS.
    std::optional<std::string> tls_certificate{};
    /// Its private key, the path of a PEM file without a passphrase.
    std::optional<std::string> tls_key{};
};

namespace detail {
/// What C calls; no exception gets out.
inline bool authorize(void* function, stayline_view session_id, stayline_view execution_id,
                      stayline_view bearer) noexcept {
    try {
        return (*static_cast<Authorize*>(function))(text(session_id), text(execution_id),
                                                    maybe_text(bearer));
    } catch (...) {
        return false;
    }
}
}  // namespace detail

/// A running server; its end closes it. Any thread may use it.
class Server : public detail::Handle<stayline_server> {
public:
    /// Takes C's object over.
    explicit Server(stayline_server* taken) noexcept : Handle(taken) {}

    /// The base of all paths, for wrappers: `http://127.0.0.1:8787`; lives as long as the server.
    std::string_view url() const { return detail::text(stayline_server_url(live())); }

    /// Where it listens, with the port that was taken: `127.0.0.1:8787`; lives as long as the
    /// server.
    std::string_view address() const { return detail::text(stayline_server_address(live())); }

    /// Stops accepting, closes links and streams with 1012 after taking what their peers had sent,
    /// and waits for that, at most a few seconds. The coordinator goes on. Closing again does
    /// nothing. Any thread but one that runs `authorize`.
    void close() { detail::call(stayline_server_close, get()); }
};

}  // namespace stayline

#endif  // STAYLINE_SERVER_HPP
