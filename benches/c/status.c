/* What a look at a session costs: the id of its active execution, the status of it, and an empty
 * call through the same border.
 *
 * Called with the number of calls and what to call; prints one JSON object with µs a call. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments != 3) {
        fprintf(stderr, "usage: status COUNT active|status|empty\n");
        return 2;
    }
    const long count = strtol(arguments[1], NULL, 10);
    stayline_session *session;
    stayline_coordinator *coordinator = open_session(&session);
    stayline_execution *execution;
    check(stayline_session_start(session, NULL, &execution, NULL), "start");

    long seen = 0;
    const double started = now();
    if (strcmp(arguments[2], "active") == 0) {
        for (long call = 0; call < count; call++) {
            stayline_buffer active;
            check(stayline_session_active(session, &active, NULL), "active");
            seen += active.len > 0;
            stayline_buffer_free(&active);
        }
    } else if (strcmp(arguments[2], "status") == 0) {
        const stayline_view none = {NULL, 0};
        for (long call = 0; call < count; call++) {
            int32_t status;
            check(stayline_session_status(session, none, &status, NULL), "status");
            seen += status == STAYLINE_EXECUTION_STATUS_PENDING;
        }
    } else {
        for (long call = 0; call < count; call++)
            seen += !stayline_coordinator_is_read_only(coordinator);
    }
    const double elapsed = now() - started;
    if (seen != count) {
        fprintf(stderr, "%ld of %ld looks saw what is there\n", seen, count);
        return 1;
    }
    printf("{\"microseconds\": %.9f}\n", elapsed / (double)count * 1e6);
    stayline_execution_free(execution);
    close_session(coordinator, session);
    return 0;
}
