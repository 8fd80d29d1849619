// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <map>

using stayline::ExecutionStatus;
using stayline::Session;

namespace {

Json start(Session& session, const Arguments& arguments) {
    const stayline::Execution execution =
        session.start({arguments.optional_text("execution"), arguments.optional_text("mode"),
                       arguments.optional_text("token")});
    return {{"execution_id", execution.id()}, {"token", nullable(execution.token())}};
}

Json fail(Session& session, const Arguments& arguments) {
    stayline::FailOptions options;
    options.event_type = arguments.optional_text("event_type");
    options.payload = arguments.optional_object("payload");
    options.suppress_notification = arguments.flag("suppress_notification");
    const std::string message = arguments.text("message");
    return session.fail(arguments.text("execution"), message, options);
}

Json finish(Session& session, const Arguments& arguments) {
    const auto status = arguments.optional_word(
        "status", {ExecutionStatus::pending, ExecutionStatus::running, ExecutionStatus::completed,
                   ExecutionStatus::failed, ExecutionStatus::interrupted});
    if (!status) {
        throw BadArgument("argument \"status\" is missing");
    }
    session.finish(arguments.text("execution"), *status, arguments.optional_text("message"));
    return {};
}

Json interrupt(Session& session, const Arguments& arguments) {
    stayline::InterruptOptions options;
    if (const auto grace = arguments.optional_integer("grace")) {
        options.grace = std::chrono::milliseconds(*grace);
    } else if (arguments.given("grace") != nullptr) {
        options.grace = stayline::grace_never;
    }
    options.execution_id = arguments.optional_text("execution");
    options.escalate = arguments.flag("escalate");
    return to_string(session.interrupt(options));
}

Json clear_interrupt(Session& session, const Arguments& arguments) {
    session.clear_interrupt(arguments.optional_text("execution"));
    return {};
}

Json heartbeat(Session& session, const Arguments& arguments) {
    session.heartbeat(arguments.text("execution"));
    return {};
}

Json lease_json(const stayline::Lease& lease) {
    return {{"lease_id", lease.lease_id()},
            {"message_id", nullable(lease.message_id())},
            {"expires_at", moment_json(lease.expires_at())}};
}

Json lease_acquire(Session& session, const Arguments& arguments) {
    return lease_json(session.lease(arguments.text("execution"), arguments.text("lease_id"),
                                    arguments.optional_text("message_id")));
}

Json lease_extend(Session& session, const Arguments& arguments) {
    return lease_json(
        session.extend_lease(arguments.text("execution"), arguments.text("lease_id")));
}

Json lease_release(Session& session, const Arguments& arguments) {
    session.release_lease(arguments.text("execution"), arguments.text("lease_id"));
    return {};
}

Json delete_session(Session& session, const Arguments&) {
    session.remove();
    return {};
}

Json look(Session& session, const Arguments&) {
    const stayline::SessionSnapshot snapshot = session.snapshot();
    return {{"branch", nullable(snapshot.branch())},
            {"agent_session_id", nullable(snapshot.agent_session_id())},
            {"active", nullable(snapshot.active())},
            {"grace", snapshot.grace()},
            {"link_attached", snapshot.link_attached()}};
}

Json execution(Session& session, const Arguments& arguments) {
    const stayline::Execution found = session.execution(arguments.text("execution"));
    const bool running = found.health() != stayline::Health::none;
    return {{"status", to_string(found.status())},
            {"message", nullable(found.error())},
            {"health", running ? Json(to_string(found.health())) : Json()},
            {"interrupt_requested", found.interrupt_requested()},
            {"completed_at", moment_json(found.completed_at())},
            {"last_heartbeat_at", moment_json(found.last_heartbeat_at())},
            {"exit_code", found.exit_code() ? Json(*found.exit_code()) : Json()}};
}

Json events(Session& session, const Arguments& arguments) {
    stayline::EventFilter filter = filter_of(arguments);
    filter.executions = arguments.optional_texts("executions");
    filter.since = arguments.optional_moment("since");
    filter.until = arguments.optional_moment("until");
    filter.limit = arguments.optional_number<std::uint64_t>("limit");
    Json found = Json::array();
    for (const stayline::Event& event : session.events(filter)) {
        found.push_back(event_json(event));
    }
    return found;
}

}  // namespace

SessionOperation session_operation(const std::string& name) {
    static const std::map<std::string, SessionOperation> operations{
        {"start", start},
        {"fail", fail},
        {"finish", finish},
        {"interrupt", interrupt},
        {"clear_interrupt", clear_interrupt},
        {"heartbeat", heartbeat},
        {"lease_acquire", lease_acquire},
        {"lease_extend", lease_extend},
        {"lease_release", lease_release},
        {"delete_session", delete_session},
        {"session", look},
        {"execution", execution},
        {"events", events},
    };
    const auto found = operations.find(name);
    return found != operations.end() ? found->second : nullptr;
}

stayline::EventFilter filter_of(const Arguments& arguments) {
    stayline::EventFilter filter;
    filter.after = arguments.optional_number<std::uint64_t>("after").value_or(0);
    filter.types = arguments.optional_texts("types");
    return filter;
}

Json event_json(const stayline::Event& event) {
    // What is stored is JSON; if it were not, the comparison shall say so.
    Json data = Json::parse(event.data(), nullptr, false);
    if (data.is_discarded()) {
        data = {{"not JSON", event.data()}};
    }
    return {{"id", event.id()},
            {"execution", nullable(event.execution_id())},
            {"type", event.type()},
            {"timestamp", moment_json(event.timestamp())},
            {"late", event.late()},
            {"data", data}};
}
