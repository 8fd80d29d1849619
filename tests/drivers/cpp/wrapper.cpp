// SPDX-License-Identifier: Apache-2.0
#include "wrapper.hpp"

#include <algorithm>
#include <stayline.hpp>

namespace {

using Machine = stayline::sansio::Wrapper;
using Operation = Json (*)(Machine&, const Arguments&);

stayline::sansio::Seed seed_of(const Arguments& arguments) {
    const std::string digits = arguments.text("seed");
    stayline::sansio::Seed seed{};
    if (digits.size() != 2 * seed.size() ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
        throw BadArgument("argument \"seed\" is \"" + digits + "\", not 32 hex digits");
    }
    for (std::size_t index = 0; index < seed.size(); ++index) {
        seed[index] =
            static_cast<std::uint8_t>(std::stoul(digits.substr(2 * index, 2), nullptr, 16));
    }
    return seed;
}

/// As scenario files have it.
Json tell(const stayline::Signal& signal) {
    using stayline::SignalKind;
    const std::string name(to_string(signal.kind()));
    switch (signal.kind()) {
        case SignalKind::reconnecting: return {{name, signal.attempt()}};
        case SignalKind::disconnected:
        case SignalKind::task: return {{name, nullable(signal.text())}};
        case SignalKind::command:
            return {{name, Json::parse(signal.text().value_or("null"))}};
        case SignalKind::execution_done:
            return {{name,
                     {{"status", name_of(signal.status())},
                      {"error", nullable(signal.text())},
                      {"unacknowledged", signal.unacknowledged()}}}};
        case SignalKind::abort:
            return {{name, {{"signal", to_string(signal.kill_signal())}}}};
        default: return name;
    }
}

Json action_json(const stayline::Action& action) {
    using stayline::ActionKind;
    switch (action.kind()) {
        case ActionKind::connect:
            return {{"connect",
                     {{"attempt", action.attempt()},
                      {"protocol", action.protocol() != 0 ? Json(action.protocol()) : Json()},
                      {"producer", nullable(action.producer())}}}};
        case ActionKind::write:
            return {{"write", {{"attempt", action.attempt()}, {"text", action.text()}}}};
        case ActionKind::close:
            return {{"close",
                     {{"attempt", action.attempt()},
                      {"code", action.code()},
                      {"reason", action.text()}}}};
        case ActionKind::tell: return {{"tell", tell(*action.signal())}};
    }
    return {{"unknown", static_cast<std::int32_t>(action.kind())}};
}

Json poll(Machine& machine, const Arguments&) {
    Json actions = Json::array();
    for (const stayline::Action& action : machine.actions()) {
        actions.push_back(action_json(action));
    }
    return actions;
}

Json next_deadline(Machine& machine, const Arguments&) {
    return moment_json(machine.next_deadline());
}

Json state(Machine& machine, const Arguments&) {
    return {{"state", to_string(machine.state())},
            {"buffered", machine.buffered()},
            {"unacknowledged", machine.unacknowledged()}};
}

Json open(Machine& machine, const Arguments& arguments) {
    machine.open(arguments.text("execution"), arguments.moment("now"));
    return {};
}

Json opened(Machine& machine, const Arguments& arguments) {
    const std::uint8_t protocol = arguments.optional_number<std::uint8_t>("protocol").value_or(0);
    machine.handle_opened(arguments.number<std::uint64_t>("attempt"), protocol,
                          arguments.moment("now"));
    return {};
}

/// A wrapper overlooks words that it does not know; a scenario shall not.
std::optional<std::string> known(const Arguments& arguments, const char* name,
                                 std::initializer_list<const char*> words) {
    const std::optional<std::string> text = arguments.optional_text(name);
    if (text && std::find(words.begin(), words.end(), *text) == words.end()) {
        throw BadArgument("argument \"" + std::string(name) + "\" is no known word");
    }
    return text;
}

Json refused(Machine& machine, const Arguments& arguments) {
    stayline::sansio::Refused refused;
    refused.status = arguments.optional_number<std::uint16_t>("status").value_or(0);
    refused.refusal =
        known(arguments, "refusal",
              {"not_found", "unauthorized", "not_active", "superseded", "bad_request"});
    refused.execution_status =
        known(arguments, "execution_status",
              {"pending", "running", "completed", "failed", "interrupted"});
    machine.handle_refused(arguments.number<std::uint64_t>("attempt"), refused,
                           arguments.moment("now"));
    return {};
}

Json closed(Machine& machine, const Arguments& arguments) {
    machine.handle_closed(arguments.number<std::uint64_t>("attempt"),
                          arguments.number<std::uint16_t>("code"), arguments.text("reason"),
                          arguments.moment("now"));
    return {};
}

Json frame(Machine& machine, const Arguments& arguments) {
    machine.handle_frame(arguments.number<std::uint64_t>("attempt"), arguments.text("text"),
                         arguments.moment("now"));
    return {};
}

Json timeout(Machine& machine, const Arguments& arguments) {
    machine.handle_timeout(arguments.moment("now"));
    return {};
}

Json send(Machine& machine, const Arguments& arguments) {
    stayline::SendOptions options;
    options.droppable = arguments.flag("droppable");
    machine.send(arguments.text("type"), arguments.json("data").value_or("{}"), arguments.moment("now"),
                 options);
    return {};
}

Json close(Machine& machine, const Arguments& arguments) {
    return machine.close(arguments.moment("now"));
}

Json job(Machine& machine, const Arguments& arguments) {
    stayline::Job job;
    job.execution_id = arguments.text("execution");
    job.agent_session = arguments.optional_text("agent_session");
    job.tasks = arguments.optional_texts("tasks").value_or(std::vector<std::string>());
    machine.start_job(job, arguments.moment("now"));
    return {};
}

Json turn(Machine& machine, const Arguments& arguments) {
    return machine.begin_turn(arguments.moment("now"));
}

Json agent(Machine& machine, const Arguments& arguments) {
    machine.handle_agent_event(arguments.text("type"), arguments.json("properties").value_or("{}"),
                               arguments.moment("now"));
    return {};
}

Json task_done(Machine& machine, const Arguments& arguments) {
    machine.handle_task_done(arguments.text("name"), arguments.flag("ok"),
                             arguments.moment("now"));
    return {};
}

Json aborted(Machine& machine, const Arguments& arguments) {
    machine.handle_aborted(arguments.moment("now"));
    return {};
}

const std::map<std::string, Operation> operations{
    {"w_poll", poll},
    {"w_next_deadline", next_deadline},
    {"w_state", state},
    {"w_open", open},
    {"w_opened", opened},
    {"w_refused", refused},
    {"w_closed", closed},
    {"w_frame", frame},
    {"w_timeout", timeout},
    {"w_send", send},
    {"w_close", close},
    {"w_job", job},
    {"w_turn", turn},
    {"w_agent", agent},
    {"w_task_done", task_done},
    {"w_aborted", aborted},
};

}  // namespace

Json WrapperSide::perform(const std::string& operation, const Arguments& arguments) {
    if (operation == "w_new") {
        const stayline::sansio::Seed seed = seed_of(arguments);
        const stayline::Settings settings = arguments.settings();
        machines_.insert_or_assign(arguments.text("wrapper"), Machine(&settings, seed));
        return {};
    }
    if (operation == "w_drop") {
        machines_.erase(arguments.text("wrapper"));
        return {};
    }
    const auto known = operations.find(operation);
    if (known == operations.end()) {
        throw UnknownOperation(operation);
    }
    const std::string name = arguments.text("wrapper");
    const auto machine = machines_.find(name);
    if (machine == machines_.end()) {
        throw BadArgument("there is no wrapper \"" + name + "\"");
    }
    return known->second(machine->second, arguments);
}
