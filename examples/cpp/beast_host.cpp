// A host with its own event loop and its own WebSocket library, Boost.Beast: it serves
// /sessions/{id}/ingest itself, on one thread. Frames go to links, outputs of links go to sockets;
// links, streams and notifications are waited for by their file descriptors.
//
//     beast_host STORE SESSION…       beast_host memory: first second
//
// It starts a run in each session, says what its wrapper needs, tells its events as they come, and
// ends when all runs have.
//
// SPDX-License-Identifier: Apache-2.0
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <deque>
#include <iostream>
#include <map>
#include <stayline.hpp>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds at_once(0);

/// Calls whenever a lent descriptor is readable, until it ends.
class Watch : public std::enable_shared_from_this<Watch> {
public:
    Watch(asio::io_context& loop, int fd, std::function<void()> ready)
        : descriptor_(loop, fd), ready_(std::move(ready)) {}

    /// It is Stayline's descriptor: never closed here.
    ~Watch() { descriptor_.release(); }

    static std::shared_ptr<Watch> start(asio::io_context& loop, int fd,
                                        std::function<void()> ready) {
        auto watch = std::make_shared<Watch>(loop, fd, std::move(ready));
        watch->wait();
        return watch;
    }

private:
    void wait() {
        descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [watch = weak_from_this()](error_code error) {
                                   const std::shared_ptr<Watch> still = watch.lock();
                                   if (still && !error) {
                                       still->wait();
                                       still->ready_();
                                   }
                               });
    }

    asio::posix::stream_descriptor descriptor_;
    std::function<void()> ready_;
};

/// Undoes percent encoding.
std::string decoded(std::string_view text) {
    std::string result;
    for (std::size_t index = 0; index < text.size(); ++index) {
        const std::string digits(text.substr(index + 1, 2));
        if (text[index] == '%' && digits.size() == 2 && std::isxdigit(digits[0] & 0xff) &&
            std::isxdigit(digits[1] & 0xff)) {
            result += static_cast<char>(std::stoi(digits, nullptr, 16));
            index += 2;
        } else {
            result += text[index];
        }
    }
    return result;
}

/// What a wrapper's request asks for.
struct Asked {
    std::optional<std::string> session_id;  // none: it is not for /sessions/{id}/ingest
    stayline::AttachOptions attach;
};

Asked asked(const http::request<http::empty_body>& request) {
    const std::string_view target(request.target().data(), request.target().size());
    const std::string_view path = target.substr(0, target.find('?'));
    constexpr std::string_view before = "/sessions/";
    constexpr std::string_view behind = "/ingest";
    Asked asked;
    if (path.size() > before.size() + behind.size() && path.substr(0, before.size()) == before &&
        path.substr(path.size() - behind.size()) == behind) {
        asked.session_id = decoded(path.substr(
            before.size(), path.size() - before.size() - behind.size()));
    }

    std::map<std::string, std::string> query;
    for (std::string_view rest = target.substr(std::min(path.size() + 1, target.size()));
         !rest.empty();) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
        const std::string_view name = pair.substr(0, pair.find('='));
        query[decoded(name)] = decoded(pair.substr(std::min(name.size() + 1, pair.size())));
    }
    stayline::AttachOptions& attach = asked.attach;
    attach.execution_id = query["executionId"];
    attach.acknowledged = request["Stayline-Protocol"] == "2";
    if (attach.acknowledged && !query["producer"].empty()) {
        attach.producer = query["producer"];
        attach.attempt = std::strtoull(query["attempt"].c_str(), nullptr, 10);
    }
    const std::string authorization(request[http::field::authorization]);
    if (authorization.rfind("Bearer ", 0) == 0) {
        attach.token = authorization.substr(7);
    } else if (query.count("token") != 0) {
        attach.token = query["token"];
    }
    return asked;
}

/// One socket: a request, and then the link of a wrapper.
class Connection : public std::enable_shared_from_this<Connection> {
    /// Goes on with `next`, and keeps the connection until then.
    template <typename Next>
    auto then(Next next) {
        return [self = shared_from_this(), next](error_code error, auto...) { next(error); };
    }

public:
    Connection(asio::ip::tcp::socket socket, stayline::Coordinator& coordinator,
               asio::io_context& loop)
        : socket_(std::move(socket)), coordinator_(coordinator), loop_(loop) {}

    void start() {
        http::async_read(socket_.next_layer(), buffer_, request_, then([this](error_code error) {
                             if (!error) {
                                 admit();
                             }
                         }));
    }

private:
    void admit() {
        const Asked wanted = asked(request_);
        if (!wanted.session_id || !websocket::is_upgrade(request_)) {
            return answer(404, {}, {}, "only /sessions/{id}/ingest is served here\n");
        }
        try {
            link_.emplace(coordinator_.session(*wanted.session_id).attach(wanted.attach));
        } catch (const stayline::Error& error) {
            // With the first header a refusal is final, without it the wrapper comes again (R46).
            return answer(error.http_status(), error.refusal(), error.text("status"),
                          error.what());
        }
        socket_.set_option(
            websocket::stream_base::timeout::suggested(beast::role_type::server));
        socket_.set_option(websocket::stream_base::decorator(
            [acknowledged = link_->is_acknowledged()](websocket::response_type& response) {
                if (acknowledged) {
                    response.set("Stayline-Protocol", "2");
                }
            }));
        socket_.text(true);
        socket_.async_accept(request_, then([this](error_code error) {
                                 if (error) {
                                     return gone();
                                 }
                                 buffer_.clear();
                                 watch_ = Watch::start(loop_, link_->fd(), [this] { look(); });
                                 read();
                             }));
    }

    void answer(unsigned status, std::optional<std::string_view> refusal,
                std::optional<std::string_view> execution_status, std::string_view text) {
        response_.result(status);
        if (refusal) {
            response_.set("Stayline-Refusal", std::string(*refusal));
        }
        if (execution_status) {
            response_.set("Stayline-Status", std::string(*execution_status));
        }
        response_.body() = text;
        response_.keep_alive(false);
        response_.prepare_payload();
        http::async_write(socket_.next_layer(), response_, then([](error_code) {}));
    }

    void read() {
        socket_.async_read(buffer_, then([this](error_code error) {
                               if (error) {
                                   return gone();
                               }
                               hand_over();
                           }));
    }

    /// Hands the frame over, unless the link is congested: then nothing is read until `look` finds
    /// that it is no longer, and the wrapper feels it.
    void hand_over() {
        const std::string_view frame(static_cast<const char*>(buffer_.data().data()),
                                     buffer_.size());
        if (socket_.got_text()) {
            is_held_back_ = !link_->try_receive(frame);
        } else {
            link_->receive_binary(frame.size());
        }
        if (!is_held_back_) {
            buffer_.clear();
            read();
        }
    }

    /// The link's descriptor is readable: there are outputs, or the link is no longer congested.
    void look() {
        for (const stayline::Output& output : link_->outputs(at_once)) {
            if (output.kind() == stayline::OutputKind::send) {
                outputs_.emplace_back(output.text());
            } else {
                close_.emplace(static_cast<websocket::close_code>(output.code()),
                               std::string(output.text()));
            }
        }
        if (is_held_back_ && !link_->is_congested()) {
            hand_over();
        }
        const bool finished = link_->is_finished();
        write();
        if (finished) {
            watch_.reset();
        }
    }

    void write() {
        if (is_writing_) {
            return;
        }
        is_writing_ = true;
        if (!outputs_.empty()) {
            socket_.async_write(asio::buffer(outputs_.front()), then([this](error_code error) {
                                    is_writing_ = false;
                                    outputs_.pop_front();
                                    if (!error) {
                                        write();
                                    }
                                }));
        } else if (close_) {
            socket_.async_close(*close_, then([](error_code) {}));
        } else {
            is_writing_ = false;
        }
    }

    /// The socket is gone, by whomever.
    void gone() {
        watch_.reset();
        const bool closed = socket_.reason().code != websocket::close_code::none;
        const std::uint16_t code = closed ? socket_.reason().code : 1006;
        link_->closed(code, std::string_view(socket_.reason().reason.data(),
                                             socket_.reason().reason.size()));
    }

    websocket::stream<asio::ip::tcp::socket> socket_;
    stayline::Coordinator& coordinator_;
    asio::io_context& loop_;
    beast::flat_buffer buffer_;
    http::request<http::empty_body> request_;
    http::response<http::string_body> response_;
    std::optional<stayline::Link> link_;
    std::shared_ptr<Watch> watch_;
    std::deque<std::string> outputs_;
    std::optional<websocket::close_reason> close_;
    bool is_held_back_ = false;
    bool is_writing_ = false;
};

/// The host: its runs, and the port that it listens on.
class Host {
public:
    Host(std::string_view store, asio::io_context& loop)
        : coordinator_(store),
          loop_(loop),
          listener_(loop, {asio::ip::address_v4::loopback(), 0}) {
        accept();
        std::cout << "serving at http://127.0.0.1:" << listener_.local_endpoint().port()
                  << std::endl;
        told_ = Watch::start(loop, coordinator_.notification_fd(), [this] { take(); });
    }

    void launch(const std::string& session_id) {
        stayline::Session session = coordinator_.session(session_id);
        const stayline::Execution execution = session.launch({}, [](const auto& started) {
            // Here a host starts a sandbox. Ours is started by whoever reads this.
            std::cout << "run " << started.session_id() << ' ' << started.id() << ' '
                      << started.token().value_or("") << std::endl;
        });
        stayline::SubscribeOptions options;
        options.until = std::string(execution.id());
        Run& run = runs_.emplace_back(Run{session_id, session.subscribe(options), nullptr});
        run.watch = Watch::start(loop_, run.stream.fd(), [this, &run] { tell(run); });
    }

private:
    struct Run {
        std::string session_id;
        stayline::Subscription stream;
        std::shared_ptr<Watch> watch;
    };

    void accept() {
        listener_.async_accept([this](error_code error, asio::ip::tcp::socket socket) {
            if (!error) {
                std::make_shared<Connection>(std::move(socket), coordinator_, loop_)->start();
                accept();
            }
        });
    }

    void tell(Run& run) {
        for (const stayline::Event& event : run.stream.take(at_once)) {
            if (!event.control()) {
                std::cout << run.session_id << ": " << event.id() << ' ' << event.type() << ' '
                          << event.data() << std::endl;
            }
        }
        if (run.stream.is_ended()) {
            run.watch.reset();
        }
    }

    void take() {
        for (stayline::Notification& notification : coordinator_.take_notifications(at_once)) {
            std::cout << notification.session_id() << ": " << to_string(notification.kind()) << ' '
                      << (notification.status() ? to_string(*notification.status()) : "-") << ' '
                      << notification.branch().value_or("-") << std::endl;
            notification.ack();
            if (++ended_ == runs_.size()) {
                // What is open comes to its end, then there is nothing left to wait for.
                listener_.close();
                told_.reset();
            }
        }
    }

    stayline::Coordinator coordinator_;
    asio::io_context& loop_;
    asio::ip::tcp::acceptor listener_;
    std::shared_ptr<Watch> told_;
    std::deque<Run> runs_;  // whose places stay
    std::size_t ended_ = 0;
};

}  // namespace

int main(int count, char** words) try {
    if (count < 3) {
        std::cerr << "usage: beast_host STORE SESSION…\n";
        return 2;
    }
    asio::io_context loop(1);
    Host host(words[1], loop);
    for (int index = 2; index < count; ++index) {
        host.launch(words[index]);
    }
    loop.run();
    std::cout << "all runs have ended" << std::endl;
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
