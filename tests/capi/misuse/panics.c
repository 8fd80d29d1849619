/*
 * A bug of the library's own: it becomes a status, and what it ended stays ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misuse.h"

typedef struct {
    stayline_coordinator *coordinator;
    stayline_session *session;
    stayline_execution *execution;
    stayline_link *link;
    stayline_subscription *subscription;
    stayline_clock *clock;
    counter waiting;
    counter panics;
} broken;

static void broken_open(broken *on) {
    memset(on, 0, sizeof *on);
    on->waiting = on->panics = (counter)COUNTER;
    on->coordinator = open_memory();
    on->session = session_of(on->coordinator, "s");
    on->execution = start(on->session, "e");
    on->link = attach(on->session, "e");
    on->subscription = subscribe(on->session);
}

static void broken_free(broken *on) {
    stayline_subscription_free(on->subscription);
    stayline_link_free(on->link);
    stayline_execution_free(on->execution);
    stayline_session_free(on->session);
    stayline_coordinator_free(on->coordinator);
}

static void break_it(broken *on) {
    stayline_error *error = NULL;
    EXPECT(OK, stayline_coordinator_fail_next_commit(on->coordinator,
                                                     STAYLINE_COMMIT_OUTCOME_PANIC, NULL));
    EXPECT(PANIC, stayline_session_fail(on->session, text("e"), text("m"), NULL, NULL, &error));
    expect_error(STAYLINE_STATUS_PANIC, &error);
}

static void everything_answers_panic(broken *on) {
    stayline_session *session = NULL;
    stayline_session_snapshots *sessions = NULL;
    stayline_settings *settings = NULL;
    stayline_execution *execution = NULL;
    stayline_event *event = NULL;
    stayline_output *output = NULL;
    stayline_notification *notification = NULL;
    int fd = 7;
    EXPECT(PANIC, stayline_coordinator_session(on->coordinator, text("x"), &session, NULL));
    EXPECT(PANIC, stayline_coordinator_sessions(on->coordinator, 1, &sessions, NULL));
    EXPECT(PANIC, stayline_coordinator_settings(on->coordinator, &settings, NULL));
    EXPECT(PANIC, stayline_coordinator_handle_due(on->coordinator, NULL));
    EXPECT(PANIC, stayline_coordinator_take_notification(on->coordinator, -1, &notification, NULL));
    EXPECT(PANIC, stayline_coordinator_notification_fd(on->coordinator, &fd, NULL));
    EXPECT(PANIC, stayline_coordinator_close(on->coordinator, NULL));
    EXPECT(PANIC, stayline_session_start(on->session, NULL, &execution, NULL));
    EXPECT(PANIC, stayline_execution_wait(on->execution, -1, &execution, NULL));
    EXPECT(PANIC, stayline_subscription_next(on->subscription, -1, &event, NULL));
    EXPECT(PANIC, stayline_subscription_close(on->subscription, NULL));
    EXPECT(PANIC, stayline_link_receive(on->link, text("{}"), NULL));
    EXPECT(PANIC, stayline_link_next_output(on->link, -1, &output, NULL));
    EXPECT(PANIC, stayline_link_closed(on->link, 1006, no_text, NULL));
    CHECK(fd == 0 && session == NULL && settings == NULL && event == NULL && output == NULL);
    CHECK(stayline_session_id(on->session).data == NULL);
    CHECK(stayline_coordinator_now(on->coordinator) == STAYLINE_NONE);
}

static void panic_poisons_its_coordinator(void) {
    broken on;
    broken_open(&on);
    stayline_coordinator *other = open_memory();
    stayline_session *session = session_of(other, "s");
    break_it(&on);
    everything_answers_panic(&on);
    /* Others live on, and new ones can be made. */
    stayline_execution_free(start(session, "e"));
    EXPECT(OK, stayline_session_fail(session, text("e"), text("m"), NULL, NULL, NULL));
    broken again;
    broken_open(&again);
    broken_free(&again);
    stayline_session_free(session);
    stayline_coordinator_free(other);
    broken_free(&on);
}

static void *wait_for_event(void *argument) {
    broken *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_event *event = NULL;
        stayline_status status = stayline_subscription_next(on->subscription, -1, &event, NULL);
        CHECK((event != NULL) == (status == STAYLINE_STATUS_OK));
        stayline_event_free(event);
        if (status != STAYLINE_STATUS_OK) {
            EXPECT(PANIC, status);
            return NULL;
        }
    }
}

static void *wait_for_notification(void *argument) {
    broken *on = argument;
    stayline_notification *notification = NULL;
    count(&on->waiting);
    EXPECT(PANIC,
           stayline_coordinator_take_notification(on->coordinator, -1, &notification, NULL));
    return NULL;
}

static void *wait_for_end(void *argument) {
    broken *on = argument;
    count(&on->waiting);
    EXPECT(PANIC, stayline_execution_wait(on->execution, -1, NULL, NULL));
    return NULL;
}

/* The link is closed; whether that is told depends on who comes first. */
static void *wait_for_output(void *argument) {
    broken *on = argument;
    count(&on->waiting);
    for (;;) {
        stayline_output *output = NULL;
        stayline_status status = stayline_link_next_output(on->link, -1, &output, NULL);
        if (output == NULL) {
            CHECK(status == STAYLINE_STATUS_PANIC || status == STAYLINE_STATUS_OK);
            return NULL;
        }
        stayline_output_info info;
        memset(&info, 0, sizeof info);
        info.struct_size = sizeof info;
        EXPECT(OK, stayline_output_get(output, &info, NULL));
        CHECK(info.kind == STAYLINE_OUTPUT_KIND_CLOSE && info.code == 1011);
        stayline_output_free(output);
    }
}

static void panic_reaches_those_who_wait(void) {
    broken on;
    broken_open(&on);
    void *(*const waiters[])(void *) = {wait_for_event, wait_for_notification, wait_for_end,
                                        wait_for_output};
    pthread_t threads[4];
    for (int at = 0; at < 4; at++) {
        threads[at] = begin(waiters[at], &on);
    }
    wait_until_counted(&on.waiting, 4);
    sleep_ms(HEAD_START_MS);
    break_it(&on);
    for (int at = 0; at < 4; at++) {
        end(threads[at]);
    }
    everything_answers_panic(&on);
    broken_free(&on);
}

#define FOLLOWERS 8

/* Those who wait for a commit that another thread does are told, too. */
static void *start_until_it_breaks(void *argument) {
    broken *on = argument;
    char id[32];
    count(&on->waiting);
    snprintf(id, sizeof id, "follower%p", (void *)id);
    stayline_session *session = NULL;
    stayline_status status = stayline_coordinator_session(on->coordinator, text(id), &session, NULL);
    if (status != STAYLINE_STATUS_OK) {
        EXPECT(PANIC, status);
        return NULL;
    }
    for (int round = 0;; round++) {
        snprintf(id, sizeof id, "e%d", round);
        stayline_start_options options = stayline_start_options_default();
        options.execution_id = text(id);
        stayline_execution *execution = NULL;
        status = stayline_session_start(session, &options, &execution, NULL);
        stayline_execution_free(execution);
        if (status == STAYLINE_STATUS_OK) {
            status = stayline_session_fail(session, text(id), text("m"), NULL, NULL, NULL);
        }
        if (status != STAYLINE_STATUS_OK) {
            EXPECT(PANIC, status);
            count(&on->panics);
            break;
        }
    }
    stayline_session_free(session);
    return NULL;
}

static void panic_reaches_followers(void) {
    broken on;
    broken_open(&on);
    pthread_t threads[FOLLOWERS];
    for (int at = 0; at < FOLLOWERS; at++) {
        threads[at] = begin(start_until_it_breaks, &on);
    }
    wait_until_counted(&on.waiting, FOLLOWERS);
    sleep_ms(HEAD_START_MS);
    EXPECT(OK, stayline_coordinator_fail_next_commit(on.coordinator,
                                                     STAYLINE_COMMIT_OUTCOME_PANIC, NULL));
    for (int at = 0; at < FOLLOWERS; at++) {
        end(threads[at]);
    }
    CHECK(counted(&on.panics) == FOLLOWERS);
    everything_answers_panic(&on);
    broken_free(&on);
}

/* It happens on a thread that only moves time: the clock goes on, the coordinator does not. */
static void panic_while_time_moves(void) {
    broken on;
    memset(&on, 0, sizeof on);
    EXPECT(OK, stayline_clock_new(1000, &on.clock, NULL));
    stayline_coordinator_options options = stayline_coordinator_options_default();
    options.clock = on.clock;
    stayline_coordinator *other = NULL;
    EXPECT(OK, stayline_coordinator_open(text("memory:"), &options, &on.coordinator, NULL));
    EXPECT(OK, stayline_coordinator_open(text("memory:"), &options, &other, NULL));
    on.session = session_of(on.coordinator, "s");
    on.execution = start(on.session, "e");
    on.subscription = subscribe(on.session);
    on.link = attach(on.session, "e");
    EXPECT(OK, stayline_link_closed(on.link, 1006, no_text, NULL));
    EXPECT(OK, stayline_coordinator_fail_next_commit(on.coordinator,
                                                     STAYLINE_COMMIT_OUTCOME_PANIC, NULL));
    EXPECT(OK, stayline_clock_advance(on.clock, 86400000, NULL));
    CHECK(stayline_clock_now(on.clock) == 86401000);
    stayline_event *event = NULL;
    stayline_status status;
    do {
        status = stayline_subscription_next(on.subscription, -1, &event, NULL);
        stayline_event_free(event);
    } while (status == STAYLINE_STATUS_OK);
    EXPECT(PANIC, status);
    everything_answers_panic(&on);
    stayline_session *session = session_of(other, "s");
    stayline_execution_free(start(session, "e"));
    stayline_session_free(session);
    stayline_coordinator_free(other);
    broken_free(&on);
    stayline_clock_free(on.clock);
}

const misuse_case panic_cases[] = {
    {"panic_poisons_its_coordinator", panic_poisons_its_coordinator},
    {"panic_reaches_those_who_wait", panic_reaches_those_who_wait},
    {"panic_reaches_followers", panic_reaches_followers},
    {"panic_while_time_moves", panic_while_time_moves},
    {NULL, NULL},
};
