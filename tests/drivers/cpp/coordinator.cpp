// SPDX-License-Identifier: Apache-2.0
#include "coordinator.hpp"

#include "session.hpp"

using std::chrono::milliseconds;

namespace {

Json notification_json(const stayline::Notification& notification) {
    return {{"notification_id", notification.id()},
            {"kind", to_string(notification.kind())},
            {"session_id", notification.session_id()},
            {"execution_id", nullable(notification.execution_id())},
            {"status", name_of(notification.status())},
            {"error", nullable(notification.error())},
            {"branch", nullable(notification.branch())},
            {"agent_session_id", nullable(notification.agent_session_id())},
            {"attempt", notification.attempt()},
            {"parked", notification.parked()}};
}

}  // namespace

const std::map<std::string, CoordinatorSide::Operation>& CoordinatorSide::operations() {
    static const std::map<std::string, Operation> operations{
        {"open", &CoordinatorSide::open},
        {"abandon", &CoordinatorSide::abandon},
        {"set_time", &CoordinatorSide::set_time},
        {"suspend", &CoordinatorSide::suspend},
        {"next_deadline", &CoordinatorSide::next_deadline},
        {"handle_due", &CoordinatorSide::handle_due},
        {"fail_next_commit", &CoordinatorSide::fail_next_commit},
        {"attach", &CoordinatorSide::attach},
        {"receive", &CoordinatorSide::receive},
        {"receive_binary", &CoordinatorSide::receive_binary},
        {"link_closed", &CoordinatorSide::link_closed},
        {"link_outputs", &CoordinatorSide::link_outputs},
        {"subscribe", &CoordinatorSide::subscribe},
        {"stream_records", &CoordinatorSide::stream_records},
        {"notifications", &CoordinatorSide::notifications},
        {"take_notification", &CoordinatorSide::take_notification},
        {"acknowledge_notification", &CoordinatorSide::acknowledge_notification},
    };
    return operations;
}

void CoordinatorSide::reset() {
    abandon(Arguments(Json::object(), ""));
    clock_.reset();
}

Json CoordinatorSide::perform(const std::string& operation, const Arguments& arguments) {
    const auto found = operations().find(operation);
    if (found != operations().end()) {
        return (this->*found->second)(arguments);
    }
    const SessionOperation on_session = session_operation(operation);
    if (on_session == nullptr) {
        throw UnknownOperation(operation);
    }
    stayline::Session session = coordinator().session(arguments.text("session"));
    return on_session(session, arguments);
}

Json CoordinatorSide::open(const Arguments& arguments) {
    // Every case names a store of its own, so that it is empty without our doing.
    const stayline::Moment now = arguments.moment("now");
    if (!clock_) {
        clock_.emplace(now);
    }
    clock_->set(now);
    const stayline::Settings settings = arguments.settings();
    stayline::CoordinatorOptions options;
    options.settings = &settings;
    options.clock = &*clock_;
    coordinator_.emplace(arguments.text("location"), options);
    return {};
}

Json CoordinatorSide::abandon(const Arguments&) {
    if (coordinator_) {
        coordinator_->abandon();
        coordinator_.reset();
    }
    links_.clear();
    streams_.clear();
    taken_.clear();
    return {};
}

Json CoordinatorSide::set_time(const Arguments& arguments) {
    clock().set(arguments.moment("now"));
    return {};
}

Json CoordinatorSide::suspend(const Arguments& arguments) {
    clock().suspend(milliseconds(arguments.integer("ms")));
    return {};
}

Json CoordinatorSide::next_deadline(const Arguments&) {
    return moment_json(coordinator().next_deadline());
}

Json CoordinatorSide::handle_due(const Arguments&) {
    coordinator().handle_due();
    return {};
}

Json CoordinatorSide::fail_next_commit(const Arguments& arguments) {
    using stayline::CommitOutcome;
    coordinator().fail_next_commit(
        arguments
            .optional_word("outcome", {CommitOutcome::lost, CommitOutcome::unknown_kept,
                                       CommitOutcome::unknown_lost})
            .value_or(CommitOutcome::lost));
    return {};
}

Json CoordinatorSide::attach(const Arguments& arguments) {
    stayline::AttachOptions options;
    options.execution_id = arguments.text("execution");
    options.token = arguments.optional_text("token");
    options.acknowledged = arguments.flag("acknowledged");
    options.producer = arguments.optional_text("producer");
    options.attempt = arguments.optional_number<std::uint64_t>("attempt").value_or(0);
    stayline::Link link = coordinator().session(arguments.text("session")).attach(options);
    links_.insert_or_assign(arguments.text("link"), std::move(link));
    return {};
}

Json CoordinatorSide::receive(const Arguments& arguments) {
    link(arguments).receive(arguments.text("text"));
    return {};
}

Json CoordinatorSide::receive_binary(const Arguments& arguments) {
    link(arguments).receive_binary(arguments.number<std::size_t>("bytes"));
    return {};
}

Json CoordinatorSide::link_closed(const Arguments& arguments) {
    link(arguments).closed(arguments.number<std::uint16_t>("code"), arguments.text("reason"));
    return {};
}

Json CoordinatorSide::link_outputs(const Arguments& arguments) {
    Json outputs = Json::array();
    for (const stayline::Output& output : link(arguments).outputs(milliseconds(0))) {
        if (output.kind() == stayline::OutputKind::close) {
            outputs.push_back({{"close", {{"code", output.code()}, {"reason", output.text()}}}});
        } else {
            outputs.push_back({{"send", output.text()}});
        }
    }
    return outputs;
}

Json CoordinatorSide::subscribe(const Arguments& arguments) {
    stayline::SubscribeOptions options;
    options.filter = filter_of(arguments);
    options.epoch = arguments.optional_text("epoch");
    const stayline::Session session = coordinator().session(arguments.text("session"));
    streams_.insert_or_assign(arguments.text("stream"), session.subscribe(options));
    return {};
}

Json CoordinatorSide::stream_records(const Arguments& arguments) {
    const std::string name = arguments.text("stream");
    const auto found = streams_.find(name);
    if (found == streams_.end()) {
        throw BadArgument("there is no stream \"" + name + "\"");
    }
    Json records = Json::array();
    for (const stayline::Event& record : found->second.take(milliseconds(0))) {
        records.push_back(event_json(record));
    }
    return {{"records", records}, {"ended", found->second.is_ended()}};
}

Json CoordinatorSide::notifications(const Arguments&) {
    Json all = Json::array();
    for (const stayline::Notification& notification : coordinator().notifications()) {
        all.push_back(notification_json(notification));
    }
    return all;
}

Json CoordinatorSide::take_notification(const Arguments&) {
    std::optional<stayline::Notification> taken =
        coordinator().take_notification(milliseconds(0));
    if (!taken) {
        return {};
    }
    Json answer = notification_json(*taken);
    taken_.insert_or_assign(std::string(taken->id()), *std::move(taken));
    return answer;
}

Json CoordinatorSide::acknowledge_notification(const Arguments& arguments) {
    // What is acknowledged is what was taken: an object, not an id.
    const auto found = taken_.find(arguments.text("notification_id"));
    if (found == taken_.end()) {
        throw BadArgument("no notification of this id was taken");
    }
    found->second.ack();
    return {};
}

stayline::Coordinator& CoordinatorSide::coordinator() {
    if (!coordinator_) {
        throw BadArgument("the coordinator is not open");
    }
    return *coordinator_;
}

stayline::Clock& CoordinatorSide::clock() {
    if (!clock_) {
        throw BadArgument("the coordinator was never opened");
    }
    return *clock_;
}

stayline::Link& CoordinatorSide::link(const Arguments& arguments) {
    const std::string name = arguments.text("link");
    const auto found = links_.find(name);
    if (found == links_.end()) {
        throw BadArgument("there is no link \"" + name + "\"");
    }
    return found->second;
}
