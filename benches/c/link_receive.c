/* What one event costs through stayline_link_receive, on memory:.
 *
 * Called with the number of events and one frame without a number; prints one JSON object with µs
 * an event. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY = 64 };

/* Takes what the link has put out; the number of the last acknowledgement in it, or `last`. */
static uint64_t last_ack(stayline_link *link, uint64_t last)
{
    for (;;) {
        stayline_output *output;
        check(stayline_link_next_output(link, 0, &output, NULL), "next_output");
        if (output == NULL)
            return last;
        stayline_output_info info;
        info.struct_size = sizeof info;
        check(stayline_output_get(output, &info, NULL), "output_get");
        static const char ack[] = "{\"type\":\"ack\",\"seq\":";
        const size_t length = sizeof ack - 1;
        if (info.text.len > length && memcmp(info.text.data, ack, length) == 0)
            last = strtoull(info.text.data + length, NULL, 10);
        stayline_output_free(output);
    }
}

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments != 3) {
        fprintf(stderr, "usage: link_receive COUNT FRAME\n");
        return 2;
    }
    const uint64_t count = strtoull(arguments[1], NULL, 10);
    const size_t opened = strlen(arguments[2]) - 1; /* without its closing brace */
    stayline_session *session;
    stayline_coordinator *coordinator = open_session(&session);
    stayline_execution *execution;
    check(stayline_session_start(session, NULL, &execution, NULL), "start");
    stayline_execution_info info;
    info.struct_size = sizeof info;
    check(stayline_execution_get(execution, &info, NULL), "execution_get");
    stayline_attach_options options = stayline_attach_options_default();
    options.execution_id = info.id;
    options.trusted = true;
    options.acknowledged = true;
    options.producer = stayline_view_of("bench");
    options.attempt = 1;
    stayline_link *link;
    check(stayline_session_attach(session, &options, &link, NULL), "attach");

    /* Written before the clock starts: what is measured is handing them over. */
    const size_t room = opened + 32;
    char *frames = malloc(room * count);
    stayline_view *texts = malloc(sizeof *texts * count);
    if (frames == NULL || texts == NULL)
        return 1;
    for (uint64_t at = 0; at < count; at++) {
        char *frame = frames + room * at;
        memcpy(frame, arguments[2], opened);
        const int length = sprintf(frame + opened, ",\"seq\":%" PRIu64 "}", at + 1);
        texts[at].data = frame;
        texts[at].len = opened + (size_t)length;
    }
    uint64_t acknowledged = 0;
    const double started = now();
    for (uint64_t number = 1; number <= count; number++) {
        check(stayline_link_receive(link, texts[number - 1], NULL), "receive");
        if (number % LOOK_EVERY == 0 || number == count)
            acknowledged = last_ack(link, acknowledged);
    }
    const double elapsed = now() - started;

    uint64_t stored;
    check(stayline_session_count_events(session, NULL, &stored, NULL), "count_events");
    if (stored != count || acknowledged != count) {
        fprintf(stderr, "%" PRIu64 " events are stored, %" PRIu64 " acknowledged\n", stored, acknowledged);
        return 1;
    }
    printf("{\"microseconds\": %.9f}\n", elapsed / (double)count * 1e6);
    free(texts);
    free(frames);
    stayline_link_free(link);
    stayline_execution_free(execution);
    close_session(coordinator, session);
    return 0;
}
