/* A run over TLS, served and driven from C.
 *
 * Called with the paths of the server's certificate and key, and of another pair that takes their
 * place; whom the wrapper trusts is said by SSL_CERT_FILE. Prints the server's address without its
 * port, how the run ended, and what became of the new certificate. */
#include <stayline.h>

#include <stdio.h>
#include <stdlib.h>

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    fprintf(stderr, "%.*s\n", STAYLINE_ARG(stayline_error_message(*error)));
    stayline_error_free(*error);
    exit(1);
}

/* One of the two alone is refused, and says which other one is missing. */
static void refuse_halves(stayline_coordinator *coordinator, const char *certificate, const char *key)
{
    const stayline_view address = stayline_view_of("localhost:0");
    stayline_server *server;
    stayline_error *error;
    stayline_server_options options = stayline_server_options_default();
    options.tls_certificate = stayline_view_of(certificate);
    options.tls_key = stayline_view_of(key);
    if (stayline_coordinator_serve(coordinator, address, &options, &server, &error)
        != STAYLINE_STATUS_INVALID_ARGUMENT) {
        fprintf(stderr, "half of what TLS needs was taken\n");
        exit(1);
    }
    printf("%.*s\n", STAYLINE_ARG(stayline_error_message(error)));
    stayline_error_free(error);
}

/* New files are taken up, and half of them is refused. */
static void renew(stayline_server *server, char **files)
{
    for (int file = 0; file < 2; file++) {
        stayline_error *error = NULL;
        if (rename(files[file + 2], files[file]) != 0) {
            perror(files[file]);
            exit(1);
        }
        const stayline_status status = stayline_server_reload_tls(server, &error);
        printf("%.*s\n", STAYLINE_ARG(stayline_status_name(status)));
        stayline_error_free(error);
    }
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: tls CERTIFICATE KEY NEW_CERTIFICATE NEW_KEY\n");
        return 2;
    }
    stayline_error *error;
    stayline_coordinator *coordinator;
    check(stayline_coordinator_open(stayline_view_of("memory:"), NULL, &coordinator, &error), &error);
    refuse_halves(coordinator, arguments[1], NULL);
    refuse_halves(coordinator, NULL, arguments[2]);

    stayline_server_options serving = stayline_server_options_default();
    serving.tls_certificate = stayline_view_of(arguments[1]);
    serving.tls_key = stayline_view_of(arguments[2]);
    stayline_server *server;
    const stayline_view address = stayline_view_of("localhost:0");
    check(stayline_coordinator_serve(coordinator, address, &serving, &server, &error), &error);
    const stayline_view url = stayline_server_url(server);
    printf("%.17s\n", url.data); /* https://localhost */

    stayline_session *session;
    check(stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, &error), &error);
    stayline_execution *execution;
    check(stayline_session_start(session, NULL, &execution, &error), &error);
    stayline_execution_info started;
    started.struct_size = sizeof started;
    check(stayline_execution_get(execution, &started, &error), &error);
    stayline_wrapper_options options = stayline_wrapper_options_default();
    options.url = url;
    options.session_id = started.session_id;
    options.execution_id = started.id;
    options.token = started.token;
    stayline_wrapper *wrapper;
    check(stayline_wrapper_open(&options, &wrapper, &error), &error);
    check(stayline_wrapper_complete(wrapper, 0, stayline_view_of(NULL), &error), &error);
    stayline_outcome outcome;
    outcome.struct_size = sizeof outcome;
    check(stayline_wrapper_outcome(wrapper, 30000, &outcome, NULL, &error), &error);
    printf("%.*s\n", STAYLINE_ARG(stayline_execution_status_name(outcome.status)));

    renew(server, arguments + 1);

    stayline_wrapper_free(wrapper);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_server_free(server);
    check(stayline_coordinator_close(coordinator, &error), &error);
    stayline_coordinator_free(coordinator);
    return 0;
}
