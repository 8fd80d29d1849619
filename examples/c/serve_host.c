/* A host with the built-in server, and a wrapper that connects to it: here in one process, since a
 * wrapper needs nothing of the host but the address. Who may connect is the host's own decision.
 *
 *     serve_host [STORE]       STORE: memory: (the default), or sqlite:PATH
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "example.h"

#include <string.h>

/* Far more than anything here takes. */
#define PATIENCE_MS 30000

/* --- the host's side ------------------------------------------------------------------------- */

/* What the callback works with. It is called on threads of the server's, several at a time, so it
 * changes nothing. */
typedef struct {
    char secret[32];
} gate;

static int32_t may_attach(void *user_data, stayline_view session_id, stayline_view execution_id,
                          stayline_view bearer)
{
    const gate *gate = user_data;

    (void)session_id;
    (void)execution_id;
    /* A gate that asked a database would say STAYLINE_AUTHORIZATION_LATER while that is away. */
    if (bearer.data != NULL && bearer.len == strlen(gate->secret) &&
        memcmp(bearer.data, gate->secret, bearer.len) == 0) {
        return STAYLINE_AUTHORIZATION_ALLOW;
    }
    return STAYLINE_AUTHORIZATION_DENY;
}

/* No call is under way any more, and none will come. */
static void drop_gate(void *user_data)
{
    puts("the gate is closed");
    free(user_data);
}

static stayline_server *serve(stayline_coordinator *coordinator)
{
    stayline_server_options options = stayline_server_options_default();
    stayline_server *server;
    gate *gate = calloc(1, sizeof(*gate));

    if (gate == NULL) {
        exit(1);
    }
    strcpy(gate->secret, "open sesame");
    options.authorize.call = may_attach;
    options.authorize.drop = drop_gate;
    options.authorize.user_data = gate;
    /* Port 0: a free one, which stayline_server_url tells. */
    check(stayline_coordinator_serve(coordinator, stayline_view_of("127.0.0.1:0"), &options,
                                     &server, &error));
    return server;
}

/* Prints the stream until the execution has ended and all of it was given. */
static void print_stream(stayline_session *session, stayline_view execution_id)
{
    stayline_subscribe_options options = stayline_subscribe_options_default();
    stayline_subscription *stream;
    stayline_event *event;
    stayline_event_info info = {.struct_size = sizeof(info)};

    options.until = execution_id;
    check(stayline_session_subscribe(session, &options, &stream, &error));
    while (check(stayline_subscription_next(stream, PATIENCE_MS, &event, &error)), event != NULL) {
        check(stayline_event_get(event, &info, &error));
        if (!info.control) {
            printf("event %d: %.*s %.*s\n", (int)info.id, TEXT(info.event_type), TEXT(info.data));
        }
        stayline_event_free(event);
    }
    printf("the stream is %s\n", stayline_subscription_is_ended(stream) ? "over" : "stuck");
    stayline_subscription_free(stream);
}

static void print_end(stayline_session *session, stayline_view execution_id)
{
    stayline_session_snapshot *snapshot;
    stayline_session_info said = {.struct_size = sizeof(said)};
    int32_t status;

    check(stayline_session_status(session, execution_id, &status, &error));
    check(stayline_session_snapshot_get(session, &snapshot, &error));
    check(stayline_session_snapshot_info(snapshot, &said, &error));
    printf("the execution is %.*s, on branch %.*s\n", TEXT(stayline_execution_status_name(status)),
           TEXT(said.branch));
    stayline_session_snapshot_free(snapshot);
}

/* --- the agent's side ------------------------------------------------------------------------ */

static stayline_wrapper *connect_wrapper(stayline_view url, stayline_view execution_id,
                                         const char *token)
{
    stayline_wrapper_options options = stayline_wrapper_options_default();
    stayline_wrapper *wrapper;

    options.url = url;
    options.session_id = stayline_view_of("user_1");
    options.execution_id = execution_id;
    options.token = stayline_view_of(token);
    check(stayline_wrapper_open(&options, &wrapper, &error));
    return wrapper;
}

/* What happens to a wrapper that may not connect. */
static void try_without_the_word(stayline_view url, stayline_view execution_id)
{
    stayline_wrapper *wrapper = connect_wrapper(url, execution_id, "knock knock");
    stayline_status status = stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, &error);
    stayline_view reason = stayline_error_text(error, stayline_view_of("reason"));

    if (status != STAYLINE_STATUS_DISCONNECTED) {
        check(status);
    }
    printf("without the word: %.*s\n", TEXT(reason));
    stayline_error_free(error);
    stayline_wrapper_free(wrapper);
}

/* A run: it connects, says three things, and completes. */
static void run_agent(stayline_view url, stayline_view execution_id)
{
    stayline_wrapper *wrapper = connect_wrapper(url, execution_id, "open sesame");
    stayline_outcome outcome = {.struct_size = sizeof(outcome)};
    char data[32];
    int number;

    check(stayline_wrapper_wait_connected(wrapper, PATIENCE_MS, &error));
    for (number = 1; number <= 3; number++) {
        snprintf(data, sizeof(data), "{\"number\":%d}", number);
        check(stayline_wrapper_send(wrapper, stayline_view_of("output"), stayline_view_of(data),
                                    NULL, &error));
    }
    check(stayline_wrapper_complete(wrapper, 0, stayline_view_of("main"), &error));
    check(stayline_wrapper_outcome(wrapper, PATIENCE_MS, &outcome, NULL, &error));
    printf("the wrapper is done: %.*s\n", TEXT(stayline_execution_status_name(outcome.status)));
    stayline_wrapper_free(wrapper);
}

int main(int count, char **arguments)
{
    stayline_view store = stayline_view_of(count > 1 ? arguments[1] : "memory:");
    stayline_coordinator *coordinator;
    stayline_server *server;
    stayline_session *session;
    stayline_execution *execution;
    stayline_execution_info started = {.struct_size = sizeof(started)};

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    check(stayline_coordinator_open(store, NULL, &coordinator, &error));
    server = serve(coordinator);
    printf("serving at %.*s\n", TEXT(stayline_server_url(server)));
    check(stayline_coordinator_session(coordinator, stayline_view_of("user_1"), &session, &error));
    check(stayline_session_start(session, NULL, &execution, &error));
    check(stayline_execution_get(execution, &started, &error));

    try_without_the_word(stayline_server_url(server), started.id);
    run_agent(stayline_server_url(server), started.id);
    print_stream(session, started.id);
    print_end(session, started.id);

    stayline_execution_free(execution);
    stayline_session_free(session);
    /* Closes it first: peers are told, and the gate is dropped. */
    stayline_server_free(server);
    check(stayline_coordinator_close(coordinator, &error));
    stayline_coordinator_free(coordinator);
    return 0;
}
