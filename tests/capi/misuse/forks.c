/*
 * A forked child: what it inherits is inert, what it makes works, and the parent goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/wait.h>

#include "misuse.h"

/* Runs it in a child; a child that takes far too long is ended, and fails. */
static void in_child(void (*run)(void *), void *argument) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(PATIENCE_MS / 1000);
        run(argument);
        /* Not exit: what is the parent's is not the child's to clean up. */
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void one_whole_run(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution *execution = start(session, "e");
    stayline_server *server = serve(coordinator);
    stayline_wrapper *wrapper = wrap(server, "s", "e", text("secret"));
    EXPECT(OK, stayline_wrapper_send(wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(OK, stayline_wrapper_complete(wrapper, 0, no_text, NULL));
    EXPECT(OK, stayline_wrapper_outcome(wrapper, PATIENCE_MS, NULL, NULL, NULL));
    EXPECT(OK, stayline_execution_wait(execution, PATIENCE_MS, NULL, NULL));
    EXPECT(OK, stayline_wrapper_close(wrapper, NULL, NULL));
    stayline_wrapper_free(wrapper);
    stayline_server_free(server);
    stayline_execution_free(execution);
    stayline_session_free(session);
    EXPECT(OK, stayline_coordinator_close(coordinator, NULL));
    stayline_coordinator_free(coordinator);
}

static void use_what_is_inherited(void *argument) {
    (void)argument;
    every_call_in_child();
    const fixture *all = objects();
    CHECK(stayline_session_id(all->session).data == NULL);
    CHECK(stayline_server_url(all->server).data == NULL);
    CHECK(stayline_coordinator_now(all->coordinator) == STAYLINE_NONE);
    CHECK(stayline_executions_count(all->executions) == 0);
    CHECK(stayline_executions_at(all->executions, 0) == NULL);
    CHECK(stayline_session_snapshot_latest(all->session_snapshot) == NULL);
    CHECK(stayline_subscription_is_ended(all->subscription));
    /* Memory that does not change is there. */
    stayline_event_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    EXPECT(OK, stayline_event_get(all->event, &info, NULL));
    CHECK(stayline_error_message(all->error).len > 0);
    /* Nothing of the parent's is taken for the default. */
    stayline_coordinator *coordinator = NULL;
    stayline_coordinator_options options = stayline_coordinator_options_default();
    options.settings = all->settings;
    stayline_error *error = NULL;
    EXPECT(FORK_ERROR,
           stayline_coordinator_open(text("memory:"), &options, &coordinator, &error));
    int64_t pid = 0;
    CHECK(stayline_error_integer(error, text("pid"), &pid) && pid == (int64_t)getppid());
    stayline_error_free(error);
    options = stayline_coordinator_options_default();
    options.clock = all->clock;
    EXPECT(FORK_ERROR, stayline_coordinator_open(text("memory:"), &options, &coordinator, NULL));
    stayline_sansio *sansio = NULL;
    EXPECT(FORK_ERROR, stayline_sansio_new(all->settings, NULL, &sansio, NULL));
    stayline_wrapper_options wrapper_options = stayline_wrapper_options_default();
    wrapper_options.url = text("http://127.0.0.1:1");
    wrapper_options.session_id = wrapper_options.execution_id = text("x");
    wrapper_options.settings = all->settings;
    stayline_wrapper *wrapper = NULL;
    EXPECT(FORK_ERROR, stayline_wrapper_open(&wrapper_options, &wrapper, NULL));
    objects_free();
    one_whole_run();
}

static void inherited_objects_are_inert(void) {
    const fixture *all = objects();
    in_child(use_what_is_inherited, NULL);
    /* The parent goes on, its connections included. */
    EXPECT(OK, stayline_wrapper_send(all->wrapper, text("x"), no_text, NULL, NULL));
    EXPECT(OK, stayline_wrapper_flush(all->wrapper, PATIENCE_MS, NULL));
    EXPECT(OK, stayline_session_heartbeat(all->session, text("execution"), NULL));
    one_whole_run();
}

/* Forked from a child that uses the library itself. */
static void fork_again(void *argument) {
    one_whole_run();
    if (argument == NULL) {
        stayline_coordinator *coordinator = open_memory();
        in_child(fork_again, coordinator);
        EXPECT(OK, stayline_coordinator_close(coordinator, NULL));
        stayline_coordinator_free(coordinator);
        return;
    }
    EXPECT(FORK_ERROR, stayline_coordinator_close(argument, NULL));
    stayline_coordinator_free(argument);
}

static void grandchildren(void) {
    one_whole_run();
    in_child(fork_again, NULL);
    one_whole_run();
}

typedef struct {
    stayline_coordinator *coordinator;
    counter waiting;
} waited_for;

static void *wait_for_notification(void *argument) {
    waited_for *on = argument;
    stayline_notification *notification = NULL;
    count(&on->waiting);
    EXPECT(CLOSED,
           stayline_coordinator_take_notification(on->coordinator, -1, &notification, NULL));
    return NULL;
}

static void free_in_child(void *argument) {
    waited_for *on = argument;
    EXPECT(FORK_ERROR, stayline_coordinator_close(on->coordinator, NULL));
    stayline_coordinator_free(on->coordinator);
    one_whole_run();
}

static void forked_while_others_wait(void) {
    waited_for on = {open_memory(), COUNTER};
    pthread_t thread = begin(wait_for_notification, &on);
    wait_until_counted(&on.waiting, 1);
    sleep_ms(HEAD_START_MS);
    in_child(free_in_child, &on);
    EXPECT(OK, stayline_coordinator_close(on.coordinator, NULL));
    end(thread);
    stayline_coordinator_free(on.coordinator);
}

/* --- the log callback, which is per process ---------------------------------------------------------- */

typedef struct {
    counter calls;
    counter drops;
    counter released;
    bool holds;
} logged;

static void log_one(void *user_data, int32_t level, stayline_view message) {
    logged *on = user_data;
    (void)level;
    CHECK(message.len > 0);
    count(&on->calls);
    if (on->holds) {
        wait_until_counted(&on->released, 1);
    }
}

static void drop_log(void *user_data) {
    logged *on = user_data;
    count(&on->drops);
}

static void lose_a_commit(void) {
    stayline_coordinator *coordinator = open_memory();
    stayline_session *session = session_of(coordinator, "s");
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_coordinator_fail_next_commit(coordinator, STAYLINE_COMMIT_OUTCOME_LOST,
                                                     NULL));
    EXPECT(STORE_ERROR, stayline_session_start(session, NULL, &execution, NULL));
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
}

static void *lose_on_a_thread(void *argument) {
    lose_a_commit();
    return argument;
}

static void log_in_child(void *argument) {
    logged *on = argument;
    /* The thread that is inside of the callback is not here. */
    on->holds = false;
    int calls = counted(&on->calls);
    lose_a_commit();
    CHECK(counted(&on->calls) > calls);
    const stayline_log_callback none = {NULL, NULL, NULL};
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    calls = counted(&on->calls);
    lose_a_commit();
    CHECK(counted(&on->calls) == calls);
    logged other = {COUNTER, COUNTER, COUNTER, false};
    const stayline_log_callback callback = {log_one, drop_log, &other};
    EXPECT(OK, stayline_log_set(callback, STAYLINE_LOG_LEVEL_ERROR, NULL));
    lose_a_commit();
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    CHECK(counted(&other.calls) > 0 && counted(&other.drops) == 1);
}

static void log_callback_goes_on_in_a_child(void) {
    logged on = {COUNTER, COUNTER, COUNTER, true};
    const stayline_log_callback callback = {log_one, drop_log, &on};
    EXPECT(OK, stayline_log_set(callback, STAYLINE_LOG_LEVEL_ERROR, NULL));
    pthread_t thread = begin(lose_on_a_thread, NULL);
    wait_until_counted(&on.calls, 1);
    in_child(log_in_child, &on);
    count(&on.released);
    end(thread);
    int calls = counted(&on.calls);
    lose_a_commit();
    CHECK(counted(&on.calls) > calls && counted(&on.drops) == 0);
    const stayline_log_callback none = {NULL, NULL, NULL};
    EXPECT(OK, stayline_log_set(none, 0, NULL));
    CHECK(counted(&on.drops) == 1);
}

const misuse_case fork_cases[] = {
    {"inherited_objects_are_inert", inherited_objects_are_inert},
    {"grandchildren", grandchildren},
    {"forked_while_others_wait", forked_while_others_wait},
    {"log_callback_goes_on_in_a_child", log_callback_goes_on_in_a_child},
    {NULL, NULL},
};
