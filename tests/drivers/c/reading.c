/* The events of a session: the past, and streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <stdlib.h>

/* Says what an event says, and frees it. */
static cJSON *event_json(request *request, stayline_event *event)
{
    stayline_event_info info;
    cJSON *json = NULL;

    info.struct_size = sizeof(info);
    if (request_called(request, stayline_event_get(event, &info, &request->refusal))) {
        json = json_with(json_object(), "id", json_number(info.id));
        json_with(json, "execution", json_text(info.execution_id));
        json_with(json, "type", json_text(info.event_type));
        json_with(json, "timestamp", json_moment(info.timestamp_ms));
        json_with(json, "late", json_flag(info.late));
        json_with(json, "data", json_raw(info.data));
    }
    stayline_event_free(event);
    return json;
}

static cJSON *events(driver *driver, request *request)
{
    stayline_session *session = named_session(driver, request);
    texts types = argument_optional_texts(request, "types");
    texts executions = argument_optional_texts(request, "executions");
    stayline_event_filter filter = stayline_event_filter_default();
    stayline_events *reader = NULL;
    stayline_event *event = NULL;
    cJSON *json = json_list();

    filter.after = argument_optional_number(request, "after", UINT64_MAX, 0);
    filter.types = types.items;
    filter.types_count = types.count;
    filter.executions = executions.items;
    filter.executions_count = executions.count;
    filter.since_ms = argument_optional_integer(request, "since", STAYLINE_NONE);
    filter.until_ms = argument_optional_integer(request, "until", STAYLINE_NONE);
    filter.limit = argument_optional_number(request, "limit", UINT64_MAX, UINT64_MAX);
    if (request_is_fine(request)) {
        request_called(request,
                       stayline_session_events(session, &filter, &reader, &request->refusal));
    }
    while (request_is_fine(request) &&
           request_called(request, stayline_events_next(reader, &event, &request->refusal)) &&
           event != NULL) {
        json_append(json, event_json(request, event));
    }
    stayline_events_free(reader);
    stayline_session_free(session);
    free(types.items);
    free(executions.items);
    return json;
}

static cJSON *subscribe(driver *driver, request *request)
{
    texts types = argument_optional_texts(request, "types");
    stayline_event_filter filter = stayline_event_filter_default();
    stayline_subscribe_options options = stayline_subscribe_options_default();
    stayline_session *session;
    stayline_subscription *stream = NULL;
    stayline_view name;

    filter.after = argument_optional_number(request, "after", UINT64_MAX, 0);
    filter.types = types.items;
    filter.types_count = types.count;
    options.filter = &filter;
    options.epoch = argument_optional_text(request, "epoch");
    name = argument_text(request, "stream");
    session = named_session(driver, request);
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_session_subscribe(session, &options, &stream, &request->refusal))) {
        registry_put(&driver->streams, name, stream);
    }
    stayline_session_free(session);
    free(types.items);
    return NULL;
}

static cJSON *stream_records(driver *driver, request *request)
{
    stayline_view name = argument_text(request, "stream");
    stayline_subscription *stream = NULL;
    stayline_event *event = NULL;
    cJSON *records = json_list();
    cJSON *json = json_with(json_object(), "records", records);

    if (request_is_fine(request)) {
        stream = registry_get(&driver->streams, name);
        if (stream == NULL) {
            request_bad(request, "there is no stream \"%s\"", name.data);
        }
    }
    while (
        request_is_fine(request) &&
        request_called(request, stayline_subscription_next(stream, 0, &event, &request->refusal)) &&
        event != NULL) {
        json_append(records, event_json(request, event));
    }
    return json_with(json, "ended", json_flag(stayline_subscription_is_ended(stream)));
}

const operation_entry reading_operations[] = {
    {"events", events},
    {"subscribe", subscribe},
    {"stream_records", stream_records},
    {NULL, NULL},
};
