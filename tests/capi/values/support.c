/*
 * The texts, what is printed, and where it is tried.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "values.h"

static char long_text[3000000];

const named_text texts[TEXTS] = {
    {"no UTF-8", {"r\xff\xfen", 4}},
    {"half of a pair", {"a\xed\xa0\xbd", 4}},
    {"cut short", {"a\xe2\x82", 3}},
    {"a NUL", {"a\0b", 3}},
    {"an escape", {"a\x1b[31mb", 7}},
    {"an escape of one byte", {"a\xc2\x9b" "31mb", 7}},
    {"long", {long_text, sizeof long_text}},
    {"empty", {"", 0}},
};

void must(stayline_status status) {
    if (status != STAYLINE_STATUS_OK) {
        stayline_view name = stayline_status_name(status);
        fprintf(stderr, "unexpected: %.*s\n", STAYLINE_ARG(name));
        exit(1);
    }
}

static void print_text(stayline_view text) {
    putchar('"');
    for (size_t at = 0; at < text.len; at++) {
        unsigned char byte = (unsigned char)text.data[at];
        if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else if (byte < 0x20) {
            printf("\\u%04x", byte);
        } else {
            putchar(byte);
        }
    }
    putchar('"');
}

void print_line(const char *table, const char *way, const char *kind, stayline_view text) {
    printf("%s\t%s\t%s\t", table, way, kind);
    print_text(text);
    putchar('\n');
}

void print_answer(const char *way, const char *kind, stayline_status status,
                         stayline_error *error) {
    stayline_view name = stayline_status_name(status);
    printf("in\t%s\t%s\t%.*s\t", way, kind, STAYLINE_ARG(name));
    if (error != NULL) {
        stayline_view json = stayline_error_json(error);
        printf("%.*s", STAYLINE_ARG(json));
    }
    putchar('\n');
    stayline_error_free(error);
}

world begin(void) {
    world w = {NULL, NULL};
    must(stayline_coordinator_open(VIEW("memory:"), NULL, &w.owner, NULL));
    must(stayline_coordinator_session(w.owner, VIEW("s"), &w.session, NULL));
    stayline_start_options options = stayline_start_options_default();
    options.execution_id = VIEW("e");
    options.token = VIEW("t");
    stayline_execution *execution = NULL;
    must(stayline_session_start(w.session, &options, &execution, NULL));
    stayline_execution_free(execution);
    return w;
}

void end(world w) {
    stayline_session_free(w.session);
    stayline_coordinator_free(w.owner);
}

stayline_link *linked(world *w) {
    stayline_attach_options options = stayline_attach_options_default();
    options.execution_id = VIEW("e");
    options.trusted = true;
    stayline_link *link = NULL;
    must(stayline_session_attach(w->session, &options, &link, NULL));
    return link;
}

stayline_wrapper_options nowhere(void) {
    stayline_wrapper_options options = stayline_wrapper_options_default();
    options.url = VIEW("http://127.0.0.1:1");
    options.session_id = VIEW("s");
    options.execution_id = VIEW("e");
    options.retry_first = true;
    return options;
}

stayline_wrapper *opened(const stayline_wrapper_options *options) {
    stayline_wrapper *wrapper = NULL;
    must(stayline_wrapper_open(options, &wrapper, NULL));
    return wrapper;
}

int main(void) {
    memset(long_text, 'x', sizeof long_text);
    try_texts();
    try_values();
    try_words();
    return 0;
}
