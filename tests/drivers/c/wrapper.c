/* The wrapper's operations: its sans-IO machine, with the scenario as its network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of 32 hex digits, in the order in which they are written. */
static void read_seed(request *request, uint8_t seed[16])
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    stayline_view text = argument_text(request, "seed");
    size_t place;

    memset(seed, 0, 16);
    if (text.len != 32) {
        request_bad(request, "argument \"seed\" is not 32 hex digits");
        return;
    }
    for (place = 0; place < text.len; place++) {
        const char *digit = strchr(digits, text.data[place]);

        if (digit == NULL || *digit == '\0') {
            request_bad(request, "argument \"seed\" is not 32 hex digits");
            return;
        }
        seed[place / 2] = (uint8_t)(seed[place / 2] << 4 | ((digit - digits) % 16));
    }
}

static stayline_sansio *named_wrapper(driver *driver, request *request)
{
    stayline_view name = argument_text(request, "wrapper");
    stayline_sansio *machine = NULL;

    if (request_is_fine(request)) {
        machine = registry_get(&driver->wrappers, name);
        if (machine == NULL) {
            request_bad(request, "there is no wrapper \"%s\"", name.data);
        }
    }
    return machine;
}

/* --- its life -------------------------------------------------------------------------------- */

static cJSON *make(driver *driver, request *request)
{
    stayline_sansio *machine = NULL;
    stayline_settings *settings;
    stayline_view name;
    uint8_t seed[16];

    read_seed(request, seed);
    settings = argument_settings(request);
    name = argument_text(request, "wrapper");
    if (request_is_fine(request) &&
        request_called(request, stayline_sansio_new(settings, seed, &machine, &request->refusal))) {
        registry_put(&driver->wrappers, name, machine);
    }
    stayline_settings_free(settings);
    return NULL;
}

static cJSON *drop(driver *driver, request *request)
{
    stayline_view name = argument_text(request, "wrapper");

    if (request_is_fine(request)) {
        registry_remove(&driver->wrappers, name);
    }
    return NULL;
}

static cJSON *open(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_view execution = argument_text(request, "execution");
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request,
                       stayline_sansio_open(machine, execution, false, now, &request->refusal));
    }
    return NULL;
}

static cJSON *close(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    int64_t now = argument_integer(request, "now");
    uint64_t given_up = 0;

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_close(machine, now, &given_up, &request->refusal));
    }
    return json_number(given_up);
}

static cJSON *state(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_view name;
    cJSON *json;

    if (!request_is_fine(request)) {
        return NULL;
    }
    name = stayline_wrapper_state_name(stayline_sansio_state(machine));
    json = json_with(json_object(), "state", json_text(name));
    json_with(json, "buffered", json_number(stayline_sansio_buffered(machine)));
    return json_with(json, "unacknowledged", json_number(stayline_sansio_unacknowledged(machine)));
}

/* --- its network and its clock --------------------------------------------------------------- */

static cJSON *opened(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    uint8_t protocol = (uint8_t)argument_optional_number(request, "protocol", UINT8_MAX, 0);
    uint64_t attempt = argument_number(request, "attempt", UINT64_MAX);
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_opened(machine, attempt, protocol, now,
                                                              &request->refusal));
    }
    return NULL;
}

static cJSON *refused(driver *driver, request *request)
{
    static const char *const words[] = {"not_found",  "unauthorized", "not_active",
                                        "superseded", "bad_request",  NULL};
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_refused refused = stayline_refused_default();
    uint64_t attempt;
    int64_t now;

    refused.status = (uint16_t)argument_optional_number(request, "status", UINT16_MAX, 0);
    /* A wrapper overlooks words that it does not know; a scenario shall not. */
    argument_optional_word(request, "refusal", words);
    argument_optional_status(request, "execution_status");
    refused.refusal = argument_optional_text(request, "refusal");
    refused.execution_status = argument_optional_text(request, "execution_status");
    attempt = argument_number(request, "attempt", UINT64_MAX);
    now = argument_integer(request, "now");
    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_refused(machine, attempt, &refused, now,
                                                               &request->refusal));
    }
    return NULL;
}

static cJSON *closed(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    uint16_t code = (uint16_t)argument_number(request, "code", UINT16_MAX);
    stayline_view reason = argument_text(request, "reason");
    uint64_t attempt = argument_number(request, "attempt", UINT64_MAX);
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_closed(machine, attempt, code, reason, now,
                                                              &request->refusal));
    }
    return NULL;
}

static cJSON *frame(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_view text = argument_text(request, "text");
    uint64_t attempt = argument_number(request, "attempt", UINT64_MAX);
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(
            request, stayline_sansio_handle_frame(machine, attempt, text, now, &request->refusal));
    }
    return NULL;
}

static cJSON *next_deadline(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);

    return request_is_fine(request) ? json_moment(stayline_sansio_next_deadline(machine)) : NULL;
}

static cJSON *timeout(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_timeout(machine, now, &request->refusal));
    }
    return NULL;
}

/* --- its host -------------------------------------------------------------------------------- */

static cJSON *send(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    const argument *data = argument_given(request, "data");
    stayline_send_options options = stayline_send_options_default();
    stayline_view event_type;
    int64_t now;

    options.droppable = argument_flag(request, "droppable");
    event_type = argument_text(request, "type");
    now = argument_integer(request, "now");
    if (request_is_fine(request)) {
        request_called(request,
                       stayline_sansio_send(machine, event_type,
                                            data == NULL ? stayline_view_of(NULL) : data->raw,
                                            &options, now, &request->refusal));
    }
    return NULL;
}

static cJSON *start_job(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    texts tasks = argument_optional_texts(request, "tasks");
    stayline_job job = stayline_job_default();
    int64_t now;

    job.execution_id = argument_text(request, "execution");
    job.agent_session = argument_optional_text(request, "agent_session");
    job.tasks = tasks.items;
    job.tasks_count = tasks.count;
    now = argument_integer(request, "now");
    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_start_job(machine, &job, now, &request->refusal));
    }
    free(tasks.items);
    return NULL;
}

static cJSON *begin_turn(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    int64_t now = argument_integer(request, "now");
    stayline_buffer message_id = {NULL, 0};
    stayline_view text;
    cJSON *json;

    if (!request_is_fine(request) ||
        !request_called(request,
                        stayline_sansio_begin_turn(machine, now, &message_id, &request->refusal))) {
        return NULL;
    }
    text.data = message_id.data;
    text.len = message_id.len;
    json = json_text(text);
    stayline_buffer_free(&message_id);
    return json;
}

static cJSON *agent_event(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    const argument *properties = argument_given(request, "properties");
    stayline_view event_type = argument_text(request, "type");
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_agent_event(
                                    machine, event_type,
                                    properties == NULL ? stayline_view_of(NULL) : properties->raw,
                                    now, &request->refusal));
    }
    return NULL;
}

static cJSON *task_done(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_view name = argument_text(request, "name");
    bool ok = argument_flag(request, "ok");
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request,
                       stayline_sansio_handle_task_done(machine, name, ok, now, &request->refusal));
    }
    return NULL;
}

static cJSON *aborted(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    int64_t now = argument_integer(request, "now");

    if (request_is_fine(request)) {
        request_called(request, stayline_sansio_handle_aborted(machine, now, &request->refusal));
    }
    return NULL;
}

/* --- what it wants done ---------------------------------------------------------------------- */

/* As scenario files have it. */
static cJSON *tell_json(request *request, const stayline_signal *signal)
{
    stayline_signal_info info;
    cJSON *done;

    info.struct_size = sizeof(info);
    if (!request_called(request, stayline_signal_get(signal, &info, &request->refusal))) {
        return json_object();
    }
    switch (info.kind) {
    case STAYLINE_SIGNAL_KIND_RECONNECTING:
        return json_with(json_object(), "reconnecting", json_number(info.attempt));
    case STAYLINE_SIGNAL_KIND_DISCONNECTED:
        return json_with(json_object(), "disconnected", json_text(info.text));
    case STAYLINE_SIGNAL_KIND_EXECUTION_DONE:
        done = json_with(json_object(), "status",
                         json_text(stayline_execution_status_name(info.status)));
        json_with(done, "error", json_text(info.text));
        json_with(done, "unacknowledged", json_number(info.unacknowledged));
        return json_with(json_object(), "execution_done", done);
    case STAYLINE_SIGNAL_KIND_COMMAND:
        return json_with(json_object(), "command", json_raw(info.text));
    case STAYLINE_SIGNAL_KIND_TASK:
        return json_with(json_object(), "task", json_text(info.text));
    case STAYLINE_SIGNAL_KIND_ABORT:
        return json_with(
            json_object(), "abort",
            json_with(
                json_object(), "signal",
                json_word(info.kill_signal == STAYLINE_KILL_SIGNAL_KILL ? "SIGKILL" : "SIGTERM")));
    default:
        return json_text(stayline_signal_kind_name(info.kind));
    }
}

static cJSON *action_json(request *request, const stayline_action *action)
{
    stayline_action_info info;
    cJSON *json;

    info.struct_size = sizeof(info);
    if (!request_called(request, stayline_action_get(action, &info, &request->refusal))) {
        return json_object();
    }
    if (info.kind == STAYLINE_ACTION_KIND_TELL) {
        return json_with(json_object(), "tell", tell_json(request, stayline_action_signal(action)));
    }
    json = json_with(json_object(), "attempt", json_number(info.attempt));
    switch (info.kind) {
    case STAYLINE_ACTION_KIND_CONNECT:
        json_with(json, "protocol",
                  info.protocol == 0 ? json_moment(STAYLINE_NONE) : json_number(info.protocol));
        json_with(json, "producer", json_text(info.producer));
        return json_with(json_object(), "connect", json);
    case STAYLINE_ACTION_KIND_WRITE:
        json_with(json, "text", json_text(info.text));
        return json_with(json_object(), "write", json);
    default:
        json_with(json, "code", json_number(info.code));
        json_with(json, "reason", json_text(info.text));
        return json_with(json_object(), "close", json);
    }
}

static cJSON *poll_actions(driver *driver, request *request)
{
    stayline_sansio *machine = named_wrapper(driver, request);
    stayline_action *action = NULL;
    cJSON *json = json_list();

    while (
        request_is_fine(request) &&
        request_called(request, stayline_sansio_poll_action(machine, &action, &request->refusal)) &&
        action != NULL) {
        json_append(json, action_json(request, action));
        stayline_action_free(action);
    }
    return json;
}

const operation_entry wrapper_operations[] = {
    {"w_new", make},
    {"w_drop", drop},
    {"w_open", open},
    {"w_close", close},
    {"w_state", state},
    {"w_opened", opened},
    {"w_refused", refused},
    {"w_closed", closed},
    {"w_frame", frame},
    {"w_next_deadline", next_deadline},
    {"w_timeout", timeout},
    {"w_send", send},
    {"w_job", start_job},
    {"w_turn", begin_turn},
    {"w_agent", agent_event},
    {"w_task_done", task_done},
    {"w_aborted", aborted},
    {"w_poll", poll_actions},
    {NULL, NULL},
};
