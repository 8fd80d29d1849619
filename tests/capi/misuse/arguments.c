/*
 * Texts, structs and numbers that make no sense; what is NULL or not UTF-8 is in every_call.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _XOPEN_SOURCE 700
#include <stddef.h>

#include "misuse.h"

static void free_twice(void) {
    stayline_settings *settings = settings_with("idle_after_ms", "5");
    stayline_buffer buffer = {NULL, 0};
    stayline_buffer_free(&buffer);
    EXPECT(OK, stayline_settings_json(settings, &buffer, NULL));
    CHECK(buffer.data[buffer.len] == '\0');
    CHECK(strlen(buffer.data) == buffer.len);
    stayline_buffer_free(&buffer);
    CHECK(buffer.data == NULL && buffer.len == 0);
    stayline_buffer_free(&buffer);
    stayline_settings_free(settings);
}

static void strange_ids(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = NULL;
    char longest[300];
    memset(longest, 'i', sizeof longest);
    const stayline_view ids[] = {
        {"", 0}, {"a\0b", 3}, {"a\nb", 3}, {"\0", 1}, {longest, sizeof longest}, {"\x7f", 1}, {NULL, 0},
    };
    for (size_t at = 0; at < sizeof ids / sizeof *ids; at++) {
        EXPECT(INVALID_ARGUMENT,
               stayline_coordinator_session(coordinator, ids[at], &session, NULL));
        CHECK(session == NULL);
    }
    session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    for (size_t at = 0; at + 1 < sizeof ids / sizeof *ids; at++) {
        const stayline_view id = ids[at];
        stayline_start_options options = stayline_start_options_default();
        options.execution_id = id;
        stayline_execution *execution = NULL;
        EXPECT(INVALID_ARGUMENT, stayline_session_start(session, &options, &execution, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_session_fail(session, id, text("m"), NULL, NULL, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_session_heartbeat(session, id, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_session_clear_interrupt(session, id, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_session_release_lease(session, text("e"), id, NULL));
        EXPECT(NOT_FOUND, stayline_session_execution(session, id, &execution, NULL));
    }
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

/* NUL is a character like any other where no id is asked for. */
static void texts_with_a_nul(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    const stayline_view message = {"a\0b", 3};
    EXPECT(OK, stayline_session_fail(session, text("e"), message, NULL, NULL, NULL));
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_session_execution(session, text("e"), &execution, NULL));
    stayline_execution_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    EXPECT(OK, stayline_execution_get(execution, &info, NULL));
    CHECK(info.error.len == 3 && memcmp(info.error.data, "a\0b", 3) == 0);
    stayline_execution_free(execution);
    EXPECT(INVALID_ARGUMENT,
           stayline_session_fail(session, text("e"), message,
                                 &(stayline_fail_options){sizeof(stayline_fail_options), {"", 0},
                                                          {NULL, 0}, false, false},
                                 NULL, NULL));
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

/* A caller that was built when options ended earlier gets the defaults behind. */
static void older_options(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_start_options options = stayline_start_options_default();
    options.struct_size = offsetof(stayline_start_options, mode);
    options.execution_id = text("e");
    options.mode.data = "not looked at";
    options.mode.len = SIZE_MAX;
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_session_start(session, &options, &execution, NULL));
    stayline_execution_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    EXPECT(OK, stayline_execution_get(execution, &info, NULL));
    CHECK(view_is(info.id, "e") && info.mode.data == NULL && info.token.len > 0);
    stayline_execution_free(execution);
    stayline_event_filter filter = stayline_event_filter_default();
    filter.struct_size = offsetof(stayline_event_filter, limit);
    filter.limit = 0;
    uint64_t found = 0;
    EXPECT(OK, stayline_session_fail(session, text("e"), text("m"), NULL, NULL, NULL));
    EXPECT(OK, stayline_session_count_events(session, &filter, &found, NULL));
    CHECK(found > 0);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void unknown_numbers(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    const int32_t unknown[] = {-1, 6, 99999, INT32_MIN, INT32_MAX};
    for (size_t at = 0; at < sizeof unknown / sizeof *unknown; at++) {
        stayline_executions *executions = NULL;
        EXPECT(INVALID_ARGUMENT,
               stayline_session_executions(session, unknown[at], 1, &executions, NULL));
        EXPECT(INVALID_ARGUMENT, stayline_session_finish(session, text("e"), unknown[at], no_text,
                                                         STAYLINE_NONE, NULL));
        EXPECT(INVALID_ARGUMENT,
               stayline_coordinator_fail_next_commit(coordinator, unknown[at], NULL));
    }
    EXPECT(INVALID_ARGUMENT,
           stayline_session_finish(session, text("e"), 0, no_text, STAYLINE_NONE, NULL));
    stayline_interrupt_options options = stayline_interrupt_options_default();
    options.grace_ms = -3;
    EXPECT(INVALID_ARGUMENT, stayline_session_interrupt(session, &options, NULL, NULL));
    options.grace_ms = INT64_MAX;
    EXPECT(INVALID_ARGUMENT, stayline_session_interrupt(session, &options, NULL, NULL));
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

/* Nothing that is counted from them overflows. */
static void times_beyond_calendars(void) {
    stayline_clock *clock = NULL;
    EXPECT(INVALID_ARGUMENT, stayline_clock_new(INT64_MAX, &clock, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_new(INT64_MIN, &clock, NULL));
    EXPECT(OK, stayline_clock_new(INT64_MAX / 4, &clock, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_advance(clock, 1, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_suspend(clock, 1, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_set(clock, INT64_MAX, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_advance(clock, INT64_MAX, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_clock_advance(clock, INT64_MIN, NULL));
    stayline_coordinator_options options = stayline_coordinator_options_default();
    options.clock = clock;
    stayline_coordinator *coordinator = NULL;
    EXPECT(OK, stayline_coordinator_open(text("memory:"), &options, &coordinator, NULL));
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    stayline_link *link = attach(session, "e");
    EXPECT(OK, stayline_link_receive_binary(link, SIZE_MAX, NULL));
    EXPECT(INVALID_ARGUMENT,
           stayline_session_finish(session, text("e"), STAYLINE_EXECUTION_STATUS_COMPLETED,
                                   no_text, INT64_MAX, NULL));
    EXPECT(INVALID_ARGUMENT,
           stayline_session_finish(session, text("e"), STAYLINE_EXECUTION_STATUS_COMPLETED,
                                   no_text, INT64_MIN + 1, NULL));
    EXPECT(OK, stayline_session_finish(session, text("e"), STAYLINE_EXECUTION_STATUS_COMPLETED,
                                       no_text, -(INT64_MAX / 4), NULL));
    /* Late, and counted from there. */
    EXPECT(OK, stayline_link_receive(
                   link, text("{\"streamEventType\":\"complete\",\"data\":{}}"), NULL));
    EXPECT(OK, stayline_coordinator_handle_due(coordinator, NULL));
    stayline_buffer ticket = {NULL, 0};
    EXPECT(INVALID_ARGUMENT, stayline_coordinator_issue_ticket(coordinator, text("s"), INT64_MAX,
                                                               &ticket, NULL));
    EXPECT(INVALID_ARGUMENT,
           stayline_coordinator_issue_ticket(coordinator, text("s"), -1, &ticket, NULL));
    stayline_link_free(link);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
    stayline_clock_free(clock);
    stayline_sansio *sansio = NULL;
    EXPECT(OK, stayline_sansio_new(NULL, NULL, &sansio, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_sansio_open(sansio, text("e"), true, INT64_MAX, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_sansio_open(sansio, text("e"), true, INT64_MIN, NULL));
    EXPECT(OK, stayline_sansio_open(sansio, text("e"), true, INT64_MAX / 4, NULL));
    EXPECT(INVALID_ARGUMENT, stayline_sansio_handle_timeout(sansio, INT64_MAX, NULL));
    EXPECT(OK, stayline_sansio_handle_opened(sansio, UINT64_MAX, 255, 0, NULL));
    EXPECT(OK, stayline_sansio_handle_closed(sansio, 1, 65535, no_text, INT64_MAX / 4, NULL));
    stayline_sansio_free(sansio);
}

static void largest_numbers_in(const char *location) {
    stayline_coordinator *coordinator = NULL;
    EXPECT(OK, stayline_coordinator_open(text(location), NULL, &coordinator, NULL));
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    stayline_attach_options attach_options = stayline_attach_options_default();
    attach_options.execution_id = text("e");
    attach_options.trusted = true;
    attach_options.acknowledged = true;
    attach_options.producer = text("p");
    attach_options.attempt = UINT64_MAX;
    stayline_link *link = NULL;
    EXPECT(OK, stayline_session_attach(session, &attach_options, &link, NULL));
    EXPECT(OK, stayline_link_receive(
                   link,
                   text("{\"streamEventType\":\"x\",\"data\":{},\"seq\":18446744073709551615}"),
                   NULL));
    stayline_link_free(link);
    stayline_executions *executions = NULL;
    EXPECT(OK, stayline_session_executions(session, 0, SIZE_MAX, &executions, NULL));
    CHECK(stayline_executions_count(executions) == 1);
    CHECK(stayline_executions_at(executions, SIZE_MAX) == NULL);
    stayline_executions_free(executions);
    stayline_session_snapshots *sessions = NULL;
    EXPECT(OK, stayline_coordinator_sessions(coordinator, SIZE_MAX, &sessions, NULL));
    CHECK(stayline_session_snapshots_count(sessions) == 1);
    CHECK(stayline_session_snapshots_at(sessions, 1) == NULL);
    stayline_session_snapshots_free(sessions);
    stayline_event_filter filter = stayline_event_filter_default();
    filter.after = UINT64_MAX;
    filter.since_ms = INT64_MAX;
    filter.until_ms = INT64_MIN + 1;
    uint64_t found = 1;
    EXPECT(OK, stayline_session_count_events(session, &filter, &found, NULL));
    CHECK(found == 0);
    stayline_events *events = NULL;
    stayline_event *event = NULL;
    EXPECT(OK, stayline_session_events(session, &filter, &events, NULL));
    EXPECT(OK, stayline_events_next(events, &event, NULL));
    CHECK(event == NULL);
    stayline_events_free(events);
    stayline_subscribe_options options = stayline_subscribe_options_default();
    options.filter = &filter;
    stayline_subscription *subscription = NULL;
    EXPECT(OK, stayline_session_subscribe(session, &options, &subscription, NULL));
    CHECK(stayline_subscription_lag(subscription) <= UINT64_MAX);
    for (int at = 0; at < 3; at++) {
        EXPECT(OK, stayline_subscription_next(subscription, 0, &event, NULL));
        stayline_event_free(event);
    }
    stayline_subscription_free(subscription);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void largest_numbers(void) {
    largest_numbers_in("memory:");
    const char *temporary = getenv("TMPDIR");
    char folder[512], location[600], file[600];
    snprintf(folder, sizeof folder, "%s/stayline-misuse-XXXXXX", temporary ? temporary : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(location, sizeof location, "sqlite:%s/store", folder);
    largest_numbers_in(location);
    const char *const endings[] = {"", "-wal", "-shm", "-owner"};
    for (size_t at = 0; at < sizeof endings / sizeof *endings; at++) {
        snprintf(file, sizeof file, "%s/store%s", folder, endings[at]);
        unlink(file);
    }
    CHECK(rmdir(folder) == 0);
}

static void fields_of_errors(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "first"));
    stayline_execution *execution = NULL;
    stayline_error *error = NULL;
    EXPECT(EXECUTION_IN_PROGRESS, stayline_session_start(session, NULL, &execution, &error));
    CHECK(view_is(stayline_error_text(error, text("active")), "first"));
    CHECK(stayline_error_text(error, text("no such field")).data == NULL);
    int64_t value = 7;
    CHECK(!stayline_error_integer(error, text("active"), &value) && value == 0);
    CHECK(!stayline_error_integer(error, text("active"), NULL));
    CHECK(view_is(stayline_error_name(error), "ExecutionInProgress"));
    CHECK(stayline_error_http_status(error) >= 400);
    stayline_error_free(error);
    /* On OK it is set to NULL, whatever it was. */
    error = (stayline_error *)&value;
    EXPECT(OK, stayline_coordinator_handle_due(coordinator, &error));
    CHECK(error == NULL);
    /* The one of a server that cannot be is there without the server. */
    stayline_server *server = NULL;
    EXPECT(INVALID_ARGUMENT,
           stayline_coordinator_serve(coordinator, text("nowhere"), NULL, &server, &error));
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
    expect_error(STAYLINE_STATUS_INVALID_ARGUMENT, &error);
}

const misuse_case argument_cases[] = {
    {"free_twice", free_twice},
    {"strange_ids", strange_ids},
    {"texts_with_a_nul", texts_with_a_nul},
    {"older_options", older_options},
    {"unknown_numbers", unknown_numbers},
    {"times_beyond_calendars", times_beyond_calendars},
    {"largest_numbers", largest_numbers},
    {"fields_of_errors", fields_of_errors},
    {NULL, NULL},
};
