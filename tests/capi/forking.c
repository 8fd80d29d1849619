/* A host that forks while it works: each child opens a store of its own, serves, and has a whole run.
 *
 * Called with a folder and a number of children. Prints how many there were, and how many failed. */
#define _GNU_SOURCE
#include <stayline.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABREAST 4
#define CHILD_SECONDS 120

static atomic_bool over;
static const char *folder;

/* What one part does again and again, in parent and child. */
static int whole_run(const char *store)
{
    char location[4096];
    stayline_coordinator *coordinator;
    stayline_server *server;
    stayline_session *session;
    stayline_execution *execution;
    stayline_wrapper *wrapper;
    stayline_execution_info started = {.struct_size = sizeof started};
    stayline_outcome outcome = {.struct_size = sizeof outcome};
    stayline_wrapper_options options = stayline_wrapper_options_default();
    int ended;
    snprintf(location, sizeof location, "sqlite:%s/%s", folder, store);
    if (stayline_coordinator_open(stayline_view_of(location), NULL, &coordinator, NULL) != 0)
        return 1;
    if (stayline_coordinator_serve(coordinator, stayline_view_of("127.0.0.1:0"), NULL, &server, NULL)
        != 0)
        return 2;
    if (stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, NULL) != 0)
        return 3;
    if (stayline_session_start(session, NULL, &execution, NULL) != 0)
        return 4;
    if (stayline_execution_get(execution, &started, NULL) != 0)
        return 5;
    options.url = stayline_server_url(server);
    options.session_id = started.session_id;
    options.execution_id = started.id;
    options.token = started.token;
    if (stayline_wrapper_open(&options, &wrapper, NULL) != 0)
        return 6;
    if (stayline_wrapper_complete(wrapper, 0, stayline_view_of(NULL), NULL) != 0)
        return 7;
    if (stayline_wrapper_outcome(wrapper, 60000, &outcome, NULL, NULL) != 0)
        return 8;
    ended = outcome.status == STAYLINE_EXECUTION_STATUS_COMPLETED ? 0 : 9;
    stayline_wrapper_free(wrapper);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_server_free(server);
    stayline_coordinator_free(coordinator);
    return ended;
}

static void *work(void *store)
{
    while (!atomic_load(&over)) {
        int ended = whole_run(store);
        if (ended != 0) {
            fprintf(stderr, "the parent's own run failed at %d\n", ended);
            exit(1);
        }
    }
    return NULL;
}

/* Begins to write a store and never stops. */
static void *write_on(void *store)
{
    char location[4096];
    stayline_coordinator *coordinator;
    stayline_session *session;
    snprintf(location, sizeof location, "sqlite:%s/%s", folder, (const char *)store);
    if (stayline_coordinator_open(stayline_view_of(location), NULL, &coordinator, NULL) != 0
        || stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, NULL) != 0)
        exit(1);
    while (!atomic_load(&over)) {
        stayline_execution *execution;
        stayline_execution_info started = {.struct_size = sizeof started};
        if (stayline_session_start(session, NULL, &execution, NULL) != 0
            || stayline_execution_get(execution, &started, NULL) != 0
            || stayline_session_fail(session, started.id, stayline_view_of("boom"), NULL, NULL, NULL)
                != 0)
            exit(1);
        stayline_execution_free(execution);
    }
    stayline_session_free(session);
    stayline_coordinator_free(coordinator);
    return NULL;
}

static int reap(void)
{
    int status;
    if (waitpid(-1, &status, 0) <= 0)
        return 1;
    if (WIFSIGNALED(status))
        fprintf(stderr, "a child was ended by %s\n", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        fprintf(stderr, "a child failed at %d\n", WEXITSTATUS(status));
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments)
{
    pthread_t threads[3];
    int failed = 0, children, abreast = 0;
    if (count != 3) {
        fprintf(stderr, "usage: forking FOLDER CHILDREN\n");
        return 2;
    }
    folder = arguments[1];
    pthread_create(&threads[0], NULL, work, "one.db");
    pthread_create(&threads[1], NULL, work, "two.db");
    pthread_create(&threads[2], NULL, write_on, "three.db");
    for (children = 0; children < atoi(arguments[2]); children++) {
        char store[32];
        if (abreast == ABREAST) {
            failed += reap();
            abreast--;
        }
        switch (fork()) {
        case -1:
            perror("fork");
            return 1;
        case 0:
            alarm(CHILD_SECONDS); /* one that hangs is ended, and counted */
            snprintf(store, sizeof store, "child-%d.db", (int)getpid());
            _exit(whole_run(store));
        default:
            abreast++;
        }
    }
    while (abreast-- > 0)
        failed += reap();
    atomic_store(&over, true);
    for (int at = 0; at < 3; at++)
        pthread_join(threads[at], NULL);
    printf("%d children, %d failed\n", children, failed);
    return failed != 0;
}
