/* What is done to one session.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

static cJSON *start(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_start_options options = stayline_start_options_default();
    stayline_execution *execution = NULL;
    stayline_execution_info info;
    cJSON *json = NULL;

    options.execution_id = argument_optional_text(request, "execution");
    options.mode = argument_optional_text(request, "mode");
    options.token = argument_optional_text(request, "token");
    info.struct_size = sizeof(info);
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_session_start(session, &options, &execution, &request->refusal)) &&
        request_called(request, stayline_execution_get(execution, &info, &request->refusal))) {
        json = json_with(json_object(), "execution_id", json_text(info.id));
        json_with(json, "token", json_text(info.token));
    }
    stayline_execution_free(execution);
    stayline_session_free(session);
    return json;
}

static cJSON *fail(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view message = argument_text(request, "message");
    stayline_fail_options options = stayline_fail_options_default();
    stayline_view execution;
    bool did = false;

    options.event_type = argument_optional_text(request, "event_type");
    options.payload = argument_optional_object(request, "payload");
    options.suppress_notification = argument_flag(request, "suppress_notification");
    execution = argument_text(request, "execution");
    if (request_is_fine(request)) {
        request_called(request, stayline_session_fail(session, execution, message, &options, &did,
                                                      &request->refusal));
    }
    stayline_session_free(session);
    return json_flag(did);
}

static cJSON *finish(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    int32_t status = argument_optional_status(request, "status");
    stayline_view message = argument_optional_text(request, "message");
    stayline_view execution = argument_text(request, "execution");

    if (status == 0) {
        request_bad(request, "argument \"status\" is missing");
    }
    if (request_is_fine(request)) {
        request_called(request, stayline_session_finish(session, execution, status, message,
                                                        STAYLINE_NONE, &request->refusal));
    }
    stayline_session_free(session);
    return NULL;
}

/* Not given, the setting holds; null means never. */
static int64_t grace_of(request *request)
{
    if (argument_given(request, "grace") == NULL) {
        return STAYLINE_GRACE_DEFAULT;
    }
    return argument_optional_integer(request, "grace", STAYLINE_GRACE_NEVER);
}

static cJSON *interrupt(driver *driver, request *request)
{
    static const char *const words[] = {NULL, "sent", "latched", "already_terminal"};
    stayline_session *session = named_session(driver, request);
    stayline_interrupt_options options = stayline_interrupt_options_default();
    int32_t verdict = 0;

    options.grace_ms = grace_of(request);
    options.execution_id = argument_optional_text(request, "execution");
    options.escalate = argument_flag(request, "escalate");
    if (request_is_fine(request)) {
        request_called(request,
                       stayline_session_interrupt(session, &options, &verdict, &request->refusal));
    }
    stayline_session_free(session);
    return verdict >= STAYLINE_VERDICT_SENT && verdict <= STAYLINE_VERDICT_ALREADY_TERMINAL
               ? json_word(words[verdict])
               : json_number((uint64_t)verdict);
}

static cJSON *clear_interrupt(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view execution = argument_optional_text(request, "execution");

    if (request_is_fine(request)) {
        request_called(request,
                       stayline_session_clear_interrupt(session, execution, &request->refusal));
    }
    stayline_session_free(session);
    return NULL;
}

static cJSON *heartbeat(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view execution = argument_text(request, "execution");

    if (request_is_fine(request)) {
        request_called(request, stayline_session_heartbeat(session, execution, &request->refusal));
    }
    stayline_session_free(session);
    return NULL;
}

static cJSON *delete_session(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);

    if (request_is_fine(request)) {
        request_called(request, stayline_session_delete(session, &request->refusal));
    }
    stayline_session_free(session);
    return NULL;
}

/* --- leases ---------------------------------------------------------------------------------- */

/* Says what a lease says, and frees it. */
static cJSON *lease_json(request *request, stayline_lease *lease)
{
    stayline_lease_info info;
    cJSON *json = NULL;

    info.struct_size = sizeof(info);
    if (request_called(request, stayline_lease_get(lease, &info, &request->refusal))) {
        json = json_with(json_object(), "lease_id", json_text(info.lease_id));
        json_with(json, "message_id", json_text(info.message_id));
        json_with(json, "expires_at", json_moment(info.expires_at_ms));
    }
    stayline_lease_free(lease);
    return json;
}

static cJSON *lease_acquire(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view execution = argument_text(request, "execution");
    stayline_view lease_id = argument_text(request, "lease_id");
    stayline_view message_id = argument_optional_text(request, "message_id");
    stayline_lease *lease = NULL;
    cJSON *json = NULL;

    if (request_is_fine(request) &&
        request_called(request, stayline_session_lease(session, execution, lease_id, message_id,
                                                       &lease, &request->refusal))) {
        json = lease_json(request, lease);
    }
    stayline_session_free(session);
    return json;
}

static cJSON *lease_extend(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view execution = argument_text(request, "execution");
    stayline_view lease_id = argument_text(request, "lease_id");
    stayline_lease *lease = NULL;
    cJSON *json = NULL;

    if (request_is_fine(request) &&
        request_called(request, stayline_session_extend_lease(session, execution, lease_id, &lease,
                                                              &request->refusal))) {
        json = lease_json(request, lease);
    }
    stayline_session_free(session);
    return json;
}

static cJSON *lease_release(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view execution = argument_text(request, "execution");
    stayline_view lease_id = argument_text(request, "lease_id");

    if (request_is_fine(request)) {
        request_called(request, stayline_session_release_lease(session, execution, lease_id,
                                                               &request->refusal));
    }
    stayline_session_free(session);
    return NULL;
}

/* --- what it says ---------------------------------------------------------------------------- */

static cJSON *view(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_session_snapshot *snapshot = NULL;
    stayline_session_info info;
    cJSON *json = NULL;

    info.struct_size = sizeof(info);
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_session_snapshot_get(session, &snapshot, &request->refusal)) &&
        request_called(request,
                       stayline_session_snapshot_info(snapshot, &info, &request->refusal))) {
        json = json_with(json_object(), "branch", json_text(info.branch));
        json_with(json, "agent_session_id", json_text(info.agent_session_id));
        json_with(json, "active", json_text(info.active));
        json_with(json, "grace", json_flag(info.grace));
        json_with(json, "link_attached", json_flag(info.link_attached));
    }
    stayline_session_snapshot_free(snapshot);
    stayline_session_free(session);
    return json;
}

static cJSON *execution(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    stayline_view id = argument_text(request, "execution");
    stayline_execution *found = NULL;
    stayline_execution_info info;
    cJSON *json = NULL;

    info.struct_size = sizeof(info);
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_session_execution(session, id, &found, &request->refusal)) &&
        request_called(request, stayline_execution_get(found, &info, &request->refusal))) {
        json = json_with(json_object(), "status",
                         json_text(stayline_execution_status_name(info.status)));
        json_with(json, "message", json_text(info.error));
        json_with(json, "health", json_text(stayline_health_name(info.health)));
        json_with(json, "interrupt_requested", json_flag(info.interrupt_requested));
        json_with(json, "completed_at", json_moment(info.completed_at_ms));
        json_with(json, "last_heartbeat_at", json_moment(info.last_heartbeat_at_ms));
        json_with(json, "exit_code", json_moment(info.exit_code));
    }
    stayline_execution_free(found);
    stayline_session_free(session);
    return json;
}

const operation_entry session_operations[] = {
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
    {"session", view},
    {"execution", execution},
    {NULL, NULL},
};
