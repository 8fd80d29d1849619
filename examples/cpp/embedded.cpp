// The shortest whole host: a run, its wrapper, and what is kept of it.
//
//     embedded [STORE]       embedded sqlite:runs.db
//
// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <stayline.hpp>

namespace {

// Next to the agent: in a sandbox, in another process, on another machine.
void run_agent(std::string_view url, const stayline::Execution& execution) {
    stayline::WrapperOptions options;
    options.url = url;
    options.session_id = execution.session_id();
    options.execution_id = execution.id();
    options.token = std::string(execution.token().value_or(""));
    stayline::Wrapper wrapper(options);
    wrapper.send("output", R"({"text":"reading the tests"})");
    wrapper.send("output", R"({"text":"all green"})");
    wrapper.complete(0, "main");
    const stayline::Outcome outcome = wrapper.outcome();
    std::cout << to_string(outcome.status.value()) << '\n';
}

void host(std::string_view store) {
    stayline::Coordinator coordinator(store);
    const stayline::Server server = coordinator.serve("127.0.0.1:0");
    stayline::Session session = coordinator.session("user_1:agent_1");

    // An exception in here fails the run.
    stayline::LaunchOptions launch;
    launch.mode = "code";
    session.launch(launch, [&](const stayline::Execution& execution) {
        run_agent(server.url(), execution);
    });

    for (const stayline::Event& event : session.events()) {
        std::cout << event.id() << ' ' << event.type() << ' ' << event.data() << '\n';
    }
    for (stayline::Notification& notification :
         coordinator.take_notifications(std::chrono::milliseconds(0))) {
        std::cout << to_string(notification.kind()) << ' ' << notification.branch().value_or("-")
                  << '\n';
        notification.ack();
    }
}

}  // namespace

int main(int count, char** words) try {
    host(count > 1 ? words[1] : "memory:");
} catch (const stayline::Error& error) {
    std::cerr << error.name() << ": " << error.what() << '\n';
    return 1;
}
