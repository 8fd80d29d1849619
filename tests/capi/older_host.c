/* A whole run by a program that was built with an older header: it fills every struct as that header
 * knows it, and finds what stands behind them untouched.
 *
 * Called with a store. Prints how the run ended, and what was stored. */
#include <stayline.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A struct of the library's, and what must stay as it is. */
#define GUARDED(type, name)                                                                       \
    struct {                                                                                      \
        type it;                                                                                  \
        unsigned char behind[256];                                                                \
    } name;                                                                                       \
    memset(&name, 0, sizeof name);                                                                \
    memset(name.behind, 0xA5, sizeof name.behind);                                                \
    name.it.struct_size = sizeof name.it
#define UNTOUCHED(name) untouched(#name, name.behind, sizeof name.behind)

static void untouched(const char *name, const unsigned char *behind, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        if (behind[at] != 0xA5) {
            fprintf(stderr, "%s: byte %zu behind it was written\n", name, at);
            exit(1);
        }
    }
}

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    fprintf(stderr, "%.*s\n", STAYLINE_ARG(stayline_error_message(*error)));
    exit(1);
}

int main(int count, char **arguments)
{
    stayline_error *error;
    stayline_coordinator *coordinator;
    stayline_server *server;
    stayline_session *session;
    stayline_execution *execution;
    stayline_wrapper *wrapper;
    stayline_events *events;
    stayline_event *event;
    if (count != 2 || stayline_abi_version() != STAYLINE_ABI_VERSION)
        return 2;
    GUARDED(stayline_coordinator_options, opening);
    check(stayline_coordinator_open(stayline_view_of(arguments[1]), &opening.it, &coordinator, &error),
          &error);
    UNTOUCHED(opening);
    GUARDED(stayline_server_options, serving);
    check(stayline_coordinator_serve(coordinator, stayline_view_of("127.0.0.1:0"), &serving.it, &server,
                                     &error),
          &error);
    UNTOUCHED(serving);
    check(stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, &error), &error);
    GUARDED(stayline_start_options, starting);
    check(stayline_session_start(session, &starting.it, &execution, &error), &error);
    UNTOUCHED(starting);
    GUARDED(stayline_execution_info, started);
    check(stayline_execution_get(execution, &started.it, &error), &error);
    UNTOUCHED(started);
    GUARDED(stayline_wrapper_options, options);
    options.it.url = stayline_server_url(server);
    options.it.session_id = started.it.session_id;
    options.it.execution_id = started.it.id;
    options.it.token = started.it.token;
    check(stayline_wrapper_open(&options.it, &wrapper, &error), &error);
    UNTOUCHED(options);
    GUARDED(stayline_send_options, sending);
    check(stayline_wrapper_send(wrapper, stayline_view_of("output"), stayline_view_of("{\"n\":1}"),
                                &sending.it, &error),
          &error);
    UNTOUCHED(sending);
    check(stayline_wrapper_complete(wrapper, 0, stayline_view_of("main"), &error), &error);
    GUARDED(stayline_outcome, outcome);
    check(stayline_wrapper_outcome(wrapper, 60000, &outcome.it, NULL, &error), &error);
    UNTOUCHED(outcome);
    printf("%.*s\n", STAYLINE_ARG(stayline_execution_status_name(outcome.it.status)));
    check(stayline_session_events(session, NULL, &events, &error), &error);
    while (check(stayline_events_next(events, &event, &error), &error), event != NULL) {
        GUARDED(stayline_event_info, info);
        check(stayline_event_get(event, &info.it, &error), &error);
        UNTOUCHED(info);
        printf("%.*s %.*s\n", STAYLINE_ARG(info.it.event_type), STAYLINE_ARG(info.it.data));
        stayline_event_free(event);
    }
    stayline_events_free(events);
    stayline_wrapper_free(wrapper);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_server_free(server);
    check(stayline_coordinator_close(coordinator, &error), &error);
    stayline_coordinator_free(coordinator);
    return 0;
}
