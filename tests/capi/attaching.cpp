// A host that begins attaches and waits for none of them. Called with a store; it says each of its steps
// and goes on at a line of its input.
#include <stayline.hpp>

#include <poll.h>

#include <iostream>
#include <string>

static bool is_readable(int descriptor, int timeout_ms)
{
    pollfd watched{descriptor, POLLIN, 0};
    return poll(&watched, 1, timeout_ms) == 1;
}

static void step(const char* done)
{
    std::string line;
    std::cout << done << std::endl;
    std::getline(std::cin, line);
}

int main(int, char** arguments)
{
    stayline::Coordinator coordinator(arguments[1]);
    stayline::Session session = coordinator.session("s");
    const stayline::Execution execution = session.start();
    const std::string query = "?executionId=" + std::string(execution.id());
    const stayline::Request request("/sessions/s/ingest" + query);

    step("started");
    stayline::Attaching attaching = session.begin_attach(request, true);
    std::vector<stayline::Attaching> more; // more than there are threads
    for (int n = 0; n < 40; n++) {
        more.push_back(session.begin_attach(request, true));
    }
    (void)attaching.fd();  // readable at first: there may be something already
    const bool early = attaching.take(std::chrono::milliseconds(0)).has_value();
    step(early || is_readable(attaching.fd(), 0) ? "it is there already" : "begun");
    const bool is_told = is_readable(attaching.fd(), -1);
    std::optional<stayline::Link> link = attaching.take(std::chrono::milliseconds(0));
    std::cout << "told " << is_told << " taken " << link.has_value() << std::endl;
    try {
        (void)attaching.take();
    } catch (const stayline::Closed& error) {
        std::cout << error.what() << std::endl;
    }
    int taken = 0;
    for (int n = 0; n < 20; n++) {
        taken += more[static_cast<std::size_t>(n)].take().has_value();
    }
    std::cout << "more " << taken << std::endl;
    stayline::Attaching refused = session.begin_attach(request); // without a token
    try {
        (void)refused.take();
    } catch (const stayline::Unauthorized& error) {
        std::cout << "refused " << error.http_status() << " " << *error.refusal() << std::endl;
    }
    try {
        (void)session.begin_attach(stayline::Request("/sessions/s/ingest"), true);
    } catch (const stayline::InvalidArgument& error) {
        std::cout << error.what() << std::endl;
    }
    // Twenty that nobody takes, and one that is not there yet.
    stayline::Attaching last = session.begin_attach(request, true);
    more.clear();
    { const stayline::Attaching gone = std::move(last); }
    coordinator.close();
    std::cout << "over" << std::endl;
    return 0;
}
