// SPDX-License-Identifier: Apache-2.0
#ifndef STAYLINE_SERVER_HPP
#define STAYLINE_SERVER_HPP

#include <stayline/enums.hpp>
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
/// nothing) may attach; the texts live during the call. It runs on threads of the server's, up to
/// eight at a time, and may block; it may call into this library, but must not close or end the
/// server it answers for. An exception inside is `later`, and so is taking longer than
/// `authorize_timeout_ms`: only what was decided is final. It is freed once no call runs or begins.
using Authorize =
    std::function<Authorization(std::string_view session_id, std::string_view execution_id,
                                std::optional<std::string_view> bearer)>;

/// How a server is set up. Made so, it serves this machine only.
struct ServerOptions {
    /// The key for REST and for tickets (`Authorization: Bearer`); needed on anything but loopback.
    std::optional<std::string> key{};
    /// Origins whose pages may connect, as browsers send them (`https://example.org`); `*`: all,
    /// which needs a key.
    std::vector<std::string> allowed_origins{};
    /// Decides instead of the execution's token whether a wrapper is let in; empty: the token.
    Authorize authorize{};
    /// What stands before `/sessions` in every path: none, or `/something`, of letters, digits and
    /// `-._~`.
    std::optional<std::string> base_path{};
    /// With this it serves `https://` and `wss://`, and nothing without TLS: the path of a PEM
    /// file, the server's certificate followed by those that lead to its authority's. Where the
    /// files change, new connections get the new certificate within a minute. None: no TLS.
    std::optional<std::string> tls_certificate{};
    /// Its private key, the path of a PEM file without a passphrase.
    std::optional<std::string> tls_key{};
    /// Sockets at the same time, of all kinds; one more is answered with 503. None: 10 000.
    std::optional<std::size_t> max_sockets{};
    /// Sockets at the same time that were let in to nothing yet; when there is one more, the one
    /// that has been silent longest is answered with 503. None: 256.
    std::optional<std::size_t> max_unauthenticated_sockets{};
    /// Requests under way at the same time: so many that read, and so many that change something;
    /// one more is answered with 429. None: 256.
    std::optional<std::size_t> max_requests{};
    /// The body of a request, in bytes; a longer one is answered with 413. None: 2 MiB.
    std::optional<std::size_t> max_body_bytes{};
    /// Threads that drive sockets, at most 64. None: 2.
    std::optional<std::size_t> workers{};
};

namespace detail {
/// What C calls; no exception gets out.
inline std::int32_t authorize(void* function, stayline_view session_id, stayline_view execution_id,
                              stayline_view bearer) noexcept {
    std::int32_t answer = STAYLINE_AUTHORIZATION_LATER;
    swallowing([&] {
        const Authorize& ask = *static_cast<Authorize*>(function);
        answer = static_cast<std::int32_t>(
            ask(text(session_id), text(execution_id), maybe_text(bearer)));
    });
    return answer;
}
}  // namespace detail

/// A running server; its end closes it. Any thread may use it.
class [[nodiscard]] Server : public detail::Handle<stayline_server> {
public:
    /// Takes C's object over.
    explicit Server(stayline_server* taken) noexcept : Handle(taken) {}

    /// The base of all paths, for wrappers: `http://127.0.0.1:8787`; lives as long as the server.
    std::string_view url() const { return detail::text(stayline_server_url(live())); }

    /// Where it listens, with the port that was taken: `127.0.0.1:8787`; lives as long as the
    /// server.
    std::string_view address() const { return detail::text(stayline_server_address(live())); }

    /// Reads the certificate and its key anew from their files; new connections get them. A server
    /// looks every minute by itself whether they have changed. `InvalidArgument` for what cannot be
    /// used, when what was served before goes on, and for a server without TLS.
    void reload_tls() { detail::call(stayline_server_reload_tls, get()); }

    /// Stops accepting, closes links and streams with 1012 after taking what their peers had sent,
    /// and waits for them at most a few seconds; what they had sent is stored when it returns,
    /// however long the disk takes. The coordinator goes on. Closing again does nothing. Any thread but one that runs `authorize`.
    void close() { detail::call(stayline_server_close, get()); }
};

}  // namespace stayline

#endif  // STAYLINE_SERVER_HPP
