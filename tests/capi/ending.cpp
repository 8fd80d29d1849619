// SPDX-License-Identifier: Apache-2.0
//
// How runs end from C++: with an exit code, and by an exception (R29, R51a).
#include <cstdio>
#include <cstdlib>
#include <stayline.hpp>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using stayline::ExecutionStatus;

namespace {

// Far above what anything here takes; nothing depends on speed.
constexpr std::chrono::milliseconds patience = 60s;

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);      \
            std::_Exit(1);                                                            \
        }                                                                             \
    } while (false)

struct Host {
    stayline::Coordinator coordinator{"memory:"};
    stayline::Session session = coordinator.session("s");
    stayline::Server server = coordinator.serve("127.0.0.1:0");

    stayline::Wrapper wrapper(const std::string& id, const stayline::Settings* settings = nullptr) {
        const stayline::Execution execution = session.start({id, {}, {}});
        stayline::WrapperOptions options;
        options.url = server.url();
        options.session_id = "s";
        options.execution_id = id;
        options.token = std::string(execution.token().value_or(""));
        options.settings = settings;
        stayline::Wrapper wrapper(options);
        wrapper.wait_connected(patience);
        return wrapper;
    }

    /// How it ended, once it has.
    stayline::Execution ended(const std::string& id) {
        return session.execution(id).wait(patience);
    }
};

/// Whatever is thrown comes out of `run` as it is.
template <typename Thrown, typename Code>
Thrown thrown_by(stayline::Wrapper& wrapper, Code&& code) {
    try {
        wrapper.run(std::forward<Code>(code));
    } catch (const Thrown& thrown) {
        return thrown;
    }
    CHECK(!"thrown on");
    std::abort();
}

void exit_codes(Host& host) {
    stayline::Wrapper failing = host.wrapper("failing");
    failing.fail("exit code 3", 3);
    stayline::Execution failed = host.ended("failing");
    CHECK(failed.status() == ExecutionStatus::failed && failed.error() == "exit code 3");
    CHECK(failed.exit_code() == 3);

    stayline::Wrapper stopping = host.wrapper("stopping");
    stopping.interrupted("Ctrl-C", 130);
    stayline::Execution stopped = host.ended("stopping");
    CHECK(stopped.status() == ExecutionStatus::interrupted && stopped.exit_code() == 130);

    stayline::Wrapper without = host.wrapper("without");
    without.fail("boom");
    CHECK(!host.ended("without").exit_code());

    stayline::sansio::Wrapper machine;
    machine.open("e", stayline::Moment(1s));
    machine.fail("boom", stayline::Moment(1s), -9);
    stayline::sansio::Wrapper other;
    other.open("e", stayline::Moment(1s));
    other.interrupted(std::nullopt, stayline::Moment(1s), 130);
    for (auto* one : {&machine, &other}) {
        std::uint64_t attempt = one->poll_action()->attempt();
        one->handle_opened(attempt, 0, stayline::Moment(2s));
        std::string written;
        while (auto action = one->poll_action()) {
            if (action->kind() == stayline::ActionKind::write) {
                written += action->text();
            }
        }
        const char* const expected = one == &machine
                                         ? R"("data":{"error":"boom","exitCode":-9,"fatal":true})"
                                         : R"("data":{"exitCode":130})";
        CHECK(written.find(expected) != std::string::npos);
    }
}

void exceptions(Host& host) {
    stayline::Wrapper failing = host.wrapper("raises");
    const auto boom = thrown_by<std::runtime_error>(failing, [&] {
        failing.send("output", R"({"text":"before"})");
        throw std::runtime_error("boom");
    });
    CHECK(std::string(boom.what()) == "boom");
    // It is known by then, and so is everything before.
    stayline::Execution failed = *host.session.execution("raises").poll();
    CHECK(failed.status() == ExecutionStatus::failed && failed.error() == "boom");
    CHECK(!failed.exit_code());

    stayline::Wrapper odd = host.wrapper("odd");
    CHECK(thrown_by<int>(odd, [] { throw 7; }) == 7);
    CHECK(host.ended("odd").error() == "an exception that is no std::exception");

    // It had its ending.
    stayline::Wrapper done = host.wrapper("done");
    thrown_by<std::logic_error>(done, [&] {
        done.complete();
        done.outcome(patience);
        throw std::logic_error("after it");
    });
    CHECK(host.ended("done").status() == ExecutionStatus::completed);
    try {
        done.send("output");
        CHECK(!"taken");
    } catch (const stayline::Closed& closed) {
        CHECK(std::string(closed.what()).find("itself, as completed") != std::string::npos);
    }

    // It was asked to stop.
    stayline::Wrapper asked = host.wrapper("asked");
    thrown_by<std::runtime_error>(asked, [&] {
        host.session.interrupt();
        CHECK(asked.next_signal(patience)->kind() == stayline::SignalKind::abort);
        throw std::runtime_error("the agent died");
    });
    stayline::Execution stopped = host.ended("asked");
    CHECK(stopped.status() == ExecutionStatus::interrupted && stopped.error() == "the agent died");

    // What it returns is returned, and the run goes on.
    stayline::Wrapper peace = host.wrapper("peace");
    CHECK(peace.run([&] { return &peace; }) == &peace);
    int count = 0;
    peace.run([&]() -> int& { return count; }) = 3;
    CHECK(count == 3 && host.session.active() == "peace");
    peace.run([&] { peace.complete(4); });
    CHECK(host.ended("peace").exit_code() == 4);

    // One that was moved from has no run.
    const stayline::Wrapper taken = std::move(peace);
    thrown_by<std::runtime_error>(peace, [] { throw std::runtime_error("boom"); });
}

void without_a_coordinator(Host& host) {
    stayline::Settings settings;
    settings.set("ack_timeout_ms", "300");
    stayline::Wrapper wrapper = host.wrapper("away", &settings);
    host.server.close();
    thrown_by<std::runtime_error>(wrapper, [] { throw std::runtime_error("boom"); });
}

}  // namespace

int main() {
    Host host;
    exit_codes(host);
    exceptions(host);
    without_a_coordinator(host);
    return 0;
}
