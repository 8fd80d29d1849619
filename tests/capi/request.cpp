// A host with sockets of its own that reads requests by the library, in C and in C++: prints what each
// target and its headers mean, a line a request, and attaches and subscribes by two of them.
#include <stayline.hpp>

#include <cstring>
#include <iostream>
#include <string>

static std::string shown(std::optional<std::string_view> text)
{
    return text ? std::string(*text) : std::string("-");
}

static void show(std::string_view target, const stayline::Headers& headers = {})
{
    try {
        const stayline::Request request(target, headers);
        std::cout << to_string(request.endpoint()) << " " << shown(request.session_id()) << " "
                  << shown(request.token()) << " " << shown(request.ticket()) << "\n";
    } catch (const stayline::InvalidArgument& error) {
        std::cout << "refused " << error.http_status() << " " << error.what() << "\n";
    }
}

int main()
{
    show("/base/sessions/user_1%3Aa%20b/ingest?executionId=e&token=q");
    show("/sessions/s/stream?ticket=t", {{"AUTHORIZATION", "bearer key"}});
    show("/sessions/s/events", {{"Authorization", "Basic xyz"}});
    show("/health");
    show("/sessions/%ff/stream");
    show("/sessions/s/ingest?token=geheim%ff");

    stayline::Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    const stayline::Execution execution = session.start();
    const std::string target = "/sessions/s/ingest?producer=p&attempt=1&executionId=" + std::string(execution.id());
    const std::string bearer = "Bearer " + std::string(*execution.token());
    for (const char* wrong : {"Bearer wrong", "nothing"}) {
        try {
            stayline::Link none = session.attach(stayline::Request(target, {{"Authorization", wrong}}));
        } catch (const stayline::Unauthorized& error) {
            std::cout << "refused " << error.http_status() << " " << shown(error.refusal()) << "\n";
        }
    }
    {
        stayline::Link trusted = session.attach(stayline::Request(target), true);
        std::cout << "acknowledged " << trusted.is_acknowledged() << "\n";
        trusted.closed(1006, "gone");
    }
    stayline::Link link = session.attach(
        stayline::Request(target, {{"authorization", bearer}, {"Stayline-Protocol", "2"}}));
    std::cout << "acknowledged " << link.is_acknowledged() << "\n";
    try {
        stayline::Link none = session.attach(stayline::Request("/sessions/s/ingest?protocol=2&executionId=e"));
    } catch (const stayline::InvalidArgument& error) {
        std::cout << "refused " << error.http_status() << " " << error.what() << "\n";
    }
    session.fail(execution.id(), "over");
    stayline::Subscription all = session.subscribe(stayline::Request("/sessions/s/stream?fromId=0"));
    std::cout << "all " << shown(all.next(std::chrono::milliseconds(0))->type()) << "\n";
    stayline::Subscription rest = session.subscribe(stayline::Request("/sessions/s/stream?fromId=1"));
    std::cout << "rest " << shown(rest.next(std::chrono::milliseconds(0))->type()) << "\n";

    // C: what is NULL, or counted wrongly, is refused; headers are optional.
    stayline_request* request = nullptr;
    const stayline_header header = {{"\xff", 1}, {"x", 1}};
    std::cout << "c " << stayline_request_read({nullptr, 0}, nullptr, 0, &request, nullptr) << " "
              << stayline_request_read({"/", 1}, nullptr, 2, &request, nullptr) << " "
              << stayline_request_read({"/", 1}, &header, 1, &request, nullptr) << " "
              << stayline_session_attach_request(session.get(), nullptr, true, nullptr, nullptr) << "\n";
    stayline_request_free(request);
    return 0;
}
