/* A host with an SQLite of its own, which it uses on the store while executions come and go.
 *
 * Called with the path of the store. Threads of it start and fail executions, and print "kept ID"
 * for each that is stored, while SQLite does one thing after the other to the same file. Then it
 * prints "done" and goes on until it is killed. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>
#include <stayline.h>

static const char *path;
static stayline_coordinator *coordinator;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long kept;

/* Whole lines, also of several threads. */
static void tell(const char *word, const char *text)
{
    char line[600];
    const int length = snprintf(line, sizeof line, "%s %s\n", word, text);
    if (length < 0 || write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(1);
}

static void check(stayline_status status, stayline_error *const *error)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    char text[500];
    snprintf(text, sizeof text, "%.*s", STAYLINE_ARG(stayline_error_message(*error)));
    tell("failed", text);
    _exit(1);
}

static void *run_executions(void *name)
{
    stayline_error *error;
    stayline_session *session;
    check(stayline_coordinator_session(coordinator, stayline_view_of(name), &session, &error), &error);
    for (int number = 1;; number++) {
        char id[40];
        snprintf(id, sizeof id, "%s-%d", (const char *)name, number);
        stayline_start_options options = stayline_start_options_default();
        options.execution_id = stayline_view_of(id);
        stayline_execution *execution;
        check(stayline_session_start(session, &options, &execution, &error), &error);
        stayline_execution_free(execution);
        check(stayline_session_fail(session, stayline_view_of(id), stayline_view_of("boom"), NULL,
                                    NULL, &error),
              &error);
        tell("kept", id);
        pthread_mutex_lock(&mutex);
        kept++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

/* Commits go on: the next comes soon. */
static void await_commits(void)
{
    pthread_mutex_lock(&mutex);
    const long enough = kept + 2;
    while (kept < enough)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void execute(const char *sql)
{
    sqlite3 *other;
    char *why = NULL;
    if (sqlite3_open(path, &other) != SQLITE_OK)
        _exit(1);
    sqlite3_busy_timeout(other, 5000);
    const int done = sqlite3_exec(other, sql, NULL, NULL, &why);
    if (done == SQLITE_BUSY || done == SQLITE_LOCKED)
        tell("refused", sql);
    else if (done != SQLITE_OK) {
        tell("failed", why);
        _exit(1);
    }
    sqlite3_free(why);
    sqlite3_close(other);
}

/* Reads and closes the files, as a program does that copies them. */
static void copy(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int at = 0; at < 3; at++) {
        char name[4096], bytes[4096];
        snprintf(name, sizeof name, "%s%s", path, suffixes[at]);
        const int file = open(name, O_RDWR);
        while (file >= 0 && read(file, bytes, sizeof bytes) > 0)
            ;
        close(file);
    }
}

static void visit(int kind)
{
    static const char *const statements[] = {
        "VACUUM",
        "INSERT INTO of_the_host VALUES (1)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    await_commits();
    if (kind == 3)
        copy();
    else
        execute(statements[kind]);
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: second_sqlite STORE\n");
        return 2;
    }
    path = arguments[1];
    char location[4096];
    snprintf(location, sizeof location, "sqlite:%s", path);
    stayline_error *error;
    check(stayline_coordinator_open(stayline_view_of(location), NULL, &coordinator, &error), &error);
    static char names[][2] = {"a", "b", "c"};
    for (int at = 0; at < 3; at++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_executions, names[at]) != 0)
            return 1;
    }
    execute("CREATE TABLE of_the_host (a)");
    /* Each after each, itself too. */
    for (int one = 0; one < 4; one++) {
        for (int other = 0; other < 4; other++) {
            visit(one);
            visit(other);
        }
    }
    tell("done", sqlite3_libversion());
    for (;;)
        pause();
}
