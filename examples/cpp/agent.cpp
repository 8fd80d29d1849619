// What runs beside an agent: each line of the input is told as an event, its end is the run's end.
//
//     agent URL SESSION EXECUTION TOKEN < lines of JSON
//
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <iostream>
#include <stayline.hpp>

namespace {

int run(stayline::Wrapper& wrapper) {
    // A real agent is stopped here; ours ends with its input.
    wrapper.on_kill([&](stayline::KillSignal) { wrapper.aborted(); });
    wrapper.wait_connected();
    std::string line;
    while (std::getline(std::cin, line)) {
        wrapper.send("output", line);
    }
    wrapper.complete(0, "main");
    const stayline::Outcome outcome = wrapper.outcome();
    std::cout << (outcome.status ? to_string(*outcome.status) : "unknown") << ", reconnects "
              << wrapper.reconnects() << ", unacknowledged " << outcome.unacknowledged << '\n';
    return outcome.status == stayline::ExecutionStatus::completed ? 0 : 1;
}

}  // namespace

int main(int count, char** words) try {
    if (count != 5) {
        std::cerr << "usage: agent URL SESSION EXECUTION TOKEN\n";
        return 2;
    }
    stayline::WrapperOptions options;
    options.url = words[1];
    options.session_id = words[2];
    options.execution_id = words[3];
    options.token = words[4];
    stayline::Wrapper wrapper(options);
    return run(wrapper);
} catch (const stayline::Error& error) {
    std::cerr << error.name() << ": " << error.what() << '\n';
    return 1;
}
