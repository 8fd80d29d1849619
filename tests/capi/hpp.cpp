// SPDX-License-Identifier: Apache-2.0
//
// stayline.hpp used as hosts do and as they should not: `hpp NAME` runs one case, `hpp` lists them.
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <stayline.hpp>
#include <thread>
#include <type_traits>

using namespace std::chrono_literals;
using stayline::Coordinator;
using stayline::ExecutionStatus;

namespace {

// Far above what anything here takes; no case depends on speed.
constexpr std::chrono::milliseconds patience = 60s;

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);      \
            std::_Exit(1);                                                            \
        }                                                                             \
    } while (false)

/// What a call throws, which must be of the type named.
template <typename Expected, typename Call>
Expected thrown(Call&& call) {
    try {
        call();
    } catch (const Expected& error) {
        return error;
    } catch (const std::exception& other) {
        std::fprintf(stderr, "something else was thrown: %s\n", other.what());
        std::_Exit(1);
    }
    std::fprintf(stderr, "nothing was thrown\n");
    std::_Exit(1);
}

bool readable(int fd, std::chrono::milliseconds limit) {
    pollfd watched{fd, POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(limit.count())) == 1;
}

stayline::WrapperOptions to(const stayline::Server& server, const stayline::Execution& execution) {
    stayline::WrapperOptions options;
    options.url = server.url();
    options.session_id = execution.session_id();
    options.execution_id = execution.id();
    options.token = std::string(execution.token().value_or(""));
    return options;
}

/// Nothing is copied, and moving does not throw.
template <typename... Objects>
constexpr bool moved_only = ((!std::is_copy_constructible_v<Objects> &&
                              !std::is_copy_assignable_v<Objects> &&
                              std::is_nothrow_move_constructible_v<Objects> &&
                              std::is_nothrow_move_assignable_v<Objects>)&&...);

static_assert(moved_only<Coordinator, stayline::Session, stayline::Execution,
                         stayline::SessionSnapshot, stayline::Lease, stayline::Link,
                         stayline::Output, stayline::Event, stayline::Events,
                         stayline::Subscription, stayline::Notification, stayline::Server,
                         stayline::Wrapper, stayline::sansio::Wrapper, stayline::Action,
                         stayline::Signal, stayline::Settings, stayline::Clock>);

void moves() {
    Coordinator first("memory:");
    Coordinator second(std::move(first));
    CHECK(first.get() == nullptr && second.get() != nullptr);
    Coordinator third("memory:");
    third = std::move(second);
    stayline::Session session = third.session("s");
    stayline::Session other = std::move(session);
    CHECK(other.id() == "s");
    stayline::Execution execution = other.start({"e", "code", "secret"});
    const std::string_view id = execution.id();
    stayline::Execution kept = std::move(execution);
    CHECK(id.data() == kept.id().data());
    CHECK(kept.mode() == "code" && kept.token() == "secret");
    CHECK(kept.status() == ExecutionStatus::pending);
    // The coordinator goes on until the last object that was got from it ends.
    third = Coordinator("memory:");
    CHECK(kept.refresh().token() == "secret");
    CHECK(!other.execution("e").token());
}

void use_after_move() {
    using stayline::InvalidArgument;
    const auto refused = [](const char* noun, const std::function<void()>& call) {
        const InvalidArgument error = thrown<InvalidArgument>(call);
        if (std::strstr(error.what(), noun) == nullptr) {
            std::fprintf(stderr, "%s: %s\n", noun, error.what());
            std::_Exit(1);
        }
        CHECK(std::string_view(error.what()).find(error.what_()) != std::string_view::npos);
    };
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    stayline::Execution execution = session.start({"e", {}, {}});
    stayline::Link link = session.attach({"e", {}, true, false, {}, 0});
    stayline::Lease lease = session.lease("e", "mine");
    link.receive(R"({"streamEventType":"output","data":{},"timestamp":"2026-01-01T00:00:00Z"})");
    stayline::Subscription subscription = session.subscribe();
    stayline::Events events = session.events();
    stayline::Event connected = *subscription.next(patience);
    stayline::SessionSnapshot snapshot = session.snapshot();
    stayline::Server server = coordinator.serve("127.0.0.1:0");
    stayline::Wrapper wrapper(to(server, execution));
    stayline::sansio::Wrapper machine;
    machine.open("e", stayline::Moment(1s));
    stayline::Action action = *machine.poll_action();
    stayline::Settings settings;
    stayline::Clock clock(stayline::Moment(1s));
    {
        [[maybe_unused]] const auto gone = std::make_tuple(
            std::move(link), std::move(lease), std::move(subscription), std::move(events),
            std::move(connected), std::move(snapshot), std::move(wrapper), std::move(machine),
            std::move(action), std::move(settings), std::move(clock), std::move(execution),
            std::move(session), std::move(server));
    }
    refused("link", [&] { link.receive("{}"); });
    refused("link", [&] { static_cast<void>(link.execution_id()); });
    refused("lease", [&] { lease.release(); });
    refused("lease", [&] { static_cast<void>(lease.lease_id()); });
    refused("subscription", [&] { subscription.next(0ms); });
    refused("subscription", [&] { static_cast<void>(subscription.last_id()); });
    refused("event reader", [&] { events.next(); });
    refused("event", [&] { static_cast<void>(connected.data()); });
    refused("event", [&] { static_cast<void>(connected.frame()); });
    refused("session snapshot", [&] { static_cast<void>(snapshot.latest()); });
    refused("wrapper", [&] { wrapper.send("output"); });
    refused("wrapper", [&] { static_cast<void>(wrapper.state()); });
    refused("", [&] { machine.handle_timeout(stayline::Moment(2s)); });
    refused("action", [&] { static_cast<void>(action.signal()); });
    refused("settings", [&] { settings.check(); });
    refused("clock", [&] { static_cast<void>(clock.now()); });
    refused("execution", [&] { execution.wait(0ms); });
    refused("execution", [&] { static_cast<void>(execution.id()); });
    refused("session", [&] { session.start(); });
    refused("session", [&] { static_cast<void>(session.id()); });
    refused("server", [&] { static_cast<void>(server.url()); });
    // What was moved from does not stand for the defaults either.
    stayline::CoordinatorOptions options;
    options.settings = &settings;
    refused("settings", [&] { (void)Coordinator("memory:", options); });
    Coordinator other = std::move(coordinator);
    refused("coordinator", [&] { static_cast<void>(coordinator.location()); });
    refused("coordinator", [&] { coordinator.session("s"); });
    other.close();
}

void use_after_close() {
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    session.start({"e", {}, {}});
    stayline::Link link = session.attach({"e", {}, true, false, {}, 0});
    stayline::Subscription subscription = session.subscribe();
    stayline::Server server = coordinator.serve("127.0.0.1:0");
    thrown<stayline::InvalidArgument>([&] { server.reload_tls(); });
    server.close();
    server.close();
    subscription.close();
    subscription.close();
    thrown<stayline::Closed>([&] { subscription.next(0ms); });
    CHECK(subscription.is_ended());
    coordinator.close();
    coordinator.close();
    server.close();
    thrown<stayline::Closed>([&] { session.start(); });
    thrown<stayline::Closed>([&] { coordinator.take_notification(0ms); });
    thrown<stayline::Closed>([&] { link.receive("{}"); });
    const stayline::Closed error = thrown<stayline::Closed>([&] { session.snapshot(); });
    CHECK(error.status() == stayline::Status::closed);
    const std::optional<stayline::CloseState> state = link.close_state();
    CHECK(state && state->code == 1012);
}

void errors() {
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    const auto unknown = thrown<stayline::NotFound>([&] { session.snapshot(); });
    CHECK(unknown.status() == stayline::Status::not_found && unknown.name() == "NotFound");
    CHECK(!unknown.what_().empty() && unknown.text("what") == unknown.what_());
    CHECK(!unknown.text("nothing") && !unknown.integer("what"));
    CHECK(unknown.http_status() == 404);

    session.start({"e", {}, {}});
    const auto active = thrown<stayline::ExecutionInProgress>([&] { session.start(); });
    CHECK(active.active() == "e" && active.http_status() == 409);
    CHECK(active.json().find("\"active\":\"e\"") != std::string_view::npos);
    // Caught by what it derives from; a copy keeps the texts.
    std::optional<stayline::Error> copy;
    try {
        session.start();
    } catch (const std::runtime_error& error) {
        copy = dynamic_cast<const stayline::Error&>(error);
    }
    CHECK(copy->name() == "ExecutionInProgress" && copy->text("active") == "e");
    const auto wrong = thrown<stayline::Unauthorized>(
        [&] { (void)session.attach({"e", "wrong", false, false, {}, 0}); });
    CHECK(wrong.refusal() == "unauthorized" && wrong.http_status() == 401);
    CHECK(!active.refusal());

    session.lease("e", "mine");
    const auto held = thrown<stayline::AlreadyHeld>([&] { session.lease("e", "yours"); });
    CHECK(held.holder() == "mine" && held.expires_at() > coordinator.now());
    CHECK(thrown<stayline::WrongHolder>([&] { session.release_lease("e", "yours"); }).holder() ==
          "mine");
    thrown<stayline::Timeout>([&] { session.execution("e").wait(0ms); });
    CHECK(!session.execution("e").poll());
    thrown<stayline::InvalidArgument>([&] { coordinator.session("\xff"); });

    CHECK(session.fail("e", "no sandbox"));
    CHECK(!session.fail("e", "again"));
    const auto transition = thrown<stayline::InvalidTransition>(
        [&] { session.finish("e", ExecutionStatus::completed); });
    CHECK(transition.from() == "failed" && transition.to() == "completed");
    const auto ended = thrown<stayline::ExecutionNotActive>([&] { session.heartbeat("e"); });
    CHECK(ended.execution_status() == "failed");
    CHECK(thrown<stayline::AlreadyExists>([&] { session.start({"e", {}, {}}); }).execution_id() ==
          "e");
    thrown<stayline::NoActiveExecution>([&] { session.interrupt(); });
    CHECK(session.execution("e").poll()->error() == "no sandbox");

    stayline::Settings settings;
    thrown<stayline::InvalidArgument>([&] { settings.set("no_such", "1"); });
    settings.set("heartbeat_interval_ms", "5000").set("stale_after_ms", "1");
    const auto contradict = thrown<stayline::InvalidSettings>([&] { settings.check(); });
    CHECK(!contradict.first().empty() && !contradict.second().empty());

    stayline::Settings small;
    small.set("buffer_events", "1").set("overflow", "\"block\"").set("send_timeout_ms", "1");
    stayline::sansio::Wrapper machine(&small);
    const stayline::Moment now(1s);
    machine.open("e", now);
    machine.send("output", std::nullopt, now);
    const auto full = thrown<stayline::Full>([&] { machine.send("output", "{}", now); });
    CHECK(full.events() == 1 && full.bytes() > 0 && !machine.has_room());
    CHECK(!thrown<stayline::InvalidEvent>([&] { machine.send("", "{}", now); }).reason().empty());

    coordinator.fail_next_commit(stayline::CommitOutcome::lost);
    thrown<stayline::StoreError>([&] { session.start(); });
    // What was kept after all is found out.
    coordinator.fail_next_commit(stayline::CommitOutcome::unknown_kept);
    CHECK(session.start({"f", {}, {}}).id() == "f" && session.active() == "f");
}

void panics() {
    Coordinator coordinator("memory:");
    coordinator.fail_next_commit(stayline::CommitOutcome::panic);
    stayline::Session session = coordinator.session("s");
    thrown<stayline::Panic>([&] { session.start(); });
    const auto error = thrown<stayline::Panic>([&] { session.start(); });
    CHECK(error.status() == stayline::Status::panic && error.http_status() == 500);
}

void ranges() {
    stayline::Clock clock(stayline::Moment(1'700'000'000s));
    stayline::CoordinatorOptions options;
    options.clock = &clock;
    Coordinator coordinator("memory:", options);
    stayline::Session session = coordinator.session("s");
    session.start({"e", {}, {}});
    {
        stayline::Link link = session.attach({"e", {}, true, false, {}, 0});
        for (int number = 0; number < 5; ++number) {
            link.receive(R"({"streamEventType":")" + std::string(number % 2 ? "odd" : "even") +
                         R"(","data":{"n":)" + std::to_string(number) +
                         R"(},"timestamp":"2026-01-01T00:00:00Z"})");
        }
        clock.advance(0ms);
        session.finish("e", ExecutionStatus::completed);
        link.closed(1000, "done");
        // What was put out before is still given, and then it is over without waiting.
        int outputs = 0;
        for (const stayline::Output& output : link.outputs()) {
            CHECK(!output.text().empty() && ++outputs < 100);
        }
        CHECK(link.is_finished() && link.close_state());
    }
    std::uint64_t last = 0;
    std::vector<stayline::Event> kept;
    for (stayline::Event& event : session.events()) {
        CHECK(event.id() == last + 1 && event.session_id() == "s" && !event.control());
        last = event.id();
        kept.push_back(std::move(event));
    }
    CHECK(last >= 5 && kept.size() == last && kept[1].type() == "odd");
    CHECK(kept[1].data() == R"({"n":1})" && kept[1].execution_id() == "e");
    stayline::EventFilter odd;
    odd.types = {"odd"};
    CHECK(session.count_events(odd) == 2);
    odd.limit = 1;
    CHECK(session.count_events(odd) == 1);
    odd.types = std::vector<std::string>();
    CHECK(session.count_events(odd) == 0);
    for (const stayline::Event& event : session.events(odd)) {
        CHECK(event.id() == 0);
    }

    stayline::SubscribeOptions until;
    until.until = "e";
    std::size_t records = 0;
    stayline::Subscription subscription = session.subscribe(until);
    for (const stayline::Event& event : subscription) {
        records += event.control() ? 0 : 1;
    }
    CHECK(records == last && subscription.is_ended() && subscription.last_id() == last);
    stayline::Subscription live = session.subscribe();
    records = 0;
    for ([[maybe_unused]] const stayline::Event& event : live.take(0ms)) {
        ++records;
    }
    CHECK(records == last + 1 && !live.is_ended());
    CHECK(live.epoch() == session.snapshot().epoch());

    session.start({"f", {}, {}});
    session.fail("f", "no");
    const std::vector<stayline::Execution> executions = session.executions();
    CHECK(executions.size() == 2 && executions[0].id() == "f");
    CHECK(session.executions(ExecutionStatus::failed).size() == 1);
    // What was in a list keeps it alive.
    stayline::Execution one = std::move(session.executions()[1]);
    CHECK(one.id() == "e" && one.status() == ExecutionStatus::completed);
    CHECK(!one.exit_code());
    std::optional<stayline::Execution> latest = coordinator.sessions().at(0).latest();
    CHECK(latest && latest->id() == "f");

    CHECK(coordinator.notifications().size() == 2);
    std::size_t taken = 0;
    for (stayline::Notification& notification : coordinator.take_notifications(0ms)) {
        CHECK(notification.kind() == stayline::NotificationKind::execution_ended);
        notification.ack();
        thrown<stayline::NotFound>([&] { notification.ack(); });
        ++taken;
    }
    CHECK(taken == 2 && coordinator.notifications().empty());
}

/// A listed notification can be dealt with, also one that comes no more by itself.
void parked_notifications() {
    stayline::Clock clock(stayline::Moment(1'700'000'000s));
    stayline::Settings settings;
    settings.set("notification_attempts", "1");
    stayline::CoordinatorOptions options;
    options.settings = &settings;
    options.clock = &clock;
    Coordinator coordinator("memory:", options);
    stayline::Session session = coordinator.session("s");
    session.start({"e", {}, {}});
    session.fail("e", "no");
    coordinator.take_notification(0ms)->nack();
    CHECK(!coordinator.take_notification(0ms));
    std::vector<stayline::Notification> parked = coordinator.notifications(true);
    CHECK(parked.size() == 1 && parked[0].parked());
    parked[0].requeue();
    std::optional<stayline::Notification> again = coordinator.take_notification(0ms);
    CHECK(again && again->id() == parked[0].id() && again->error() == "no");
    again->give_back();
    coordinator.take_notification(0ms)->ack();
}

void launches() {
    struct NoSandbox : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    const auto error = thrown<NoSandbox>([&] {
        session.launch({"e", {}, {}, false}, [](const stayline::Execution& execution) {
            CHECK(execution.id() == "e" && execution.token());
            throw NoSandbox("no sandbox");
        });
    });
    CHECK(std::string_view(error.what()) == "no sandbox");
    const stayline::Execution failed = session.execution("e");
    CHECK(failed.status() == ExecutionStatus::failed && failed.error() == "no sandbox");
    coordinator.take_notification(0ms)->ack();

    // Something that is no std::exception, and no notification of it.
    bool caught = false;
    try {
        session.launch({"f", {}, {}, true}, [](const stayline::Execution&) { throw 7; });
    } catch (int number) {
        caught = number == 7;
    }
    CHECK(caught && session.status("f") == ExecutionStatus::failed);
    CHECK(!coordinator.take_notification(0ms));

    // Once a wrapper has attached the run is in its hands.
    std::optional<stayline::Link> link;
    thrown<NoSandbox>([&] {
        session.launch({"g", "code", "secret", false}, [&](const stayline::Execution& execution) {
            CHECK(execution.mode() == "code");
            link = session.attach({"g", "secret", false, false, {}, 0});
            throw NoSandbox("too late");
        });
    });
    CHECK(session.status() == ExecutionStatus::running);
    session.finish("g", ExecutionStatus::interrupted, "enough");
    const stayline::Execution good = session.launch({}, [](const stayline::Execution&) {});
    CHECK(session.active() == good.id());

    // The launch's own exception is told, whatever comes of failing the execution.
    session.fail(good.id(), "next");
    thrown<NoSandbox>([&] {
        session.launch({}, [&](const stayline::Execution&) {
            coordinator.close();
            throw NoSandbox("first");
        });
    });
}

/// Counts those that there are.
struct Counted {
    explicit Counted(std::atomic<int>& count) : count(&count) { ++count; }
    Counted(const Counted& other) : count(other.count) { ++*count; }
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*count; }
    std::atomic<int>* count;
};

void callbacks() {
    std::atomic<int> alive{0};
    std::atomic<int> asked{0};
    std::atomic<bool> returned{false};
    {
        Coordinator coordinator("memory:");
        stayline::Session session = coordinator.session("s");
        const stayline::Execution execution = session.start({"e", {}, "secret"});
        stayline::ServerOptions options;
        options.authorize = [&, counted = Counted(alive)](
                                std::string_view session_id, std::string_view execution_id,
                                std::optional<std::string_view> bearer) {
            CHECK(session_id == "s" && execution_id == "e");
            // Calling back in is fine.
            CHECK(coordinator.session(session_id).status(execution_id).has_value());
            if (bearer == "no ticket") {
                return stayline::Authorization::deny;
            }
            // The first time it cannot tell, which is no "no".
            if (++asked == 1) {
                throw std::runtime_error("the database is away");
            }
            return asked == 2 ? stayline::Authorization::later : stayline::Authorization::allow;
        };
        stayline::Server server = coordinator.serve("127.0.0.1:0", options);
        options.authorize = nullptr;
        CHECK(alive == 1);
        stayline::WrapperOptions wrong = to(server, execution);
        wrong.token = "no ticket";
        stayline::Wrapper refused(wrong);
        thrown<stayline::Disconnected>([&] { refused.wait_connected(patience); });
        CHECK(asked == 0);
        wrong.token = "ticket";
        wrong.retry_first = true;
        stayline::Wrapper wrapper(wrong);
        wrapper.wait_connected(patience);
        CHECK(asked == 3 && to_string(stayline::Authorization::later) == "later");
        CHECK(wrapper.poll_connected());

        std::atomic<int> kills{0};
        thrown<stayline::InvalidArgument>([&] { wrapper.on_kill(nullptr); });
        wrapper.on_kill([&, counted = Counted(alive)](stayline::KillSignal signal) {
            CHECK(signal == stayline::KillSignal::term);
            ++kills;
            wrapper.aborted();
            // By now the run's end may be known, and the wrapper be on its way out.
            std::this_thread::sleep_for(20ms);
            CHECK(wrapper.execution_id() == "e");
            returned = true;
            throw std::runtime_error("swallowed");
        });
        CHECK(alive == 2);
        CHECK(session.interrupt() == stayline::Verdict::sent);
        const stayline::Outcome outcome = wrapper.outcome(patience);
        CHECK(outcome.status == ExecutionStatus::interrupted && kills == 1);
        CHECK(execution.wait(patience).status() == ExecutionStatus::interrupted);
        // A server that cannot be made frees the function too.
        options.authorize = [counted = Counted(alive)](auto...) {
            return stayline::Authorization::allow;
        };
        thrown<stayline::InvalidArgument>([&] { (void)coordinator.serve("nowhere", options); });
        options.authorize = nullptr;
        // Bounds that are out of their range are told, each.
        for (auto bound : {&stayline::ServerOptions::workers, &stayline::ServerOptions::max_sockets,
                           &stayline::ServerOptions::max_unauthenticated_sockets,
                           &stayline::ServerOptions::max_requests,
                           &stayline::ServerOptions::max_body_bytes}) {
            stayline::ServerOptions wide;
            wide.*bound = std::size_t{1} << 40;
            thrown<stayline::InvalidArgument>([&] { (void)coordinator.serve("127.0.0.1:0", wide); });
            wide.*bound = bound == &stayline::ServerOptions::max_body_bytes ? 10'000 : 1;
            coordinator.serve("127.0.0.1:0", wide).close();
        }
    }
    CHECK(returned);
    // A server's end may leave a call under way, which keeps its function.
    for (int round = 0; alive != 0 && round < 6000; ++round) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(alive == 0);
}

void logs() {
    std::atomic<int> alive{0};
    std::atomic<int> records{0};
    stayline::log::set(stayline::LogLevel::debug,
                       [&, counted = Counted(alive)](stayline::LogLevel level,
                                                     std::string_view message) {
                           CHECK(!to_string(level).empty() && !message.empty());
                           ++records;
                           throw std::runtime_error("swallowed");
                       });
    CHECK(alive == 1);
    {
        Coordinator coordinator("memory:");
        stayline::Session session = coordinator.session("s");
        coordinator.serve("127.0.0.1:0").close();
        coordinator.close();
    }
    CHECK(records > 0);
    stayline::log::clear();
    CHECK(alive == 0);
    const int before = records;
    Coordinator("memory:").close();
    CHECK(records == before);
}

void closing_while_others_wait() {
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    const stayline::Execution execution = session.start({"e", {}, {}});
    stayline::Link link = session.attach({"e", {}, true, false, {}, 0});
    stayline::Subscription subscription = session.subscribe();
    stayline::SubscribeOptions from_now;
    from_now.live_only = true;
    stayline::Subscription closed_alone = session.subscribe(from_now);
    std::atomic<int> waiting{0};
    std::atomic<int> over{0};
    std::vector<std::thread> threads;
    const auto wait = [&](std::function<void()> call) {
        threads.emplace_back([&, call = std::move(call)] {
            ++waiting;
            call();
            ++over;
        });
    };
    for (int number = 0; number < 3; ++number) {
        wait([&] { thrown<stayline::Closed>([&] { execution.wait(); }); });
        wait([&] { thrown<stayline::Closed>([&] { coordinator.take_notification(); }); });
        wait([&] {
            thrown<stayline::Closed>([&] {
                for ([[maybe_unused]] const stayline::Event& event : closed_alone) {
                }
            });
        });
        // The close is taken by one, and the end by all.
        wait([&] {
            for ([[maybe_unused]] const stayline::Output& output : link.outputs()) {
            }
            CHECK(link.is_finished());
        });
    }
    while (waiting < 12) {
        std::this_thread::yield();
    }
    std::this_thread::sleep_for(20ms);
    closed_alone.close();
    coordinator.close();
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(over == 12);
}

void many_threads() {
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    session.start({"e", {}, {}});
    stayline::Link link = session.attach({"e", {}, true, false, {}, 0});
    stayline::Subscription subscription = session.subscribe();
    std::vector<std::thread> threads;
    for (int number = 0; number < 8; ++number) {
        threads.emplace_back([&] {
            for (int round = 0; round < 50; ++round) {
                link.receive(
                    R"({"streamEventType":"output","data":{},"timestamp":"2026-01-01T00:00:00Z"})");
                CHECK(session.status("e") == ExecutionStatus::running);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::uint64_t last = 0;
    while (last < 400) {
        const std::optional<stayline::Event> event = subscription.next(patience);
        CHECK(event);
        if (!event->control()) {
            CHECK(event->id() == last + 1);
            last = event->id();
        }
    }
    CHECK(session.count_events() == 400);
}

void descriptors() {
    Coordinator coordinator("memory:");
    stayline::Session session = coordinator.session("s");
    stayline::Execution execution = session.start({"e", {}, {}});
    const int notified = coordinator.notification_fd();
    CHECK(!coordinator.take_notification(0ms));
    CHECK(!readable(notified, 0ms));
    const int fd = execution.fd();
    // Moving an object keeps its descriptor.
    const stayline::Execution moved = std::move(execution);
    CHECK(moved.fd() == fd);
    stayline::Server server = coordinator.serve("127.0.0.1:0");
    stayline::Wrapper wrapper(to(server, moved));
    while (!wrapper.poll_connected()) {
        CHECK(readable(wrapper.changes_fd(), patience));
    }
    wrapper.send("output", R"({"text":"hello"})");
    wrapper.flush(patience);
    wrapper.complete(0, "main");
    std::optional<stayline::Outcome> outcome;
    while (!(outcome = wrapper.poll_outcome())) {
        CHECK(readable(wrapper.changes_fd(), patience));
    }
    CHECK(outcome->status == ExecutionStatus::completed && outcome->unacknowledged == 0);
    while (!wrapper.is_finished()) {
        CHECK(readable(wrapper.fd(), patience));
        for (const stayline::Signal& signal : wrapper.signals(0ms)) {
            CHECK(!to_string(signal.kind()).empty());
        }
    }
    while (!moved.poll()) {
        CHECK(readable(fd, patience));
    }
    CHECK(moved.poll()->exit_code() == 0);
    CHECK(readable(notified, patience));
    const std::optional<stayline::Notification> told = coordinator.take_notification(0ms);
    CHECK(told && told->branch() == "main" && told->status() == ExecutionStatus::completed);
    CHECK(coordinator.metrics().find("stayline") != std::string::npos);
    const std::string ticket = coordinator.issue_ticket("s", 1min);
    coordinator.verify_ticket("s", ticket);
    thrown<stayline::Unauthorized>([&] { coordinator.verify_ticket("t", ticket); });
}

/// The machine tells its host; a signal keeps its action alive.
void machine() {
    stayline::sansio::Wrapper machine(nullptr, stayline::sansio::Seed{1, 2, 3});
    const stayline::Moment now(1'700'000'000s);
    CHECK(machine.state() == stayline::WrapperState::idle && !machine.producer());
    machine.open("e", now);
    stayline::Action connect = *machine.poll_action();
    CHECK(connect.kind() == stayline::ActionKind::connect && connect.execution_id() == "e");
    CHECK(connect.producer() == machine.producer() && connect.dial_timeout() > 0ms);
    CHECK(!connect.signal() && machine.attempts() == 1);
    CHECK(!machine.outcome());
    stayline::sansio::Refused refused;
    refused.status = 404;
    refused.refusal = "not_found";
    machine.handle_refused(connect.attempt(), refused, now);
    std::optional<stayline::Signal> told;
    for (const stayline::Action& action : machine.actions()) {
        if (std::optional<stayline::Signal> signal = action.signal()) {
            told = std::move(signal);
        }
    }
    CHECK(told && told->kind() == stayline::SignalKind::disconnected && told->text());
    CHECK(thrown<stayline::Disconnected>([&] { machine.outcome(); }).reason() == told->text());
    CHECK(machine.close(now) == 0);
}

void defaults() {
    const stayline::WrapperOptions wrapper;
    CHECK(wrapper.active == stayline_wrapper_options_default().active);
    CHECK(wrapper.retry_first == stayline_wrapper_options_default().retry_first);
    const stayline::InterruptOptions interrupt;
    CHECK(interrupt.grace.count() == stayline_interrupt_options_default().grace_ms);
    CHECK(interrupt.escalate == stayline_interrupt_options_default().escalate);
    CHECK(stayline::EventFilter().after == stayline_event_filter_default().after);
    CHECK(stayline::AttachOptions().attempt == stayline_attach_options_default().attempt);
    CHECK(stayline::AttachOptions().trusted == stayline_attach_options_default().trusted);
    CHECK(stayline::FailOptions().only_pending == stayline_fail_options_default().only_pending);
    CHECK(stayline::SendOptions().droppable == stayline_send_options_default().droppable);
    CHECK(stayline::SubscribeOptions().live_only == stayline_subscribe_options_default().live_only);
    CHECK(stayline::sansio::Refused().status == stayline_refused_default().status);
    CHECK(stayline::CoordinatorOptions().read_only ==
          stayline_coordinator_options_default().read_only);
    CHECK(stayline::version() == STAYLINE_VERSION);
    CHECK(stayline::abi_version() == STAYLINE_ABI_VERSION);
    CHECK(to_string(stayline::Status::not_found) == "NotFound");
    CHECK(to_string(static_cast<ExecutionStatus>(99)).empty());
    CHECK(to_string(static_cast<stayline::Verdict>(99)).empty());
    CHECK(stayline::Settings::table().front() == '[');
    CHECK(stayline::Settings().get("disconnect_grace_ms") ==
          Coordinator("memory:").settings().get("disconnect_grace_ms"));
}

/// What other suites let run on their own loop: a deadline of a manual clock.
void clock() {
    stayline::Clock clock(stayline::Moment(1'700'000'000s));
    CHECK(!clock.next_deadline());
    stayline::CoordinatorOptions options;
    options.clock = &clock;
    Coordinator coordinator("memory:", options);
    coordinator.session("s").start({"e", {}, {}});
    const std::optional<stayline::Moment> due = coordinator.next_deadline();
    CHECK(due && due == clock.next_deadline() && *due > clock.now());
    clock.advance(*due - clock.now());
    const stayline::Execution failed = coordinator.session("s").execution("e");
    CHECK(failed.status() == ExecutionStatus::failed && failed.completed_at() == due);
    thrown<stayline::InvalidArgument>([&] { clock.advance(-1ms); });
    clock.suspend(1s);
    clock.set(clock.now() + 1s);
    coordinator.handle_due();
    CHECK(coordinator.now() == *due + 2s);
    stayline::Session seen = coordinator.session("seen");
    seen.start({"e", {}, {}});
    CHECK(!seen.execution("e").last_seen_at());
    stayline::AttachOptions trusted;
    trusted.execution_id = "e";
    trusted.trusted = true;
    const stayline::Link link = seen.attach(trusted);
    clock.advance(10s);
    seen.heartbeat("e");
    CHECK(seen.execution("e").last_seen_at() == clock.now());
    CHECK(seen.execution("e").last_heartbeat_at() == clock.now() - 10s);
    coordinator.abandon();
    thrown<stayline::Closed>([&] { coordinator.session("s").start(); });
}

const std::map<std::string, void (*)()> cases{
    {"callbacks", callbacks},
    {"clock", clock},
    {"closing_while_others_wait", closing_while_others_wait},
    {"defaults", defaults},
    {"descriptors", descriptors},
    {"errors", errors},
    {"launches", launches},
    {"logs", logs},
    {"machine", machine},
    {"many_threads", many_threads},
    {"moves", moves},
    {"panics", panics},
    {"parked_notifications", parked_notifications},
    {"ranges", ranges},
    {"use_after_close", use_after_close},
    {"use_after_move", use_after_move},
};

}  // namespace

int main(int count, char** arguments) {
    if (count == 1) {
        for (const auto& [name, run] : cases) {
            std::puts(name.c_str());
        }
        return 0;
    }
    const auto found = cases.find(arguments[1]);
    CHECK(found != cases.end());
    found->second();
    return 0;
}
