/* What the C sides of the benchmarks share. */
#ifndef BENCH_H
#define BENCH_H

#define _POSIX_C_SOURCE 200809L
#include <stayline.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void check(stayline_status status, const char *what)
{
    if (status == STAYLINE_STATUS_OK)
        return;
    const stayline_view name = stayline_status_name(status);
    fprintf(stderr, "%s: %.*s\n", what, (int)name.len, name.data);
    exit(1);
}

/* Seconds, on a clock that does not jump. */
static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline stayline_coordinator *open_session(stayline_session **session)
{
    stayline_coordinator *coordinator;
    check(stayline_coordinator_open(stayline_view_of("memory:"), NULL, &coordinator, NULL), "open");
    check(stayline_coordinator_session(coordinator, stayline_view_of("session"), session, NULL),
          "session");
    return coordinator;
}

static inline void close_session(stayline_coordinator *coordinator, stayline_session *session)
{
    stayline_session_free(session);
    check(stayline_coordinator_close(coordinator, NULL), "close");
    stayline_coordinator_free(coordinator);
}

#endif
