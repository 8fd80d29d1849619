/*
 * JSON that no number and no string can hold, and texts for people: what comes out of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "values.h"

static char digits[5001];

static const struct {
    const char *name;
    const char *value;
} values[] = {
    {"half of a pair", "\"a\\ud83d\""},
    {"half as a name", "{\"\\udc00\":[\"\\ud800\\ud800\"]}"},
    {"a pair", "\"\\ud83d\\ude00\""},
    {"a NUL", "\"a\\u0000b\""},
    {"thousands of digits", digits},
    {"beyond 64 bits", "[1180591620717411303424,-9223372036854775809]"},
    {"beyond all numbers", "[1e999,-1e999]"},
    {"many places", "0.1000000000000000055511151231257827021181583404541015625"},
};

static bool is(stayline_view text, const char *wanted) {
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

static bool contains(stayline_view text, stayline_view part) {
    for (size_t at = 0; at + part.len <= text.len; at++) {
        if (memcmp(text.data + at, part.data, part.len) == 0) {
            return true;
        }
    }
    return false;
}

/* Waits for the first event of a type on a stream, and reads it from the past too. */
static void print_stored(world w, const char *way, const char *kind, const char *type) {
    stayline_subscription *stream = NULL;
    must(stayline_session_subscribe(w.session, NULL, &stream, NULL));
    stayline_event *event = NULL;
    stayline_event_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    for (;;) {
        must(stayline_subscription_next(stream, PATIENCE_MS, &event, NULL));
        must(stayline_event_get(event, &info, NULL));
        if (!info.control && is(info.event_type, type)) {
            break;
        }
        stayline_event_free(event);
    }
    print_line("kept", way, kind, info.data);
    if (!contains(stayline_event_frame(event), info.data)) {
        print_line("frame without its data", way, kind, stayline_event_frame(event));
    }
    stayline_event_filter filter = stayline_event_filter_default();
    const stayline_view wanted = stayline_view_of(type);
    filter.types = &wanted;
    filter.types_count = 1;
    stayline_events *events = NULL;
    must(stayline_session_events(w.session, &filter, &events, NULL));
    stayline_event *past = NULL;
    must(stayline_events_next(events, &past, NULL));
    stayline_event_info again = info;
    must(stayline_event_get(past, &again, NULL));
    if (again.data.len != info.data.len || !contains(again.data, info.data)) {
        print_line("another past", way, kind, again.data);
    }
    stayline_event_free(past);
    stayline_events_free(events);
    stayline_event_free(event);
    stayline_subscription_free(stream);
}

typedef struct {
    stayline_server *server;
    stayline_wrapper *wrapper;
} connection;

static connection connected(world *w) {
    connection made = {NULL, NULL};
    must(stayline_coordinator_serve(w->owner, VIEW("127.0.0.1:0"), NULL, &made.server, NULL));
    stayline_wrapper_options options = nowhere();
    options.url = stayline_server_url(made.server);
    options.token = VIEW("t");
    made.wrapper = opened(&options);
    return made;
}

static void wait_and_free(connection made) {
    stayline_outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.struct_size = sizeof outcome;
    must(stayline_wrapper_outcome(made.wrapper, PATIENCE_MS, &outcome, NULL, NULL));
    stayline_wrapper_free(made.wrapper);
    stayline_server_free(made.server);
}

void try_values(void) {
    char data[5100], frame[5200];
    memset(digits, '9', sizeof digits - 1);
    for (size_t at = 0; at < sizeof values / sizeof *values; at++) {
        const char *kind = values[at].name;
        snprintf(data, sizeof data, "{\"v\":%s}", values[at].value);
        snprintf(frame, sizeof frame, "{\"streamEventType\":\"output\",\"data\":%s}", data);

        world w = begin();
        stayline_link *link = linked(&w);
        must(stayline_link_receive(link, stayline_view_of(frame), NULL));
        print_stored(w, "receive", kind, "output");
        stayline_link_free(link);
        end(w);

        w = begin();
        stayline_fail_options options = stayline_fail_options_default();
        options.payload = stayline_view_of(data);
        must(stayline_session_fail(w.session, VIEW("e"), VIEW("m"), &options, NULL, NULL));
        print_stored(w, "fail", kind, "error");
        end(w);

        w = begin();
        connection made = connected(&w);
        must(stayline_wrapper_send(made.wrapper, VIEW("output"), stayline_view_of(data), NULL,
                                   NULL));
        must(stayline_wrapper_agent_event(made.wrapper, VIEW("x"), stayline_view_of(data), NULL));
        must(stayline_wrapper_complete(made.wrapper, 0, (stayline_view){NULL, 0}, NULL));
        wait_and_free(made);
        print_stored(w, "send", kind, "output");
        print_stored(w, "agent_event", kind, "kilocode");
        end(w);
    }
}

/* --- texts for people, and what is shown of names ------------------------------------------------- */

static void print_execution(world w, const char *table, const char *way, const char *kind,
                            const char *id, bool mode) {
    stayline_execution *found = NULL;
    must(stayline_session_execution(w.session, stayline_view_of(id), &found, NULL));
    stayline_execution_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    must(stayline_execution_get(found, &info, NULL));
    print_line(table, way, kind, mode ? info.mode : info.error);
    stayline_execution_free(found);
}

static void fail_it(stayline_wrapper *wrapper, stayline_view v) {
    must(stayline_wrapper_fail(wrapper, v, NULL));
}
static void interrupt_it(stayline_wrapper *wrapper, stayline_view v) {
    must(stayline_wrapper_interrupted(wrapper, v, NULL));
}
static void raise_it(stayline_wrapper *wrapper, stayline_view v) {
    must(stayline_wrapper_raised(wrapper, v, false, STAYLINE_NONE, NULL));
}

void try_words(void) {
    static const struct {
        const char *name;
        void (*say)(stayline_wrapper *, stayline_view);
    } sayings[] = {
        {"wrapper fail", fail_it}, {"interrupted", interrupt_it}, {"raised", raise_it},
    };
    for (size_t at = 0; at < TEXTS; at++) {
        const char *kind = texts[at].name;
        const stayline_view v = texts[at].value;

        world w = begin();
        stayline_link *link = linked(&w);
        must(stayline_link_closed(link, 1006, v, NULL));
        uint16_t code = 0;
        stayline_buffer reason = {NULL, 0};
        must(stayline_link_close_state(link, &code, &reason, NULL));
        print_line("said", "closed", kind, (stayline_view){reason.data, reason.len});
        stayline_buffer_free(&reason);
        stayline_link_free(link);
        must(stayline_session_fail(w.session, VIEW("e"), v, NULL, NULL, NULL));
        print_execution(w, "said", "fail", kind, "e", false);
        end(w);

        w = begin();
        must(stayline_session_finish(w.session, VIEW("e"), STAYLINE_EXECUTION_STATUS_FAILED, v,
                                     STAYLINE_NONE, NULL));
        print_execution(w, "said", "finish", kind, "e", false);
        end(w);

        for (size_t how = 0; how < sizeof sayings / sizeof *sayings; how++) {
            w = begin();
            connection made = connected(&w);
            sayings[how].say(made.wrapper, v);
            wait_and_free(made);
            print_execution(w, "said", sayings[how].name, kind, "e", false);
            end(w);
        }

        w = begin();
        stayline_session *other = NULL;
        must(stayline_coordinator_session(w.owner, VIEW("t"), &other, NULL));
        stayline_start_options options = stayline_start_options_default();
        options.execution_id = VIEW("f");
        options.mode = v;
        stayline_execution *started = NULL;
        if (stayline_session_start(other, &options, &started, NULL) == STAYLINE_STATUS_OK) {
            world there = {w.owner, other};
            print_execution(there, "shown", "mode", kind, "f", true);
        }
        stayline_execution_free(started);
        stayline_session_free(other);
        end(w);
    }
}
