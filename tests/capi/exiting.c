/* A C host that ends in the middle: while its server and its wrapper are there and connected.
 *
 * Called with how: `main` returns from main; `atexit` has them freed by a function of atexit(3);
 * `authorize` and `kill` call exit(3) in a callback, on a thread of the library; `thread` on a thread
 * of its own, while the main thread waits for a signal of the wrapper's. It ends with 7. */
#define _GNU_SOURCE
#include <stayline.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *how;
static stayline_coordinator *coordinator;
static stayline_server *server;
static stayline_wrapper *wrapper;

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    fprintf(stderr, "%.*s\n", STAYLINE_ARG(stayline_error_message(*error)));
    _Exit(1);
}

static void free_all(void)
{
    stayline_error *error;
    stayline_view type = stayline_view_of("output"), data = stayline_view_of("{}");
    check(stayline_wrapper_send(wrapper, type, data, NULL, &error), &error);
    check(stayline_wrapper_flush(wrapper, 30000, &error), &error); /* its threads are still there */
    stayline_wrapper_free(wrapper);
    stayline_server_free(server);
    stayline_coordinator_free(coordinator);
}

static int32_t authorize(void *user_data, stayline_view session_id, stayline_view execution_id,
                         stayline_view bearer)
{
    (void)user_data, (void)session_id, (void)execution_id, (void)bearer;
    if (strcmp(how, "authorize") == 0)
        exit(7);
    return STAYLINE_AUTHORIZATION_ALLOW;
}

static void on_kill(void *user_data, int32_t kill_signal)
{
    (void)user_data, (void)kill_signal;
    exit(7);
}

static void *end(void *argument)
{
    (void)argument;
    exit(7);
}

int main(int count, char **arguments)
{
    stayline_error *error;
    stayline_session *session;
    stayline_execution *execution;
    stayline_signal *signal;
    stayline_execution_info started = {.struct_size = sizeof started};
    stayline_server_options serving = stayline_server_options_default();
    stayline_wrapper_options wrapping = stayline_wrapper_options_default();
    pthread_t thread;
    how = count > 1 ? arguments[1] : "main";
    if (strcmp(how, "atexit") == 0)
        atexit(free_all);
    check(stayline_coordinator_open(stayline_view_of("memory:"), NULL, &coordinator, &error), &error);
    check(stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, &error), &error);
    check(stayline_session_start(session, NULL, &execution, &error), &error);
    serving.authorize.call = authorize;
    check(stayline_coordinator_serve(coordinator, stayline_view_of("127.0.0.1:0"), &serving, &server,
                                     &error),
          &error);
    wrapping.url = stayline_server_url(server);
    wrapping.session_id = stayline_view_of("s");
    check(stayline_execution_get(execution, &started, &error), &error);
    wrapping.execution_id = started.id;
    wrapping.token = started.token;
    check(stayline_wrapper_open(&wrapping, &wrapper, &error), &error);
    check(stayline_wrapper_wait_connected(wrapper, 60000, &error), &error);
    stayline_session_free(session);
    if (strcmp(how, "kill") == 0) {
        stayline_kill_callback callback = {.call = on_kill};
        check(stayline_wrapper_on_kill(wrapper, callback, &error), &error);
        check(stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, &error),
              &error);
        check(stayline_session_interrupt(session, NULL, NULL, &error), &error);
        check(stayline_wrapper_next_signal(wrapper, -1, &signal, &error), &error);
    }
    if (strcmp(how, "thread") == 0) {
        if (pthread_create(&thread, NULL, end, NULL) != 0)
            return 1;
        check(stayline_wrapper_next_signal(wrapper, -1, &signal, &error), &error);
    }
    stayline_execution_free(execution);
    return 7;
}
