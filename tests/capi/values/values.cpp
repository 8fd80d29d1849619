// SPDX-License-Identifier: Apache-2.0
//
// What the C files of this folder do, by stayline.hpp: the same lines, but for what only C++ has.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stayline.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace std::string_literals;
using stayline::Coordinator;
using stayline::Session;

namespace {

constexpr auto patience = 60s;

using Text = std::pair<const char*, std::string>;

const std::vector<Text> texts{
    {"no UTF-8", "r\xff\xfen"},
    {"half of a pair", "a\xed\xa0\xbd"},
    {"cut short", "a\xe2\x82"},
    {"a NUL", "a\0b"s},
    {"an escape", "a\x1b[31mb"},
    {"an escape of one byte", "a\xc2\x9b"
                              "31mb"},
    {"long", std::string(3'000'000, 'x')},
    {"empty", ""},
};

void print_line(const char* table, const char* way, const char* kind, std::string_view text) {
    std::printf("%s\t%s\t%s\t\"", table, way, kind);
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte == '"' || byte == '\\') {
            std::printf("\\%c", byte);
        } else if (byte < 0x20) {
            std::printf("\\u%04x", byte);
        } else {
            std::putchar(byte);
        }
    }
    std::puts("\"");
}

/// A session `s` with the execution `e`, which is pending.
struct World {
    Coordinator owner{"memory:"};
    Session session = owner.session("s");

    World() { session.start({"e", std::nullopt, "t"}); }

    stayline::Link linked() {
        stayline::AttachOptions options;
        options.execution_id = "e";
        options.trusted = true;
        return session.attach(options);
    }
};

stayline::WrapperOptions nowhere() {
    stayline::WrapperOptions options;
    options.url = "http://127.0.0.1:1";
    options.session_id = "s";
    options.execution_id = "e";
    options.retry_first = true;
    return options;
}

/// Every way in for a name, a type, a token, an address.
using Try = std::function<void(World&, const std::string&)>;

const stayline::Moment epoch{};

void start(World& w, stayline::StartOptions options) { w.owner.session("t").start(options); }

void attach(World& w, void (*change)(stayline::AttachOptions&, const std::string&),
            const std::string& v) {
    stayline::AttachOptions options;
    options.execution_id = "e";
    options.token = "t";
    options.acknowledged = true;
    options.producer = "p";
    options.attempt = 1;
    change(options, v);
    (void)w.session.attach(options);
}

void wrap(void (*change)(stayline::WrapperOptions&, const std::string&), const std::string& v) {
    stayline::WrapperOptions options = nowhere();
    change(options, v);
    stayline::Wrapper wrapper(options);
}

void serve(World& w, void (*change)(stayline::ServerOptions&, const std::string&),
           const std::string& v) {
    stayline::ServerOptions options;
    change(options, v);
    (void)w.owner.serve("127.0.0.1:0", options);
}

void fail(World& w, void (*change)(stayline::FailOptions&, const std::string&),
          const std::string& v) {
    stayline::FailOptions options;
    change(options, v);
    w.session.fail("e", "m", options);
}

void job(void (*change)(stayline::Job&, const std::string&), const std::string& v) {
    stayline::Wrapper wrapper(nowhere());
    stayline::Job options;
    change(options, v);
    wrapper.start_job(options);
}

Try by_wrapper(void (*call)(stayline::Wrapper&, const std::string&)) {
    return [call](World&, const std::string& v) {
        stayline::Wrapper wrapper(nowhere());
        call(wrapper, v);
    };
}

Try by_machine(void (*call)(stayline::sansio::Wrapper&, const std::string&)) {
    return [call](World&, const std::string& v) {
        stayline::sansio::Wrapper machine;
        machine.open("e", epoch);
        call(machine, v);
    };
}

using V = const std::string&;

const std::vector<std::pair<const char*, Try>> ways{
    {"open_it", [](World&, V v) { Coordinator made(v); }},
    {"open_path", [](World&, V v) { Coordinator made("sqlite:/nowhere/" + v); }},
    {"session_id", [](World& w, V v) { w.owner.session(v); }},
    {"issue_ticket", [](World& w, V v) { w.owner.issue_ticket(v, 1s); }},
    {"verify_ticket", [](World& w, V v) { w.owner.verify_ticket("s", v); }},
    {"serve_address", [](World& w, V v) { (void)w.owner.serve(v); }},
    {"serve_key", [](World& w, V v) { serve(w, [](auto& o, V k) { o.key = k; }, v); }},
    {"serve_origin",
     [](World& w, V v) { serve(w, [](auto& o, V k) { o.allowed_origins = {k}; }, v); }},
    {"serve_base_path",
     [](World& w, V v) { serve(w, [](auto& o, V k) { o.base_path = k; }, v); }},
    {"serve_certificate",
     [](World& w, V v) {
         serve(w, [](auto& o, V k) { o.tls_certificate = o.tls_key = k; }, v);
     }},
    {"start_id", [](World& w, V v) { start(w, {v, std::nullopt, std::nullopt}); }},
    {"start_mode", [](World& w, V v) { start(w, {std::nullopt, v, std::nullopt}); }},
    {"start_token", [](World& w, V v) { start(w, {std::nullopt, std::nullopt, v}); }},
    {"attach_id", [](World& w, V v) { attach(w, [](auto& o, V k) { o.execution_id = k; }, v); }},
    {"attach_token", [](World& w, V v) { attach(w, [](auto& o, V k) { o.token = k; }, v); }},
    {"attach_producer",
     [](World& w, V v) { attach(w, [](auto& o, V k) { o.producer = k; }, v); }},
    {"fail_id", [](World& w, V v) { w.session.fail(v, "m"); }},
    {"fail_type", [](World& w, V v) { fail(w, [](auto& o, V k) { o.event_type = k; }, v); }},
    {"fail_payload", [](World& w, V v) { fail(w, [](auto& o, V k) { o.payload = k; }, v); }},
    {"finish_id", [](World& w, V v) { w.session.finish(v, stayline::ExecutionStatus::failed); }},
    {"interrupt",
     [](World& w, V v) {
         stayline::InterruptOptions options;
         options.execution_id = v;
         w.session.interrupt(options);
     }},
    {"clear_interrupt", [](World& w, V v) { w.session.clear_interrupt(v); }},
    {"heartbeat", [](World& w, V v) { w.session.heartbeat(v); }},
    {"lease", [](World& w, V v) { w.session.lease("e", v); }},
    {"lease_message", [](World& w, V v) { w.session.lease("e", "l", v); }},
    {"extend_lease", [](World& w, V v) { w.session.extend_lease("e", v); }},
    {"release_lease", [](World& w, V v) { w.session.release_lease(v, "l"); }},
    {"execution", [](World& w, V v) { w.session.execution(v); }},
    {"status_of", [](World& w, V v) { w.session.status(v); }},
    {"health_of", [](World& w, V v) { w.session.health(v); }},
    {"events_type",
     [](World& w, V v) {
         stayline::EventFilter filter;
         filter.types = {v};
         w.session.events(filter);
     }},
    {"count_events",
     [](World& w, V v) {
         stayline::EventFilter filter;
         filter.executions = {v};
         w.session.count_events(filter);
     }},
    {"subscribe_until",
     [](World& w, V v) {
         stayline::SubscribeOptions options;
         options.until = v;
         (void)w.session.subscribe(options);
     }},
    {"subscribe_epoch",
     [](World& w, V v) {
         stayline::SubscribeOptions options;
         options.epoch = v;
         (void)w.session.subscribe(options);
     }},
    {"wrapper_url", [](World&, V v) { wrap([](auto& o, V k) { o.url = k; }, v); }},
    {"wrapper_session", [](World&, V v) { wrap([](auto& o, V k) { o.session_id = k; }, v); }},
    {"wrapper_execution", [](World&, V v) { wrap([](auto& o, V k) { o.execution_id = k; }, v); }},
    {"wrapper_token", [](World&, V v) { wrap([](auto& o, V k) { o.token = k; }, v); }},
    {"wrapper_proxy", [](World&, V v) { wrap([](auto& o, V k) { o.proxy = k; }, v); }},
    {"send_type", by_wrapper([](auto& wrapper, V v) { wrapper.try_send(v, "{}"); })},
    {"send_data", by_wrapper([](auto& wrapper, V v) { wrapper.try_send("output", v); })},
    {"complete_branch", by_wrapper([](auto& wrapper, V v) { wrapper.complete(0, v); })},
    {"agent_event_type", by_wrapper([](auto& wrapper, V v) { wrapper.agent_event(v, "{}"); })},
    {"agent_event_properties",
     by_wrapper([](auto& wrapper, V v) { wrapper.agent_event("x", v); })},
    {"task_done", by_wrapper([](auto& wrapper, V v) { wrapper.task_done(v); })},
    {"job_execution", [](World&, V v) { job([](auto& o, V k) { o.execution_id = k; }, v); }},
    {"job_agent_session", [](World&, V v) { job([](auto& o, V k) { o.agent_session = k; }, v); }},
    {"job_branch", [](World&, V v) { job([](auto& o, V k) { o.branch = k; }, v); }},
    {"job_task", [](World&, V v) { job([](auto& o, V k) { o.tasks = {k}; }, v); }},
    {"setting_name", [](World&, V v) { stayline::Settings().set(v, "1"); }},
    {"setting_value", [](World&, V v) { stayline::Settings().set("overflow", v); }},
    {"receive", [](World& w, V v) { w.linked().receive(v); }},
    {"receive_many", [](World& w, V v) { w.linked().receive_many({"{}", v}); }},
    {"sansio_open",
     [](World&, V v) {
         stayline::sansio::Wrapper machine;
         machine.open(v, epoch);
     }},
    {"sansio_type", by_machine([](auto& machine, V v) { machine.send(v, "{}", epoch); })},
    {"sansio_data", by_machine([](auto& machine, V v) { machine.send("output", v, epoch); })},
    {"sansio_frame", by_machine([](auto& machine, V v) { machine.handle_frame(1, v, epoch); })},
    {"sansio_agent_event",
     by_machine([](auto& machine, V v) { machine.handle_agent_event("x", v, epoch); })},
};

void try_texts() {
    for (const auto& [way, call] : ways) {
        for (const auto& [kind, value] : texts) {
            World world;
            std::string name = "Ok";
            std::string json;
            try {
                call(world, value);
            } catch (const stayline::Error& error) {
                name = error.name();
                json = error.json();
            }
            std::printf("in\t%s\t%s\t%s\t%s\n", way, kind, name.c_str(), json.c_str());
        }
    }
}

// --- what JSON can say and no number or string can hold -------------------------------------------

const std::vector<Text> values{
    {"half of a pair", R"("a\ud83d")"},
    {"half as a name", R"({"\udc00":["\ud800\ud800"]})"},
    {"a pair", R"("\ud83d\ude00")"},
    {"a NUL", R"("a\u0000b")"},
    {"thousands of digits", std::string(5000, '9')},
    {"beyond 64 bits", "[1180591620717411303424,-9223372036854775809]"},
    {"beyond all numbers", "[1e999,-1e999]"},
    {"many places", "0.1000000000000000055511151231257827021181583404541015625"},
};

/// Waits for the first event of a type on a stream, and reads it from the past too.
void print_stored(Session& session, const char* way, const char* kind, std::string_view type) {
    stayline::Subscription stream = session.subscribe();
    std::optional<stayline::Event> event;
    do {
        event = stream.next(patience);
    } while (event && (event->control() || event->type() != type));
    if (!event) {
        std::fprintf(stderr, "%s, %s: no %s came\n", way, kind, std::string(type).c_str());
        std::_Exit(1);
    }
    print_line("kept", way, kind, event->data());
    if (event->frame().find(event->data()) == std::string_view::npos) {
        print_line("frame without its data", way, kind, event->frame());
    }
    stayline::EventFilter filter;
    filter.types = {std::string(type)};
    for (const stayline::Event& past : session.events(filter)) {
        if (past.data() != event->data()) {
            print_line("another past", way, kind, past.data());
        }
    }
}

struct Connection {
    stayline::Server server;
    stayline::Wrapper wrapper;

    explicit Connection(World& world)
        : server(world.owner.serve("127.0.0.1:0")), wrapper(to(server)) {}

    static stayline::WrapperOptions to(const stayline::Server& server) {
        stayline::WrapperOptions options = nowhere();
        options.url = server.url();
        options.token = "t";
        return options;
    }
};

void try_values() {
    for (const auto& [kind, value] : values) {
        const std::string data = "{\"v\":" + value + "}";
        {
            World world;
            stayline::Link link = world.linked();
            link.receive(R"({"streamEventType":"output","data":)" + data + "}");
            print_stored(world.session, "receive", kind, "output");
        }
        {
            World world;
            fail(world, [](auto& options, V v) { options.payload = v; }, data);
            print_stored(world.session, "fail", kind, "error");
        }
        World world;
        Connection connection(world);
        connection.wrapper.send("output", data);
        connection.wrapper.agent_event("x", data);
        connection.wrapper.complete();
        connection.wrapper.outcome(patience);
        print_stored(world.session, "send", kind, "output");
        print_stored(world.session, "agent_event", kind, "kilocode");
    }
}

// --- texts for people, and what is shown of names -------------------------------------------------

void print_error(World& world, const char* way, const char* kind, const char* id = "e") {
    print_line("said", way, kind, world.session.execution(id).error().value_or(""));
}

void say(const char* way, const Text& text, void (*call)(stayline::Wrapper&, const std::string&)) {
    World world;
    Connection connection(world);
    call(connection.wrapper, text.second);
    connection.wrapper.outcome(patience);
    print_error(world, way, text.first);
}

/// Runs code that raises; its exception goes on.
template <typename Run>
void raising(Run&& run) {
    try {
        run();
    } catch (const std::runtime_error&) {
        return;
    }
    std::fprintf(stderr, "the exception did not go on\n");
    std::_Exit(1);
}

void try_words() {
    for (const Text& text : texts) {
        const auto& [kind, value] = text;
        {
            World world;
            stayline::Link link = world.linked();
            link.closed(1006, value);
            print_line("said", "closed", kind, link.close_state()->reason);
            world.session.fail("e", value);
            print_error(world, "fail", kind);
        }
        {
            World world;
            world.session.finish("e", stayline::ExecutionStatus::failed, value);
            print_error(world, "finish", kind);
        }
        say("wrapper fail", text, [](auto& wrapper, V v) { wrapper.fail(v); });
        say("interrupted", text, [](auto& wrapper, V v) { wrapper.interrupted(v); });
        say("raised", text, [](auto& wrapper, V v) {
            raising([&] { wrapper.run([&]() -> void { throw std::runtime_error(v); }); });
        });
        {
            World world;
            world.session.fail("e", "done");
            stayline::LaunchOptions options;
            options.execution_id = "f";
            raising([&, what = value] {
                world.session.launch(options,
                                     [&](const auto&) { throw std::runtime_error(what); });
            });
            print_error(world, "launch", kind, "f");
        }
        World world;
        try {
            Session other = world.owner.session("t");
            other.start({"f", value, std::nullopt});
            print_line("shown", "mode", kind, other.execution("f").mode().value_or("none"));
        } catch (const stayline::Error&) {
            // Refused: the first table has it.
        }
    }
}

}  // namespace

int main() {
    try_texts();
    try_values();
    try_words();
}
