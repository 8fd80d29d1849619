/* The coordinator's operations: its life, its clock and its notifications.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <string.h>

stayline_coordinator *open_coordinator(driver *driver, request *request)
{
    if (driver->coordinator == NULL) {
        request_bad(request, "the coordinator is not open");
    }
    return driver->coordinator;
}

stayline_session *named_session(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    stayline_view id = argument_text(request, "session");
    stayline_session *session = NULL;

    if (request_is_fine(request)) {
        request_called(request,
                       stayline_coordinator_session(coordinator, id, &session, &request->refusal));
    }
    return session;
}

void abandon_coordinator(driver *driver)
{
    /* Before its links go: their end shall be no news to it. */
    if (driver->coordinator != NULL) {
        stayline_coordinator_abandon(driver->coordinator, NULL);
    }
    registry_clear(&driver->links);
    registry_clear(&driver->streams);
    registry_clear(&driver->notifications);
    stayline_coordinator_free(driver->coordinator);
    driver->coordinator = NULL;
}

/* --- its life -------------------------------------------------------------------------------- */

/* `fresh` asks for nothing: every case names a store of its own, which is empty without our
 * doing. */
static cJSON *open(driver *driver, request *request)
{
    int64_t now = argument_integer(request, "now");
    stayline_view location = argument_text(request, "location");
    stayline_settings *settings = argument_settings(request);
    stayline_coordinator_options options = stayline_coordinator_options_default();
    stayline_coordinator *opened = NULL;

    /* The clock is older than the settings: one that refuses them still shows the time. */
    if (driver->clock == NULL) {
        stayline_clock_new(now, &driver->clock, NULL);
    }
    stayline_clock_set(driver->clock, now, NULL);
    options.settings = settings;
    options.clock = driver->clock;
    if (request_is_fine(request) &&
        request_called(request,
                       stayline_coordinator_open(location, &options, &opened, &request->refusal))) {
        abandon_coordinator(driver);
        driver->coordinator = opened;
    }
    stayline_settings_free(settings);
    return NULL;
}

static cJSON *abandon(driver *driver, request *request)
{
    (void)request;
    abandon_coordinator(driver);
    return NULL;
}

static cJSON *fail_next_commit(driver *driver, request *request)
{
    static const char *const words[] = {"lost", "unknown_kept", NULL};
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    int word = argument_optional_word(request, "outcome", words);
    int32_t outcome =
        word == 1 ? STAYLINE_COMMIT_OUTCOME_UNKNOWN_KEPT : STAYLINE_COMMIT_OUTCOME_LOST;

    if (request_is_fine(request)) {
        request_called(request, stayline_coordinator_fail_next_commit(coordinator, outcome,
                                                                      &request->refusal));
    }
    return NULL;
}

/* --- its clock ------------------------------------------------------------------------------- */

static bool has_clock(driver *driver, request *request)
{
    if (driver->clock == NULL) {
        request_bad(request, "the coordinator was never opened");
    }
    return request_is_fine(request);
}

static cJSON *set_time(driver *driver, request *request)
{
    int64_t now = has_clock(driver, request) ? argument_integer(request, "now") : 0;

    if (request_is_fine(request)) {
        request_called(request, stayline_clock_set(driver->clock, now, &request->refusal));
    }
    return NULL;
}

static cJSON *suspend(driver *driver, request *request)
{
    int64_t ms = has_clock(driver, request) ? argument_integer(request, "ms") : 0;

    if (request_is_fine(request)) {
        request_called(request, stayline_clock_suspend(driver->clock, ms, &request->refusal));
    }
    return NULL;
}

static cJSON *next_deadline(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    int64_t deadline = STAYLINE_NONE;

    if (!request_is_fine(request) ||
        !request_called(request, stayline_coordinator_next_deadline(coordinator, &deadline,
                                                                    &request->refusal))) {
        return NULL;
    }
    return json_moment(deadline);
}

static cJSON *handle_due(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);

    if (request_is_fine(request)) {
        request_called(request, stayline_coordinator_handle_due(coordinator, &request->refusal));
    }
    return NULL;
}

/* --- its notifications ----------------------------------------------------------------------- */

static cJSON *notification_json(request *request, const stayline_notification *notification)
{
    stayline_notification_info info;
    cJSON *json;

    info.struct_size = sizeof(info);
    if (!request_called(request,
                        stayline_notification_get(notification, &info, &request->refusal))) {
        return NULL;
    }
    json = json_with(json_object(), "notification_id", json_text(info.id));
    json_with(json, "kind", json_text(stayline_notification_kind_name(info.kind)));
    json_with(json, "session_id", json_text(info.session_id));
    json_with(json, "execution_id", json_text(info.execution_id));
    json_with(json, "status", json_text(stayline_execution_status_name(info.status)));
    json_with(json, "error", json_text(info.error));
    json_with(json, "branch", json_text(info.branch));
    json_with(json, "agent_session_id", json_text(info.agent_session_id));
    json_with(json, "attempt", json_number(info.attempt));
    return json_with(json, "parked", json_flag(info.parked));
}

static cJSON *notifications(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    stayline_notifications *list = NULL;
    cJSON *json;
    size_t place;

    if (!request_is_fine(request) ||
        !request_called(request, stayline_coordinator_notifications(coordinator, false, &list,
                                                                    &request->refusal))) {
        return NULL;
    }
    json = json_list();
    for (place = 0; place < stayline_notifications_count(list) && request_is_fine(request);
         place++) {
        json_append(json, notification_json(request, stayline_notifications_at(list, place)));
    }
    stayline_notifications_free(list);
    return json;
}

static cJSON *take_notification(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    stayline_notification *taken = NULL;
    stayline_notification_info info;
    cJSON *json;

    if (!request_is_fine(request) ||
        !request_called(request, stayline_coordinator_take_notification(coordinator, 0, &taken,
                                                                        &request->refusal)) ||
        taken == NULL) {
        return NULL;
    }
    json = notification_json(request, taken);
    info.struct_size = sizeof(info);
    if (request_called(request, stayline_notification_get(taken, &info, &request->refusal))) {
        registry_put(&driver->notifications, info.id, taken);
    } else {
        stayline_notification_free(taken);
    }
    return json;
}

static bool has_id(const stayline_notification *notification, stayline_view id)
{
    stayline_notification_info info;

    info.struct_size = sizeof(info);
    return stayline_notification_get(notification, &info, NULL) == STAYLINE_STATUS_OK &&
           info.id.len == id.len && memcmp(info.id.data, id.data, id.len) == 0;
}

/* What is acknowledged in C is an object, not an id: the one that was taken, or else one of the
 * list. */
static cJSON *acknowledge_notification(driver *driver, request *request)
{
    stayline_coordinator *coordinator = open_coordinator(driver, request);
    stayline_view id = argument_text(request, "notification_id");
    stayline_notification *found = NULL;
    stayline_notifications *list = NULL;
    size_t place;

    if (!request_is_fine(request)) {
        return NULL;
    }
    found = registry_get(&driver->notifications, id);
    if (found == NULL &&
        request_called(request, stayline_coordinator_notifications(coordinator, false, &list,
                                                                   &request->refusal))) {
        for (place = 0; place < stayline_notifications_count(list) && found == NULL; place++) {
            found = stayline_notifications_at(list, place);
            found = has_id(found, id) ? found : NULL;
        }
    }
    if (found != NULL) {
        request_called(request, stayline_notification_ack(found, &request->refusal));
    } else {
        request_bad(request, "there is no notification of this id");
    }
    stayline_notifications_free(list);
    return NULL;
}

const operation_entry coordinator_operations[] = {
    {"open", open},
    {"abandon", abandon},
    {"set_time", set_time},
    {"suspend", suspend},
    {"next_deadline", next_deadline},
    {"handle_due", handle_due},
    {"fail_next_commit", fail_next_commit},
    {"notifications", notifications},
    {"take_notification", take_notification},
    {"acknowledge_notification", acknowledge_notification},
    {NULL, NULL},
};
