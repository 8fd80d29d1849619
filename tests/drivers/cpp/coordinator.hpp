// SPDX-License-Identifier: Apache-2.0
//
// The coordinator's operations.
#pragma once

#include <map>

#include "arguments.hpp"

/// One coordinator at a time, and what belongs to it.
class CoordinatorSide {
public:
    /// Forgets everything of the scenario before.
    void reset();

    /// Performs one operation.
    Json perform(const std::string& operation, const Arguments& arguments);

private:
    using Operation = Json (CoordinatorSide::*)(const Arguments&);
    static const std::map<std::string, Operation>& operations();

    Json open(const Arguments& arguments);
    Json abandon(const Arguments& arguments);
    Json set_time(const Arguments& arguments);
    Json suspend(const Arguments& arguments);
    Json next_deadline(const Arguments& arguments);
    Json handle_due(const Arguments& arguments);
    Json fail_next_commit(const Arguments& arguments);
    Json attach(const Arguments& arguments);
    Json receive(const Arguments& arguments);
    Json receive_binary(const Arguments& arguments);
    Json link_closed(const Arguments& arguments);
    Json link_outputs(const Arguments& arguments);
    Json subscribe(const Arguments& arguments);
    Json stream_records(const Arguments& arguments);
    Json notifications(const Arguments& arguments);
    Json take_notification(const Arguments& arguments);
    Json acknowledge_notification(const Arguments& arguments);

    stayline::Coordinator& coordinator();
    stayline::Clock& clock();
    stayline::Link& link(const Arguments& arguments);

    std::optional<stayline::Coordinator> coordinator_;
    std::optional<stayline::Clock> clock_;
    std::map<std::string, stayline::Link> links_;
    std::map<std::string, stayline::Subscription> streams_;
    std::map<std::string, stayline::Notification> taken_;
};
