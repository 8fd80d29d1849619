/*
 * Use after close, and closing while other threads wait: each answers as its comment says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L
#include <netinet/in.h>
#include <sys/socket.h>

#include "misuse.h"

/* --- use after close ------------------------------------------------------------------------------ */

static void coordinator_after(stayline_status (*ending)(stayline_coordinator *, stayline_error **)) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution *execution = start(session, "e"), *other = NULL;
    stayline_link *link = attach(session, "e");
    stayline_subscription *subscription = subscribe(session);
    stayline_lease *lease = NULL, *again = NULL;
    EXPECT(OK, stayline_session_lease(session, text("e"), text("l"), no_text, &lease, NULL));
    stayline_session *ended = session_of(coordinator, "ended");
    stayline_execution_free(start(ended, "e"));
    EXPECT(OK, stayline_session_fail(ended, text("e"), text("m"), NULL, NULL, NULL));
    stayline_notification *notification = NULL;
    EXPECT(OK, stayline_coordinator_take_notification(coordinator, PATIENCE_MS, &notification, NULL));

    CHECK(ending(coordinator, NULL) == STAYLINE_STATUS_OK);
    CHECK(ending(coordinator, NULL) == STAYLINE_STATUS_OK);

    int64_t number = 1;
    int32_t status = 1;
    uint64_t found = 1;
    bool taken = true;
    stayline_buffer buffer;
    stayline_server *server;
    stayline_session_snapshots *sessions;
    stayline_session_snapshot *snapshot;
    stayline_notifications *notifications;
    stayline_notification *taken_one;
    stayline_executions *executions;
    stayline_events *events;
    stayline_subscription *later;
    stayline_link *late;
    EXPECT(CLOSED, stayline_coordinator_next_deadline(coordinator, &number, NULL));
    EXPECT(CLOSED, stayline_coordinator_sessions(coordinator, 1, &sessions, NULL));
    EXPECT(CLOSED, stayline_coordinator_take_notification(coordinator, 0, &taken_one, NULL));
    EXPECT(CLOSED, stayline_coordinator_take_notification(coordinator, -1, &taken_one, NULL));
    EXPECT(CLOSED, stayline_coordinator_notifications(coordinator, false, &notifications, NULL));
    EXPECT(CLOSED, stayline_coordinator_serve(coordinator, text("127.0.0.1:0"), NULL, &server, NULL));
    EXPECT(CLOSED, stayline_coordinator_issue_ticket(coordinator, text("s"), 1, &buffer, NULL));
    EXPECT(CLOSED, stayline_coordinator_metrics(coordinator, &buffer, NULL));
    EXPECT(OK, stayline_coordinator_handle_due(coordinator, NULL));
    CHECK(view_is(stayline_coordinator_location(coordinator), "memory:"));

    stayline_attach_options attach_options = stayline_attach_options_default();
    attach_options.execution_id = text("e");
    EXPECT(CLOSED, stayline_session_start(session, NULL, &other, NULL));
    EXPECT(CLOSED, stayline_session_attach(session, &attach_options, &late, NULL));
    EXPECT(CLOSED, stayline_session_fail(session, text("e"), text("m"), NULL, NULL, NULL));
    EXPECT(CLOSED, stayline_session_finish(session, text("e"), STAYLINE_EXECUTION_STATUS_FAILED,
                                           no_text, STAYLINE_NONE, NULL));
    EXPECT(CLOSED, stayline_session_interrupt(session, NULL, &status, NULL));
    EXPECT(CLOSED, stayline_session_clear_interrupt(session, no_text, NULL));
    EXPECT(CLOSED, stayline_session_heartbeat(session, text("e"), NULL));
    EXPECT(CLOSED, stayline_session_lease(session, text("e"), text("l"), no_text, &again, NULL));
    EXPECT(CLOSED, stayline_session_extend_lease(session, text("e"), text("l"), NULL, NULL));
    EXPECT(CLOSED, stayline_session_release_lease(session, text("e"), text("l"), NULL));
    EXPECT(CLOSED, stayline_session_delete(session, NULL));
    EXPECT(CLOSED, stayline_session_active(session, &buffer, NULL));
    EXPECT(CLOSED, stayline_session_snapshot_get(session, &snapshot, NULL));
    EXPECT(CLOSED, stayline_session_execution(session, text("e"), &other, NULL));
    EXPECT(CLOSED, stayline_session_executions(session, 0, 1, &executions, NULL));
    EXPECT(CLOSED, stayline_session_status(session, no_text, &status, NULL));
    EXPECT(CLOSED, stayline_session_health(session, text("e"), &status, NULL));
    EXPECT(CLOSED, stayline_session_events(session, NULL, &events, NULL));
    EXPECT(CLOSED, stayline_session_count_events(session, NULL, &found, NULL));
    EXPECT(CLOSED, stayline_session_subscribe(session, NULL, &later, NULL));
    CHECK(view_is(stayline_session_id(session), "s"));

    EXPECT(CLOSED, stayline_execution_refresh(execution, &other, NULL));
    EXPECT(CLOSED, stayline_execution_wait(execution, -1, &other, NULL));
    EXPECT(CLOSED, stayline_lease_extend(lease, &again, NULL));
    EXPECT(CLOSED, stayline_lease_release(lease, NULL));
    EXPECT(CLOSED, stayline_notification_ack(notification, NULL));
    EXPECT(CLOSED, stayline_notification_nack(notification, 0, NULL));
    EXPECT(CLOSED, stayline_notification_give_back(notification, NULL));
    EXPECT(CLOSED, stayline_notification_requeue(notification, NULL));
    EXPECT(CLOSED, stayline_link_receive(link, text("{}"), NULL));
    EXPECT(CLOSED, stayline_link_receive_binary(link, 1, NULL));
    const stayline_view frame = text("{}");
    EXPECT(CLOSED, stayline_link_receive_many(link, &frame, 1, NULL));
    EXPECT(CLOSED, stayline_link_try_receive(link, &frame, 1, &taken, NULL));
    CHECK(!taken);
    EXPECT(OK, stayline_link_closed(link, 1006, no_text, NULL));

    /* A stream ends; everything before that is taken. */
    stayline_event *event = NULL;
    do {
        stayline_event_free(event);
        EXPECT(OK, stayline_subscription_next(subscription, -1, &event, NULL));
    } while (event != NULL);
    CHECK(stayline_subscription_is_ended(subscription));
    EXPECT(OK, stayline_subscription_close(subscription, NULL));
    EXPECT(CLOSED, stayline_subscription_next(subscription, -1, &event, NULL));

    stayline_notification_free(notification);
    stayline_session_free(ended);
    stayline_lease_free(lease);
    stayline_subscription_free(subscription);
    stayline_link_free(link);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void coordinator_after_close(void) {
    coordinator_after(stayline_coordinator_close);
}

static void coordinator_after_abandon(void) {
    coordinator_after(stayline_coordinator_abandon);
}

/* The last object that is freed closes it. */
static void coordinator_freed_before_its_objects(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_coordinator_free(coordinator);
    stayline_execution *execution = start(session, "e");
    stayline_link *link = attach(session, "e");
    stayline_session_free(session);
    EXPECT(OK, stayline_link_receive(
                   link, text("{\"streamEventType\":\"complete\",\"data\":{\"exitCode\":0}}"),
                   NULL));
    EXPECT(OK, stayline_execution_wait(execution, PATIENCE_MS, NULL, NULL));
    stayline_execution_free(execution);
    stayline_link_free(link);
}

static void wrapper_after_close(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    stayline_server *server = serve(coordinator);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("secret"));
    EXPECT(OK, stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, NULL));
    EXPECT(OK, stayline_wrapper_send(wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(OK, stayline_wrapper_flush(wrapper, PATIENCE_MS, NULL));
    uint64_t given_up = 1;
    EXPECT(OK, stayline_wrapper_close(wrapper, &given_up, NULL));
    CHECK(given_up == 0);
    EXPECT(OK, stayline_wrapper_close(wrapper, &given_up, NULL));
    stayline_outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.struct_size = sizeof outcome;
    stayline_buffer why = {NULL, 0};
    EXPECT(CLOSED, stayline_wrapper_send(wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(CLOSED, stayline_wrapper_try_send(wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(CLOSED, stayline_wrapper_complete(wrapper, 0, no_text, NULL));
    EXPECT(CLOSED, stayline_wrapper_fail(wrapper, text("x"), NULL));
    EXPECT(CLOSED, stayline_wrapper_interrupted(wrapper, no_text, NULL));
    EXPECT(CLOSED, stayline_wrapper_fail_with_exit_code(wrapper, text("x"), 3, NULL));
    EXPECT(CLOSED, stayline_wrapper_interrupted_with_exit_code(wrapper, no_text, 3, NULL));
    EXPECT(CLOSED, stayline_wrapper_raised(wrapper, text("x"), false, STAYLINE_NONE, NULL));
    EXPECT(CLOSED, stayline_wrapper_wait_connected(wrapper, -1, NULL));
    EXPECT(CLOSED, stayline_wrapper_outcome(wrapper, -1, &outcome, &why, NULL));
    EXPECT(CLOSED, stayline_wrapper_flush(wrapper, -1, NULL));
    EXPECT(CLOSED, stayline_wrapper_begin_turn(wrapper, NULL, NULL));
    EXPECT(OK, stayline_wrapper_agent_event(wrapper, text("x"), no_text, NULL));
    EXPECT(OK, stayline_wrapper_idle(wrapper, NULL));
    EXPECT(OK, stayline_wrapper_aborted(wrapper, NULL));
    stayline_signal *signal = NULL;
    do {
        stayline_signal_free(signal);
        EXPECT(OK, stayline_wrapper_next_signal(wrapper, -1, &signal, NULL));
    } while (signal != NULL);
    CHECK(stayline_wrapper_is_finished(wrapper));
    CHECK(stayline_wrapper_state_get(wrapper) == STAYLINE_WRAPPER_STATE_CLOSED);
    stayline_wrapper_free(wrapper);
    EXPECT(OK, stayline_server_close(server, NULL));
    EXPECT(OK, stayline_server_close(server, NULL));
    CHECK(stayline_server_url(server).len > 0);
    stayline_server_free(server);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void sansio_after_close(void) {
    stayline_sansio *sansio = NULL;
    EXPECT(OK, stayline_sansio_new(NULL, NULL, &sansio, NULL));
    EXPECT(OK, stayline_sansio_open(sansio, text("e"), true, 0, NULL));
    EXPECT(OK, stayline_sansio_send(sansio, text("x"), no_text, NULL, 0, NULL));
    uint64_t given_up = 0;
    EXPECT(OK, stayline_sansio_close(sansio, 0, &given_up, NULL));
    CHECK(given_up == 1);
    EXPECT(OK, stayline_sansio_close(sansio, 0, &given_up, NULL));
    EXPECT(CLOSED, stayline_sansio_send(sansio, text("x"), no_text, NULL, 0, NULL));
    EXPECT(CLOSED, stayline_sansio_complete(sansio, 0, no_text, 0, NULL));
    EXPECT(CLOSED, stayline_sansio_outcome(sansio, NULL, NULL, NULL));
    stayline_sansio_free(sansio);
}

/* --- closing while others wait --------------------------------------------------------------------- */

#define WAITERS 3

/* What waiting threads share. */
typedef struct {
    stayline_coordinator *coordinator;
    stayline_execution *execution;
    stayline_link *link;
    stayline_subscription *subscription;
    stayline_wrapper *wrapper;
    counter waiting;
} waited_for;

static void *wait_for_notification(void *argument) {
    waited_for *on = argument;
    stayline_notification *notification = NULL;
    count(&on->waiting);
    EXPECT(CLOSED,
           stayline_coordinator_take_notification(on->coordinator, -1, &notification, NULL));
    CHECK(notification == NULL);
    return NULL;
}

static void *wait_for_end(void *argument) {
    waited_for *on = argument;
    stayline_execution *ended = NULL;
    count(&on->waiting);
    EXPECT(CLOSED, stayline_execution_wait(on->execution, -1, &ended, NULL));
    CHECK(ended == NULL);
    return NULL;
}

/* The coordinator's end is an end of the stream, after what was in it. */
static void *wait_for_event(void *argument) {
    waited_for *on = argument;
    stayline_event *event = NULL;
    count(&on->waiting);
    do {
        stayline_event_free(event);
        EXPECT(OK, stayline_subscription_next(on->subscription, -1, &event, NULL));
    } while (event != NULL);
    CHECK(stayline_subscription_is_ended(on->subscription));
    return NULL;
}

static void *wait_until_closed(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_event *event = NULL;
        stayline_status status = stayline_subscription_next(on->subscription, -1, &event, NULL);
        stayline_event_free(event);
        if (status != STAYLINE_STATUS_OK) {
            EXPECT(CLOSED, status);
            return NULL;
        }
    }
}

/* The close comes as an output, then there is nothing more. */
static void *wait_for_output(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_output *output = NULL;
        EXPECT(OK, stayline_link_next_output(on->link, -1, &output, NULL));
        if (output == NULL) {
            CHECK(stayline_link_is_finished(on->link));
            return NULL;
        }
        stayline_output_free(output);
    }
}

static void *wait_for_connection(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    EXPECT(CLOSED, stayline_wrapper_wait_connected(on->wrapper, -1, NULL));
    return NULL;
}

static void *wait_for_outcome(void *argument) {
    waited_for *on = argument;
    stayline_buffer why = {NULL, 0};
    count(&on->waiting);
    EXPECT(CLOSED, stayline_wrapper_outcome(on->wrapper, -1, NULL, &why, NULL));
    CHECK(why.data == NULL);
    return NULL;
}

static void *wait_for_flush(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    EXPECT(CLOSED, stayline_wrapper_flush(on->wrapper, -1, NULL));
    return NULL;
}

static void *wait_for_signal(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_signal *signal = NULL;
        EXPECT(OK, stayline_wrapper_next_signal(on->wrapper, -1, &signal, NULL));
        if (signal == NULL) {
            CHECK(stayline_wrapper_is_finished(on->wrapper));
            return NULL;
        }
        stayline_signal_free(signal);
    }
}

/* Until the buffer is full, and then some. */
static void *send_until_closed(void *argument) {
    waited_for *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_status status =
            stayline_wrapper_send(on->wrapper, text("x"), no_text, NULL, NULL);
        if (status != STAYLINE_STATUS_OK) {
            EXPECT(CLOSED, status);
            return NULL;
        }
    }
}

typedef void *(*waiter)(void *);

static void begin_waiting(waited_for *on, const waiter *waiters, size_t kinds, pthread_t *threads) {
    for (size_t at = 0; at < kinds * WAITERS; at++) {
        threads[at] = begin(waiters[at / WAITERS], on);
    }
    wait_until_counted(&on->waiting, (int)(kinds * WAITERS));
    sleep_ms(HEAD_START_MS);
}

static void end_waiting(size_t kinds, const pthread_t *threads) {
    for (size_t at = 0; at < kinds * WAITERS; at++) {
        end(threads[at]);
    }
}

static void coordinator_closed_while_others_wait(void) {
    waited_for on = {NULL, NULL, NULL, NULL, NULL, COUNTER};
    on.coordinator = open_memory();
    stayline_session *session = session_of(on.coordinator, "s");
    on.execution = start(session, "e");
    on.link = attach(session, "e");
    on.subscription = subscribe(session);
    const waiter waiters[] = {wait_for_notification, wait_for_end, wait_for_event,
                              wait_for_output};
    pthread_t threads[4 * WAITERS];
    begin_waiting(&on, waiters, 4, threads);
    EXPECT(OK, stayline_coordinator_close(on.coordinator, NULL));
    end_waiting(4, threads);
    stayline_subscription_free(on.subscription);
    stayline_link_free(on.link);
    stayline_execution_free(on.execution);
    stayline_session_free(session);
    stayline_coordinator_free(on.coordinator);
}

static void subscription_closed_while_others_wait(void) {
    waited_for on = {NULL, NULL, NULL, NULL, NULL, COUNTER};
    on.coordinator = open_memory();
    stayline_session *session = session_of(on.coordinator, "s");
    on.execution = start(session, "e");
    on.subscription = subscribe(session);
    const waiter waiters[] = {wait_until_closed};
    pthread_t threads[WAITERS];
    begin_waiting(&on, waiters, 1, threads);
    EXPECT(OK, stayline_subscription_close(on.subscription, NULL));
    EXPECT(OK, stayline_subscription_close(on.subscription, NULL));
    end_waiting(1, threads);
    stayline_subscription_free(on.subscription);
    stayline_execution_free(on.execution);
    stayline_session_free(session);
    stayline_coordinator_free(on.coordinator);
}

/* The socket is gone: whoever waits for outputs is let go. */
static void link_closed_while_others_wait(void) {
    waited_for on = {NULL, NULL, NULL, NULL, NULL, COUNTER};
    on.coordinator = open_memory();
    stayline_session *session = session_of(on.coordinator, "s");
    on.execution = start(session, "e");
    on.link = attach(session, "e");
    const waiter waiters[] = {wait_for_output};
    pthread_t threads[WAITERS];
    begin_waiting(&on, waiters, 1, threads);
    EXPECT(OK, stayline_link_closed(on.link, 1000, text("bye"), NULL));
    EXPECT(OK, stayline_link_closed(on.link, 1006, no_text, NULL));
    end_waiting(1, threads);
    uint16_t code = 0;
    stayline_buffer reason = {NULL, 0};
    EXPECT(OK, stayline_link_close_state(on.link, &code, &reason, NULL));
    CHECK(code == 1000 && strcmp(reason.data, "bye") == 0);
    stayline_buffer_free(&reason);
    stayline_link_free(on.link);
    stayline_execution_free(on.execution);
    stayline_session_free(session);
    stayline_coordinator_free(on.coordinator);
}

/* An address at which nobody answers, nor ever will: a port that is taken, and not listened to. A wrapper
 * keeps trying there. */
static int reserve_address(char *address, size_t size) {
    struct sockaddr_in name;
    memset(&name, 0, sizeof name);
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    int reserved = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(reserved >= 0 && bind(reserved, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(getsockname(reserved, (struct sockaddr *)&name, &length) == 0);
    snprintf(address, size, "http://127.0.0.1:%d", (int)ntohs(name.sin_port));
    return reserved;
}

static void wrapper_closed_while_others_wait(void) {
    waited_for on = {NULL, NULL, NULL, NULL, NULL, COUNTER};
    on.coordinator = open_memory();
    char address[64];
    int reserved = reserve_address(address, sizeof address);
    stayline_settings *settings = settings_with("buffer_events", "50");
    EXPECT(OK, stayline_settings_set(settings, text("send_timeout_ms"), text("600000"), NULL));
    EXPECT(OK, stayline_settings_set(settings, text("overflow"), text("\"block\""), NULL));
    stayline_wrapper_options options = stayline_wrapper_options_default();
    options.url = text(address);
    options.session_id = text("s");
    options.execution_id = text("e");
    options.settings = settings;
    options.retry_first = true;
    EXPECT(OK, stayline_wrapper_open(&options, &on.wrapper, NULL));
    EXPECT(OK, stayline_wrapper_send(on.wrapper, text("x"), no_text, NULL, NULL));
    const waiter waiters[] = {wait_for_connection, wait_for_outcome, wait_for_flush,
                              wait_for_signal, send_until_closed};
    pthread_t threads[5 * WAITERS];
    begin_waiting(&on, waiters, 5, threads);
    uint64_t given_up = 0;
    EXPECT(OK, stayline_wrapper_close(on.wrapper, &given_up, NULL));
    CHECK(given_up > 0);
    end_waiting(5, threads);
    stayline_wrapper_free(on.wrapper);
    stayline_settings_free(settings);
    close(reserved);
    stayline_coordinator_free(on.coordinator);
}

/* What holds a commit up, so that nothing that is handed over is dealt with. */
typedef struct {
    counter entered;
    counter let_go;
} held_up;

static void hold_up(void *user_data, int32_t level, stayline_view message) {
    held_up *commit = user_data;
    (void)level;
    (void)message;
    count(&commit->entered);
    wait_until_counted(&commit->let_go, 1);
}

static void *lose_a_commit(void *argument) {
    waited_for *on = argument;
    stayline_session *session = session_of(on->coordinator, "other");
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_coordinator_fail_next_commit(on->coordinator,
                                                     STAYLINE_COMMIT_OUTCOME_LOST, NULL));
    EXPECT(STORE_ERROR, stayline_session_start(session, NULL, &execution, NULL));
    stayline_session_free(session);
    return NULL;
}

static void *receive_while_congested(void *argument) {
    waited_for *on = argument;
    CHECK(stayline_link_is_congested(on->link));
    count(&on->waiting);
    EXPECT(CLOSED, stayline_link_receive(on->link, text("{}"), NULL));
    return NULL;
}

static void *close_coordinator(void *argument) {
    waited_for *on = argument;
    EXPECT(OK, stayline_coordinator_close(on->coordinator, NULL));
    return NULL;
}

static void coordinator_closed_while_a_link_is_congested(void) {
    waited_for on = {NULL, NULL, NULL, NULL, NULL, COUNTER};
    held_up commit = {COUNTER, COUNTER};
    const stayline_log_callback callback = {hold_up, NULL, &commit}, none = {NULL, NULL, NULL};
    on.coordinator = open_memory();
    stayline_session *session = session_of(on.coordinator, "s");
    on.execution = start(session, "e");
    on.link = attach(session, "e");
    EXPECT(OK, stayline_log_set(callback, STAYLINE_LOG_LEVEL_ERROR, NULL));
    pthread_t loser = begin(lose_a_commit, &on);
    wait_until_counted(&commit.entered, 1);
    static char padding[100000];
    memset(padding, ' ', sizeof padding);
    const stayline_view frame = {padding, sizeof padding};
    bool taken = true;
    for (int sent = 0; taken; sent++) {
        CHECK(sent < 100);
        EXPECT(OK, stayline_link_try_receive(on.link, &frame, 1, &taken, NULL));
    }
    pthread_t threads[WAITERS];
    const waiter waiters[] = {receive_while_congested};
    begin_waiting(&on, waiters, 1, threads);
    pthread_t closing = begin(close_coordinator, &on);
    /* They are let go although the commit is still held up. */
    end_waiting(1, threads);
    CHECK(counted(&commit.let_go) == 0);
    count(&commit.let_go);
    end(loser);
    end(closing);
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    stayline_link_free(on.link);
    stayline_execution_free(on.execution);
    stayline_session_free(session);
    stayline_coordinator_free(on.coordinator);
}

/* A time that is over is told, and leaves nothing behind. */
static void waits_that_time_out(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution *execution = start(session, "e"), *ended = NULL;
    stayline_link *link = attach(session, "e");
    stayline_subscription *subscription = subscribe(session);
    const int64_t timeouts[] = {0, 1, 20};
    for (size_t at = 0; at < sizeof timeouts / sizeof *timeouts; at++) {
        stayline_notification *notification = (stayline_notification *)&at;
        EXPECT(OK, stayline_coordinator_take_notification(coordinator, timeouts[at],
                                                          &notification, NULL));
        CHECK(notification == NULL);
        EXPECT(TIMEOUT, stayline_execution_wait(execution, timeouts[at], &ended, NULL));
        stayline_output *output = (stayline_output *)&at;
        EXPECT(OK, stayline_link_next_output(link, timeouts[at], &output, NULL));
        CHECK(output == NULL && !stayline_link_is_finished(link));
        stayline_event *event = NULL;
        do {
            stayline_event_free(event);
            EXPECT(OK, stayline_subscription_next(subscription, timeouts[at], &event, NULL));
        } while (event != NULL);
        CHECK(!stayline_subscription_is_ended(subscription));
    }
    /* Times beyond what a clock can say are for ever. */
    EXPECT(OK, stayline_session_fail(session, text("e"), text("m"), NULL, NULL, NULL));
    EXPECT(OK, stayline_execution_wait(execution, INT64_MAX, &ended, NULL));
    stayline_execution_free(ended);
    stayline_subscription_free(subscription);
    stayline_link_free(link);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

const misuse_case closing_cases[] = {
    {"coordinator_after_close", coordinator_after_close},
    {"coordinator_after_abandon", coordinator_after_abandon},
    {"coordinator_freed_before_its_objects", coordinator_freed_before_its_objects},
    {"wrapper_after_close", wrapper_after_close},
    {"sansio_after_close", sansio_after_close},
    {"coordinator_closed_while_others_wait", coordinator_closed_while_others_wait},
    {"subscription_closed_while_others_wait", subscription_closed_while_others_wait},
    {"link_closed_while_others_wait", link_closed_while_others_wait},
    {"wrapper_closed_while_others_wait", wrapper_closed_while_others_wait},
    {"coordinator_closed_while_a_link_is_congested", coordinator_closed_while_a_link_is_congested},
    {"waits_that_time_out", waits_that_time_out},
    {NULL, NULL},
};
