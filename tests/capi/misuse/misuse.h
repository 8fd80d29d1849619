/*
 * Cases that use the library wrongly, or at its edges, and say what must happen all the same.
 *
 *   main.c         picks cases and runs them
 *   support.c      checks, threads, and short ways to common objects
 *   fixture.c      one object of every type, for the generated table
 *   arguments.c    texts, structs and numbers that make no sense
 *   closing.c      use after close, also while other threads wait
 *   threads.c      one object used by many threads at once
 *   callbacks.c    callbacks that call back in; when they are dropped
 *   panics.c       a bug of the library's own
 *   forks.c        objects in a forked child
 *   descriptors.c  what event loops watch
 *   every_call.c   written by misuse_table.py: every function of the header with nothing valid
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STAYLINE_TESTS_MISUSE_H
#define STAYLINE_TESTS_MISUSE_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stayline.h>

typedef struct {
    const char *name;
    void (*run)(void);
} misuse_case;

/* Each list ends with a case without a name. */
extern const misuse_case argument_cases[], closing_cases[], thread_cases[], callback_cases[],
    panic_cases[], fork_cases[], descriptor_cases[], every_call_cases[];

/* In a forked child: every call with an object of the parent's, otherwise valid (every_call.c). */
void every_call_in_child(void);

/* --- checks: the first that fails ends the process ---------------------------------------------- */

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
#define EXPECT(wanted, call) \
    expect(STAYLINE_STATUS_##wanted, (call), #call, __FILE__, __LINE__)

void check(bool holds, const char *condition, const char *file, int line);
void expect(stayline_status wanted, stayline_status got, const char *call, const char *file,
            int line);
bool is_zero(const void *bytes, size_t count);
bool view_is(stayline_view view, const char *text);
/* The error that goes with this status: with a name and a message; frees it. */
void expect_error(stayline_status status, stayline_error **error);

/* --- short ways ---------------------------------------------------------------------------------- */

stayline_view text(const char *text);
extern const stayline_view no_text;
stayline_coordinator *open_memory(void);
stayline_session *session_of(const stayline_coordinator *coordinator, const char *id);
/* Starts `execution_id` and attaches a trusted link in basic mode. */
stayline_execution *start(stayline_session *session, const char *execution_id);
stayline_link *attach(stayline_session *session, const char *execution_id);
stayline_subscription *subscribe(const stayline_session *session);
stayline_server *serve(stayline_coordinator *coordinator);
/* A wrapper for an execution of `session`; it has begun to connect. */
stayline_wrapper *wrap(const stayline_server *server, const char *session_id,
                       const char *execution_id, stayline_view token);
/* Settings with one of them changed. */
stayline_settings *settings_with(const char *name, const char *value);

void sleep_ms(long ms);
/* Counts that threads wait for; a wait that takes far too long fails. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int value;
} counter;
#define COUNTER {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
int count(counter *counter);
int counted(counter *counter);
void wait_until_counted(counter *counter, int value);

pthread_t begin(void *(*run)(void *), void *argument);
void *end(pthread_t thread);

/* Whether a thread of this process has been waiting inside of the library for a while is not to be
 * seen; so who closes while others wait gives them this long to begin to. */
#define HEAD_START_MS 50L
/* Above everything that happens by itself; whoever waits that long fails. */
#define PATIENCE_MS 60000

/* --- fixture.c ------------------------------------------------------------------------------------ */

/* One valid object of every type. */
typedef struct {
    stayline_action *action;
    stayline_clock *clock;
    stayline_coordinator *coordinator;
    stayline_error *error;
    stayline_event *event;
    stayline_events *events;
    stayline_execution *execution;
    stayline_executions *executions;
    stayline_lease *lease;
    stayline_link *link;
    stayline_request *request;
    stayline_attaching *attaching;
    stayline_notification *notification;
    stayline_notifications *notifications;
    stayline_output *output;
    stayline_sansio *sansio;
    stayline_server *server;
    stayline_session *session;
    stayline_session_snapshot *session_snapshot;
    stayline_session_snapshots *session_snapshots;
    stayline_settings *settings;
    const stayline_signal *signal;
    stayline_subscription *subscription;
    stayline_wrapper *wrapper;
} fixture;

/* Made when it is first asked for. */
const fixture *objects(void);
void objects_free(void);

#endif
