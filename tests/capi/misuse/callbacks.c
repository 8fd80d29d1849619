/*
 * Callbacks that call back in, and when they are dropped: once, after the last call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misuse.h"

typedef struct {
    stayline_coordinator *coordinator;
    stayline_session *session;
    stayline_wrapper *wrapper;
    counter calls;
    counter drops;
    /* Calls that wait until they are let go. */
    counter held;
    bool holds;
} host;

static void host_init(host *host) {
    memset(host, 0, sizeof *host);
    host->calls = host->drops = host->held = (counter)COUNTER;
}

static void drop(void *user_data) {
    host *host = user_data;
    /* The last look: whoever waits for it may return, and take the host along. */
    CHECK(count(&host->drops) == 1);
}

/* --- authorize -------------------------------------------------------------------------------------- */

static int32_t authorize(void *user_data, stayline_view session_id, stayline_view execution_id,
                         stayline_view bearer) {
    host *host = user_data;
    CHECK(counted(&host->drops) == 0);
    CHECK(view_is(session_id, "s") && view_is(execution_id, "e"));
    int32_t status = 0;
    EXPECT(OK, stayline_session_status(host->session, execution_id, &status, NULL));
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_session_execution(host->session, execution_id, &execution, NULL));
    stayline_execution_free(execution);
    /* What changes something, too. */
    stayline_lease *lease = NULL;
    EXPECT(OK, stayline_session_lease(host->session, execution_id, text("l"), no_text, &lease,
                                      NULL));
    stayline_lease_free(lease);
    count(&host->calls);
    return view_is(bearer, "let me in") ? STAYLINE_AUTHORIZATION_ALLOW
                                        : STAYLINE_AUTHORIZATION_DENY;
}

static void authorize_calls_back_in(void) {
    host host;
    host_init(&host);
    host.coordinator = open_memory();
    host.session = session_of(host.coordinator, "s");
    stayline_execution_free(start(host.session, "e"));
    stayline_server_options options = stayline_server_options_default();
    options.authorize.call = authorize;
    options.authorize.drop = drop;
    options.authorize.user_data = &host;
    stayline_server *server = NULL;
    EXPECT(OK, stayline_coordinator_serve(host.coordinator, text("127.0.0.1:0"), &options, &server,
                                          NULL));
    stayline_wrapper *refused = wrap(server, "s", "e", text("secret"));
    EXPECT(DISCONNECTED, stayline_wrapper_wait_connected(refused, PATIENCE_MS, NULL));
    stayline_wrapper_free(refused);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("let me in"));
    EXPECT(OK, stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, NULL));
    EXPECT(OK, stayline_wrapper_complete(wrapper, 0, no_text, NULL));
    EXPECT(OK, stayline_wrapper_outcome(wrapper, PATIENCE_MS, NULL, NULL, NULL));
    stayline_wrapper_free(wrapper);
    CHECK(counted(&host.calls) >= 2);
    stayline_server_free(server);
    wait_until_counted(&host.drops, 1);
    stayline_session_free(host.session);
    stayline_coordinator_free(host.coordinator);
}

/* Fails when the wrapper comes back, with a number that is no answer, and then says that it does not
 * know. */
static int32_t fail_at_first(void *user_data, stayline_view session_id, stayline_view execution_id,
                             stayline_view bearer) {
    host *host = user_data;
    (void)session_id, (void)execution_id, (void)bearer;
    switch (count(&host->calls)) {
    case 2: return -1;
    case 3: return STAYLINE_AUTHORIZATION_LATER;
    default: return STAYLINE_AUTHORIZATION_ALLOW;
    }
}

static void authorize_that_fails_ends_no_run(void) {
    host host;
    host_init(&host);
    host.coordinator = open_memory();
    host.session = session_of(host.coordinator, "s");
    stayline_execution_free(start(host.session, "e"));
    stayline_server_options options = stayline_server_options_default();
    options.authorize.call = fail_at_first;
    options.authorize.drop = drop;
    options.authorize.user_data = &host;
    stayline_server *server = NULL;
    EXPECT(OK, stayline_coordinator_serve(host.coordinator, text("127.0.0.1:0"), &options, &server,
                                          NULL));
    stayline_wrapper *wrapper = wrap(server, "s", "e", no_text);
    EXPECT(OK, stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, NULL));
    /* The server goes, and comes back where it was. */
    char address[64] = "";
    const stayline_view where = stayline_server_address(server);
    CHECK(where.len < sizeof address);
    memcpy(address, where.data, where.len);
    stayline_server_free(server);
    wait_until_counted(&host.drops, 1);
    host.drops = (counter)COUNTER;
    EXPECT(OK, stayline_coordinator_serve(host.coordinator, text(address), &options, &server, NULL));
    wait_until_counted(&host.calls, 4);
    EXPECT(OK, stayline_wrapper_complete(wrapper, 0, no_text, NULL));
    stayline_outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.struct_size = sizeof outcome;
    EXPECT(OK, stayline_wrapper_outcome(wrapper, PATIENCE_MS, &outcome, NULL, NULL));
    CHECK(outcome.status == STAYLINE_EXECUTION_STATUS_COMPLETED);
    stayline_wrapper_free(wrapper);
    stayline_server_free(server);
    wait_until_counted(&host.drops, 1);
    stayline_session_free(host.session);
    stayline_coordinator_free(host.coordinator);
}

/* --- log --------------------------------------------------------------------------------------------- */

static void drop_nobody(void *user_data) {
    count(user_data);
}

static void log_and_call_in(void *user_data, int32_t level, stayline_view message) {
    host *host = user_data;
    CHECK(counted(&host->drops) == 0);
    CHECK(level >= 1 && level <= 4 && message.len > 0);
    if (host->session != NULL) {
        /* It may be in the middle of a commit; so objects do not answer. */
        int32_t status = 7;
        stayline_error *error = NULL;
        EXPECT(INVALID_ARGUMENT, stayline_session_status(host->session, no_text, &status, &error));
        CHECK(status == 0);
        expect_error(STAYLINE_STATUS_INVALID_ARGUMENT, &error);
        CHECK(stayline_session_id(host->session).data == NULL);
        CHECK(stayline_coordinator_now(host->coordinator) == STAYLINE_NONE);
        counter dropped = COUNTER;
        const stayline_log_callback other = {log_and_call_in, drop_nobody, &dropped};
        EXPECT(INVALID_ARGUMENT, stayline_log_set(other, 1, NULL));
        CHECK(counted(&dropped) == 1);
        CHECK(stayline_status_name(STAYLINE_STATUS_OK).len > 0);
    }
    count(&host->calls);
    if (host->holds) {
        wait_until_counted(&host->held, 1);
    }
}

static void lose_a_commit(stayline_coordinator *coordinator, stayline_session *session) {
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_coordinator_fail_next_commit(coordinator, STAYLINE_COMMIT_OUTCOME_LOST,
                                                     NULL));
    EXPECT(STORE_ERROR, stayline_session_start(session, NULL, &execution, NULL));
}

static void log_calls_back_in(void) {
    host host, next;
    host_init(&host);
    host_init(&next);
    host.coordinator = open_memory();
    host.session = session_of(host.coordinator, "s");
    const stayline_log_callback callback = {log_and_call_in, drop, &host};
    EXPECT(OK, stayline_log_set(callback, STAYLINE_LOG_LEVEL_DEBUG, NULL));
    lose_a_commit(host.coordinator, host.session);
    CHECK(counted(&host.calls) > 0);
    stayline_execution_free(start(host.session, "e"));
    /* The next one takes its place. */
    const stayline_log_callback other = {log_and_call_in, drop, &next};
    EXPECT(OK, stayline_log_set(other, STAYLINE_LOG_LEVEL_ERROR, NULL));
    CHECK(counted(&host.drops) == 1);
    /* Others of their own: the same failure of one coordinator is told once a minute. */
    stayline_coordinator *second = open_memory(), *third = open_memory();
    stayline_session *session = session_of(second, "s"), *last = session_of(third, "s");
    lose_a_commit(second, session);
    CHECK(counted(&next.calls) > 0);
    const stayline_log_callback none = {NULL, NULL, NULL};
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    CHECK(counted(&next.drops) == 1);
    int calls = counted(&next.calls);
    lose_a_commit(third, last);
    CHECK(counted(&next.calls) == calls);
    stayline_session_free(session);
    stayline_session_free(last);
    stayline_coordinator_free(second);
    stayline_coordinator_free(third);
    stayline_session_free(host.session);
    stayline_coordinator_free(host.coordinator);
}

static void *lose_on_another_thread(void *argument) {
    host *host = argument;
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    lose_a_commit(coordinator, session);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
    (void)host;
    return NULL;
}

static void *let_go_later(void *argument) {
    host *host = argument;
    sleep_ms(HEAD_START_MS);
    CHECK(counted(&host->drops) == 0);
    count(&host->held);
    return NULL;
}

/* Whoever takes the callback away waits for the calls that are under way. */
static void log_taken_away_during_a_call(void) {
    host host;
    host_init(&host);
    host.holds = true;
    const stayline_log_callback callback = {log_and_call_in, drop, &host};
    EXPECT(OK, stayline_log_set(callback, STAYLINE_LOG_LEVEL_ERROR, NULL));
    pthread_t loser = begin(lose_on_another_thread, &host);
    wait_until_counted(&host.calls, 1);
    pthread_t other = begin(let_go_later, &host);
    const stayline_log_callback none = {NULL, NULL, NULL};
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    CHECK(counted(&host.held) == 1 && counted(&host.drops) == 1);
    end(loser);
    end(other);
}

/* --- kill -------------------------------------------------------------------------------------------- */

static void abort_and_close(void *user_data, int32_t kill_signal) {
    host *host = user_data;
    CHECK(counted(&host->drops) == 0);
    CHECK(kill_signal == STAYLINE_KILL_SIGNAL_TERM);
    EXPECT(OK, stayline_wrapper_send(host->wrapper, text("stopping"), no_text, NULL, NULL));
    EXPECT(OK, stayline_wrapper_aborted(host->wrapper, NULL));
    EXPECT(OK, stayline_wrapper_outcome(host->wrapper, PATIENCE_MS, NULL, NULL, NULL));
    EXPECT(OK, stayline_wrapper_close(host->wrapper, NULL, NULL));
    count(&host->calls);
}

static void kill_calls_back_in(void) {
    host host;
    host_init(&host);
    host.coordinator = open_memory();
    host.session = session_of(host.coordinator, "s");
    stayline_execution *execution = start(host.session, "e");
    stayline_server *server = serve(host.coordinator);
    host.wrapper = wrap(server, "s", "e", text("secret"));
    const stayline_kill_callback callback = {abort_and_close, drop, &host};
    EXPECT(OK, stayline_wrapper_on_kill(host.wrapper, callback, NULL));
    EXPECT(OK, stayline_wrapper_wait_connected(host.wrapper, PATIENCE_MS, NULL));
    EXPECT(OK, stayline_session_interrupt(host.session, NULL, NULL, NULL));
    wait_until_counted(&host.calls, 1);
    /* It was closed: there will be no more kills. */
    wait_until_counted(&host.drops, 1);
    stayline_execution *ended = NULL;
    EXPECT(OK, stayline_execution_wait(execution, PATIENCE_MS, &ended, NULL));
    stayline_execution_free(ended);
    stayline_execution_free(execution);
    stayline_wrapper_free(host.wrapper);
    stayline_server_free(server);
    stayline_session_free(host.session);
    stayline_coordinator_free(host.coordinator);
}

/* Freed while its callbacks wait: they are dropped, and nobody needs the wrapper any more. */
static void kill_callback_of_a_freed_wrapper(void) {
    host hosts[2];
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution_free(start(session, "e"));
    stayline_server *server = serve(coordinator);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("secret"));
    for (int at = 0; at < 2; at++) {
        host_init(&hosts[at]);
        const stayline_kill_callback callback = {abort_and_close, drop, &hosts[at]};
        EXPECT(OK, stayline_wrapper_on_kill(wrapper, callback, NULL));
    }
    stayline_wrapper_free(wrapper);
    for (int at = 0; at < 2; at++) {
        CHECK(counted(&hosts[at].drops) == 1 && counted(&hosts[at].calls) == 0);
    }
    stayline_server_free(server);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void abort_and_linger(void *user_data, int32_t kill_signal) {
    host *host = user_data;
    (void)kill_signal;
    EXPECT(OK, stayline_wrapper_aborted(host->wrapper, NULL));
    /* The run has ended, and whoever waited for that frees the wrapper. */
    wait_until_counted(&host->held, 1);
    sleep_ms(HEAD_START_MS);
    EXPECT(CLOSED, stayline_wrapper_send(host->wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(CLOSED, stayline_wrapper_wait_connected(host->wrapper, -1, NULL));
    CHECK(view_is(stayline_wrapper_execution_id(host->wrapper), "e"));
    count(&host->calls);
}

/* The callback may use the wrapper until it returns: freeing waits for it, and for its drop. */
static void wrapper_freed_while_its_kill_callback_runs(void) {
    host host;
    host_init(&host);
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution *execution = start(session, "e");
    stayline_server *server = serve(coordinator);
    host.wrapper = wrap(server, "s", "e", text("secret"));
    const stayline_kill_callback callback = {abort_and_linger, drop, &host};
    EXPECT(OK, stayline_wrapper_on_kill(host.wrapper, callback, NULL));
    EXPECT(OK, stayline_wrapper_wait_connected(host.wrapper, PATIENCE_MS, NULL));
    EXPECT(OK, stayline_session_interrupt(session, NULL, NULL, NULL));
    EXPECT(OK, stayline_execution_wait(execution, PATIENCE_MS, NULL, NULL));
    count(&host.held);
    stayline_wrapper_free(host.wrapper);
    CHECK(counted(&host.calls) == 1 && counted(&host.drops) == 1);
    stayline_server_free(server);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

/* --- not taken ----------------------------------------------------------------------------------------- */

static void callbacks_of_failed_calls_are_dropped(void) {
    counter drops = COUNTER;
    const stayline_kill_callback kill = {abort_and_close, drop_nobody, &drops};
    const stayline_kill_callback no_kill = {NULL, drop_nobody, &drops};
    EXPECT(INVALID_ARGUMENT, stayline_wrapper_on_kill(NULL, kill, NULL));
    CHECK(counted(&drops) == 1);
    EXPECT(INVALID_ARGUMENT, stayline_wrapper_on_kill(NULL, no_kill, NULL));
    CHECK(counted(&drops) == 2);
    const stayline_log_callback log = {log_and_call_in, drop_nobody, &drops};
    EXPECT(INVALID_ARGUMENT, stayline_log_set(log, 9, NULL));
    CHECK(counted(&drops) == 3);
    EXPECT(INVALID_ARGUMENT, stayline_log_set(log, 0, NULL));
    CHECK(counted(&drops) == 4);
    const stayline_log_callback no_log = {NULL, drop_nobody, &drops};
    EXPECT(OK, stayline_log_set(no_log, 0, NULL));
    CHECK(counted(&drops) == 5);
    stayline_coordinator *coordinator = open_memory();
    stayline_server_options options = stayline_server_options_default();
    options.authorize.call = authorize;
    options.authorize.drop = drop_nobody;
    options.authorize.user_data = &drops;
    stayline_server *server = NULL;
    EXPECT(INVALID_ARGUMENT,
           stayline_coordinator_serve(coordinator, text("nowhere"), &options, &server, NULL));
    CHECK(counted(&drops) == 6);
    EXPECT(INVALID_ARGUMENT,
           stayline_coordinator_serve(NULL, text("127.0.0.1:0"), &options, &server, NULL));
    CHECK(counted(&drops) == 7);
    options.authorize.call = NULL;
    EXPECT(INVALID_ARGUMENT, stayline_coordinator_serve(coordinator, text("127.0.0.1:0"), &options,
                                                        &server, NULL));
    CHECK(counted(&drops) == 8 && server == NULL);
    stayline_coordinator_free(coordinator);
}

const misuse_case callback_cases[] = {
    {"authorize_calls_back_in", authorize_calls_back_in},
    {"authorize_that_fails_ends_no_run", authorize_that_fails_ends_no_run},
    {"log_calls_back_in", log_calls_back_in},
    {"log_taken_away_during_a_call", log_taken_away_during_a_call},
    {"kill_calls_back_in", kill_calls_back_in},
    {"kill_callback_of_a_freed_wrapper", kill_callback_of_a_freed_wrapper},
    {"wrapper_freed_while_its_kill_callback_runs", wrapper_freed_while_its_kill_callback_runs},
    {"callbacks_of_failed_calls_are_dropped", callbacks_of_failed_calls_are_dropped},
    {NULL, NULL},
};
