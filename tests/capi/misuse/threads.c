/*
 * One object used by many threads at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misuse.h"

#define THREADS 32
#define ROUNDS 20

typedef struct {
    stayline_coordinator *coordinator;
    stayline_session *session;
    stayline_execution *execution;
    stayline_link *link;
    stayline_subscription *subscription;
    stayline_wrapper *wrapper;
    stayline_settings *settings;
    stayline_sansio *sansio;
    counter done;
    counter numbers;
} shared;

static void run_all(void *(*run)(void *), shared *on) {
    pthread_t threads[THREADS];
    for (int at = 0; at < THREADS; at++) {
        threads[at] = begin(run, on);
    }
    for (int at = 0; at < THREADS; at++) {
        end(threads[at]);
    }
}

static int own_number(shared *on) {
    pthread_mutex_lock(&on->numbers.lock);
    int number = on->numbers.value++;
    pthread_mutex_unlock(&on->numbers.lock);
    return number;
}

/* Each on a session of its own, and all on the coordinator's notifications. */
static void *start_fail_and_take(void *argument) {
    shared *on = argument;
    int number = own_number(on);
    char id[32];
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(id, sizeof id, "s%d", number);
        stayline_session *session = session_of(on->coordinator, id);
        snprintf(id, sizeof id, "e%d", round);
        stayline_execution *execution = start(session, id), *ended = NULL;
        int32_t status = 0;
        EXPECT(OK, stayline_session_status(session, no_text, &status, NULL));
        CHECK(status == STAYLINE_EXECUTION_STATUS_PENDING);
        EXPECT(OK, stayline_session_fail(session, text(id), text("m"), NULL, NULL, NULL));
        EXPECT(OK, stayline_execution_wait(execution, PATIENCE_MS, &ended, NULL));
        stayline_notification *notification = NULL;
        EXPECT(OK, stayline_coordinator_take_notification(on->coordinator, PATIENCE_MS,
                                                          &notification, NULL));
        CHECK(notification != NULL);
        EXPECT(OK, stayline_notification_ack(notification, NULL));
        stayline_notification_free(notification);
        stayline_execution_free(ended);
        stayline_execution_free(execution);
        stayline_session_free(session);
    }
    return NULL;
}

static void threads_on_a_coordinator(void) {
    shared on = {0};
    on.numbers = on.done = (counter)COUNTER;
    on.coordinator = open_memory();
    run_all(start_fail_and_take, &on);
    stayline_notification *notification = NULL;
    EXPECT(OK,
           stayline_coordinator_take_notification(on.coordinator, 0, &notification, NULL));
    CHECK(notification == NULL);
    stayline_coordinator_free(on.coordinator);
}

/* All on one session, in each other's way. */
static void *contend(void *argument) {
    shared *on = argument;
    char id[32];
    int number = own_number(on);
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(id, sizeof id, "e%d-%d", number, round);
        stayline_start_options options = stayline_start_options_default();
        options.execution_id = text(id);
        stayline_execution *execution = NULL;
        stayline_status status = stayline_session_start(on->session, &options, &execution, NULL);
        CHECK(status == STAYLINE_STATUS_OK || status == STAYLINE_STATUS_EXECUTION_IN_PROGRESS);
        stayline_buffer active = {NULL, 0};
        EXPECT(OK, stayline_session_active(on->session, &active, NULL));
        stayline_buffer_free(&active);
        stayline_session_snapshot *snapshot = NULL;
        EXPECT(OK, stayline_session_snapshot_get(on->session, &snapshot, NULL));
        (void)stayline_session_snapshot_latest(snapshot);
        stayline_session_snapshot_free(snapshot);
        if (execution != NULL) {
            bool did = false;
            EXPECT(OK,
                   stayline_session_fail(on->session, text(id), text("m"), NULL, &did, NULL));
            CHECK(did);
            count(&on->done);
        }
        stayline_execution_free(execution);
    }
    return NULL;
}

static void threads_on_a_session(void) {
    shared on = {0};
    on.numbers = on.done = (counter)COUNTER;
    on.coordinator = open_memory();
    on.session = session_of(on.coordinator, "s");
    stayline_execution_free(start(on.session, "first"));
    EXPECT(OK, stayline_session_fail(on.session, text("first"), text("m"), NULL, NULL, NULL));
    run_all(contend, &on);
    stayline_executions *executions = NULL;
    EXPECT(OK, stayline_session_executions(on.session, STAYLINE_EXECUTION_STATUS_FAILED, SIZE_MAX,
                                           &executions, NULL));
    CHECK(stayline_executions_count(executions) == (size_t)counted(&on.done) + 1);
    stayline_executions_free(executions);
    stayline_session_free(on.session);
    stayline_coordinator_free(on.coordinator);
}

/* Half of them send on one link, half of them read one subscription: each event once. */
static void *send_or_read(void *argument) {
    shared *on = argument;
    if (own_number(on) % 2 == 0) {
        for (int round = 0; round < ROUNDS; round++) {
            EXPECT(OK, stayline_link_receive(
                           on->link, text("{\"streamEventType\":\"x\",\"data\":{}}"), NULL));
            stayline_output *output = NULL;
            /* At most the close, once all is read. */
            EXPECT(OK, stayline_link_next_output(on->link, 0, &output, NULL));
            stayline_output_free(output);
        }
        return NULL;
    }
    for (;;) {
        stayline_event *event = NULL;
        EXPECT(OK, stayline_subscription_next(on->subscription, -1, &event, NULL));
        (void)stayline_subscription_lag(on->subscription);
        (void)stayline_subscription_last_id(on->subscription);
        if (event == NULL) {
            CHECK(stayline_subscription_is_ended(on->subscription));
            return NULL;
        }
        stayline_event_info info;
        memset(&info, 0, sizeof info);
        info.struct_size = sizeof info;
        EXPECT(OK, stayline_event_get(event, &info, NULL));
        if (view_is(info.event_type, "x")) {
            count(&on->done);
        }
        stayline_event_free(event);
    }
}

static void *end_when_all_is_read(void *argument) {
    shared *on = argument;
    wait_until_counted(&on->done, THREADS / 2 * ROUNDS);
    EXPECT(OK, stayline_session_fail(on->session, text("e"), text("m"), NULL, NULL, NULL));
    return NULL;
}

static void threads_on_a_link_and_a_subscription(void) {
    shared on = {0};
    on.numbers = on.done = (counter)COUNTER;
    on.coordinator = open_memory();
    on.session = session_of(on.coordinator, "s");
    on.execution = start(on.session, "e");
    on.link = attach(on.session, "e");
    stayline_subscribe_options options = stayline_subscribe_options_default();
    options.until = text("e");
    EXPECT(OK, stayline_session_subscribe(on.session, &options, &on.subscription, NULL));
    pthread_t ending = begin(end_when_all_is_read, &on);
    run_all(send_or_read, &on);
    end(ending);
    CHECK(counted(&on.done) == THREADS / 2 * ROUNDS);
    stayline_subscription_free(on.subscription);
    stayline_link_free(on.link);
    stayline_execution_free(on.execution);
    stayline_session_free(on.session);
    stayline_coordinator_free(on.coordinator);
}

static void *send_and_look(void *argument) {
    shared *on = argument;
    for (int round = 0; round < ROUNDS; round++) {
        EXPECT(OK, stayline_wrapper_send(on->wrapper, text("x"), text("{}"), NULL, NULL));
        EXPECT(OK, stayline_wrapper_wait_connected(on->wrapper, PATIENCE_MS, NULL));
        EXPECT(TIMEOUT, stayline_wrapper_outcome(on->wrapper, 0, NULL, NULL, NULL));
        stayline_signal *signal = NULL;
        EXPECT(OK, stayline_wrapper_next_signal(on->wrapper, 0, &signal, NULL));
        stayline_signal_free(signal);
        (void)stayline_wrapper_buffered(on->wrapper);
        EXPECT(OK, stayline_wrapper_flush(on->wrapper, PATIENCE_MS, NULL));
    }
    return NULL;
}

static void threads_on_a_wrapper(void) {
    shared on = {0};
    on.numbers = on.done = (counter)COUNTER;
    on.coordinator = open_memory();
    on.session = session_of(on.coordinator, "s");
    on.execution = start(on.session, "e");
    stayline_server *server = serve(on.coordinator);
    on.wrapper = wrap(server, "s", "e", text("secret"));
    run_all(send_and_look, &on);
    EXPECT(OK, stayline_wrapper_complete(on.wrapper, 0, no_text, NULL));
    EXPECT(OK, stayline_wrapper_outcome(on.wrapper, PATIENCE_MS, NULL, NULL, NULL));
    const stayline_view types[] = {text("x")};
    stayline_event_filter filter = stayline_event_filter_default();
    filter.types = types;
    filter.types_count = 1;
    uint64_t stored = 0;
    EXPECT(OK, stayline_session_count_events(on.session, &filter, &stored, NULL));
    CHECK(stored == THREADS * ROUNDS);
    stayline_wrapper_free(on.wrapper);
    stayline_server_free(server);
    stayline_execution_free(on.execution);
    stayline_session_free(on.session);
    stayline_coordinator_free(on.coordinator);
}

static void *change_and_copy(void *argument) {
    shared *on = argument;
    for (int round = 0; round < ROUNDS; round++) {
        EXPECT(OK, stayline_settings_set(on->settings, text("idle_after_ms"), text("7"), NULL));
        stayline_buffer json = {NULL, 0};
        EXPECT(OK, stayline_settings_get(on->settings, text("idle_after_ms"), &json, NULL));
        CHECK(strcmp(json.data, "7") == 0);
        stayline_buffer_free(&json);
        EXPECT(OK, stayline_settings_check(on->settings, NULL));
        EXPECT(OK, stayline_sansio_send(on->sansio, text("x"), no_text, NULL, 0, NULL));
        stayline_action *action = NULL;
        EXPECT(OK, stayline_sansio_poll_action(on->sansio, &action, NULL));
        stayline_action_free(action);
        (void)stayline_sansio_next_deadline(on->sansio);
        stayline_execution_info info;
        memset(&info, 0, sizeof info);
        info.struct_size = sizeof info;
        EXPECT(OK, stayline_execution_get(on->execution, &info, NULL));
        CHECK(view_is(info.id, "e"));
        int fd = -1;
        EXPECT(OK, stayline_execution_fd(on->execution, &fd, NULL));
        EXPECT(TIMEOUT, stayline_execution_wait(on->execution, 0, NULL, NULL));
        CHECK(fd >= 0);
    }
    return NULL;
}

static void threads_on_what_does_not_change(void) {
    shared on = {0};
    on.numbers = on.done = (counter)COUNTER;
    on.settings = settings_with("idle_after_ms", "7");
    on.coordinator = open_memory();
    on.session = session_of(on.coordinator, "s");
    on.execution = start(on.session, "e");
    EXPECT(OK, stayline_sansio_new(NULL, NULL, &on.sansio, NULL));
    run_all(change_and_copy, &on);
    CHECK(stayline_sansio_buffered(on.sansio) == THREADS * ROUNDS);
    stayline_sansio_free(on.sansio);
    stayline_execution_free(on.execution);
    stayline_session_free(on.session);
    stayline_coordinator_free(on.coordinator);
    stayline_settings_free(on.settings);
}

const misuse_case thread_cases[] = {
    {"threads_on_a_coordinator", threads_on_a_coordinator},
    {"threads_on_a_session", threads_on_a_session},
    {"threads_on_a_link_and_a_subscription", threads_on_a_link_and_a_subscription},
    {"threads_on_a_wrapper", threads_on_a_wrapper},
    {"threads_on_what_does_not_change", threads_on_what_does_not_change},
    {NULL, NULL},
};
