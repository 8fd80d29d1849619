/*
 * Checks, threads, and short ways to common objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <time.h>

#include "misuse.h"

const stayline_view no_text = {NULL, 0};

static void fail(void) {
    fflush(stderr);
    /* Not exit: other threads may be in the middle of something. */
    _exit(1);
}

void check(bool holds, const char *condition, const char *file, int line) {
    if (!holds) {
        fprintf(stderr, "%s:%d: %s\n", file, line, condition);
        fail();
    }
}

void expect(stayline_status wanted, stayline_status got, const char *call, const char *file,
            int line) {
    if (wanted != got) {
        stayline_view is = stayline_status_name(got), be = stayline_status_name(wanted);
        fprintf(stderr, "%s:%d: %s is %.*s, not %.*s\n", file, line, call, (int)is.len, is.data,
                (int)be.len, be.data);
        fail();
    }
}

bool is_zero(const void *bytes, size_t count) {
    for (size_t at = 0; at < count; at++) {
        if (((const unsigned char *)bytes)[at] != 0) {
            return false;
        }
    }
    return true;
}

bool view_is(stayline_view view, const char *wanted) {
    return view.data != NULL && view.len == strlen(wanted) &&
           memcmp(view.data, wanted, view.len) == 0;
}

void expect_error(stayline_status status, stayline_error **error) {
    CHECK(*error != NULL);
    CHECK(stayline_error_status(*error) == status);
    stayline_view name = stayline_status_name(status), same = stayline_error_name(*error);
    CHECK(name.len > 0 && name.len == same.len && memcmp(name.data, same.data, name.len) == 0);
    CHECK(stayline_error_message(*error).len > 0);
    stayline_view json = stayline_error_json(*error);
    CHECK(json.len > 2 && json.data[0] == '{' && json.data[json.len - 1] == '}');
    stayline_error_free(*error);
    *error = NULL;
}

stayline_view text(const char *given) {
    return stayline_view_of(given);
}

stayline_coordinator *open_memory(void) {
    stayline_coordinator *coordinator = NULL;
    EXPECT(OK, stayline_coordinator_open(text("memory:"), NULL, &coordinator, NULL));
    return coordinator;
}

stayline_session *session_of(const stayline_coordinator *coordinator, const char *id) {
    stayline_session *session = NULL;
    EXPECT(OK, stayline_coordinator_session(coordinator, text(id), &session, NULL));
    return session;
}

stayline_execution *start(stayline_session *session, const char *execution_id) {
    stayline_start_options options = stayline_start_options_default();
    options.execution_id = text(execution_id);
    options.token = text("secret");
    stayline_execution *execution = NULL;
    EXPECT(OK, stayline_session_start(session, &options, &execution, NULL));
    return execution;
}

stayline_link *attach(stayline_session *session, const char *execution_id) {
    stayline_attach_options options = stayline_attach_options_default();
    options.execution_id = text(execution_id);
    options.trusted = true;
    stayline_link *link = NULL;
    EXPECT(OK, stayline_session_attach(session, &options, &link, NULL));
    return link;
}

stayline_subscription *subscribe(const stayline_session *session) {
    stayline_subscription *subscription = NULL;
    EXPECT(OK, stayline_session_subscribe(session, NULL, &subscription, NULL));
    return subscription;
}

stayline_server *serve(stayline_coordinator *coordinator) {
    stayline_server *server = NULL;
    EXPECT(OK,
           stayline_coordinator_serve(coordinator, text("127.0.0.1:0"), NULL, &server, NULL));
    return server;
}

stayline_wrapper *wrap(const stayline_server *server, const char *session_id,
                       const char *execution_id, stayline_view token) {
    stayline_wrapper_options options = stayline_wrapper_options_default();
    options.url = stayline_server_url(server);
    options.session_id = text(session_id);
    options.execution_id = text(execution_id);
    options.token = token;
    stayline_wrapper *wrapper = NULL;
    EXPECT(OK, stayline_wrapper_open(&options, &wrapper, NULL));
    return wrapper;
}

stayline_settings *settings_with(const char *name, const char *value) {
    stayline_settings *settings = NULL;
    EXPECT(OK, stayline_settings_new(&settings, NULL));
    EXPECT(OK, stayline_settings_set(settings, text(name), text(value), NULL));
    return settings;
}

void sleep_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
        CHECK(errno == EINTR);
    }
}

int count(counter *counter) {
    pthread_mutex_lock(&counter->lock);
    int value = ++counter->value;
    pthread_cond_broadcast(&counter->changed);
    pthread_mutex_unlock(&counter->lock);
    return value;
}

int counted(counter *counter) {
    pthread_mutex_lock(&counter->lock);
    int value = counter->value;
    pthread_mutex_unlock(&counter->lock);
    return value;
}

void wait_until_counted(counter *counter, int value) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&counter->lock);
    while (counter->value < value) {
        CHECK(pthread_cond_timedwait(&counter->changed, &counter->lock, &until) == 0);
    }
    pthread_mutex_unlock(&counter->lock);
}

pthread_t begin(void *(*run)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, argument) == 0);
    return thread;
}

void *end(pthread_t thread) {
    void *result = NULL;
    CHECK(pthread_join(thread, &result) == 0);
    return result;
}
