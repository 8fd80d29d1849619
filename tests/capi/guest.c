/* A C host that keeps its signals: SIGPIPE as the system has it, the rest taken by waiting for them.
 *
 * Called with a store, and with the paths of a certificate and a key for TLS. It prints its server's
 * port and then, for each line of stdin: `say`: sends five events; `take`: sends itself three signals
 * and waits for them; `stop`: interrupts the run and waits for on_kill; `threads`: name, blocked and
 * pending signals of each thread but its own. It answers each with a last line `ok`. */
#define _GNU_SOURCE
#include <stayline.h>

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int kills;

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    fprintf(stderr, "%.*s\n", STAYLINE_ARG(stayline_error_message(*error)));
    exit(1);
}

static void on_kill(void *user_data, int32_t kill_signal)
{
    (void)user_data, (void)kill_signal;
    atomic_fetch_add(&kills, 1);
}

static int32_t authorize(void *user_data, stayline_view session_id, stayline_view execution_id,
                         stayline_view bearer)
{
    (void)user_data, (void)session_id, (void)execution_id, (void)bearer;
    return STAYLINE_AUTHORIZATION_ALLOW;
}

static void say(stayline_wrapper *wrapper)
{
    static char data[8192];
    const struct timespec pause = {.tv_nsec = 2000000};
    stayline_error *error;
    int length = snprintf(data, sizeof data, "{\"text\":\"");
    memset(data + length, 'x', 4000);
    strcpy(data + length + 4000, "\"}");
    for (int turn = 0; turn < 5; turn++) {
        check(stayline_wrapper_send(wrapper, stayline_view_of("output"), stayline_view_of(data), NULL,
                                    &error),
              &error);
        check(stayline_wrapper_flush(wrapper, 30000, &error), &error);
        nanosleep(&pause, NULL); /* so that each is a write of its own to whoever watches */
    }
}

static void take(const sigset_t *mine)
{
    const int numbers[] = {SIGUSR1, SIGTERM, SIGHUP};
    const struct timespec patience = {.tv_sec = 30};
    for (int turn = 0; turn < 3; turn++) {
        kill(getpid(), numbers[turn]);
        if (sigtimedwait(mine, NULL, &patience) != numbers[turn]) {
            fprintf(stderr, "signal %d went elsewhere\n", numbers[turn]);
            exit(1);
        }
    }
}

static void tell_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        char path[300], line[300], name[64] = "?";
        unsigned long long blocked = 0, pending = 0;
        FILE *status;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        if (atoi(task->d_name) == getpid() || (status = fopen(path, "r")) == NULL)
            continue;
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %63[^\n]", name);
            sscanf(line, "SigBlk: %llx", &blocked);
            sscanf(line, "SigPnd: %llx", &pending);
        }
        fclose(status);
        if (task->d_name[0] != '.')
            printf("%s %llx %llx\n", name, blocked, pending);
    }
    closedir(tasks);
}

int main(int count, char **arguments)
{
    stayline_error *error;
    stayline_coordinator *coordinator;
    stayline_server *server;
    stayline_session *session;
    stayline_execution *execution;
    stayline_wrapper *wrapper;
    stayline_server_options serving = stayline_server_options_default();
    stayline_wrapper_options options = stayline_wrapper_options_default();
    stayline_execution_info started = {.struct_size = sizeof started};
    const stayline_kill_callback killed = {.call = on_kill};
    const struct timespec pause = {.tv_nsec = 5000000};
    char line[32], location[4096];
    sigset_t mine;
    if (count != 2 && count != 4) {
        fprintf(stderr, "usage: guest STORE [CERTIFICATE KEY]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_DFL);
    snprintf(location, sizeof location, "sqlite:%s", arguments[1]);
    check(stayline_coordinator_open(stayline_view_of(location), NULL, &coordinator, &error), &error);
    serving.authorize.call = authorize;
    if (count == 4) {
        serving.tls_certificate = stayline_view_of(arguments[2]);
        serving.tls_key = stayline_view_of(arguments[3]);
    }
    check(stayline_coordinator_serve(coordinator, stayline_view_of("localhost:0"), &serving, &server,
                                     &error),
          &error);
    check(stayline_coordinator_session(coordinator, stayline_view_of("s"), &session, &error), &error);
    check(stayline_session_start(session, NULL, &execution, &error), &error);
    check(stayline_execution_get(execution, &started, &error), &error);
    options.url = stayline_server_url(server);
    options.session_id = started.session_id;
    options.execution_id = started.id;
    options.token = started.token;
    check(stayline_wrapper_open(&options, &wrapper, &error), &error);
    check(stayline_wrapper_on_kill(wrapper, killed, &error), &error);
    check(stayline_wrapper_wait_connected(wrapper, 30000, &error), &error);

    /* After everything of the library's was started, as programs do that know nothing of it. */
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGHUP);
    sigprocmask(SIG_BLOCK, &mine, NULL);

    printf("%.*s\n", STAYLINE_ARG(stayline_server_url(server)));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strcmp(line, "say\n") == 0)
            say(wrapper);
        else if (strcmp(line, "take\n") == 0)
            take(&mine);
        else if (strcmp(line, "threads\n") == 0)
            tell_threads();
        else if (strcmp(line, "stop\n") == 0) {
            check(stayline_session_interrupt(session, NULL, NULL, &error), &error);
            while (atomic_load(&kills) == 0)
                nanosleep(&pause, NULL);
        }
        printf("ok\n");
        fflush(stdout);
    }
    stayline_wrapper_free(wrapper);
    stayline_execution_free(execution);
    stayline_session_free(session);
    stayline_server_free(server);
    check(stayline_coordinator_close(coordinator, &error), &error);
    stayline_coordinator_free(coordinator);
    return 0;
}
