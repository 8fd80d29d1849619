/*
 * Values that make everything else unreadable, on every way into the library and out of it.
 *
 *   support.c  the texts, what is printed, and where it is tried
 *   ways.c     every way in, each with each text
 *   kept.c     JSON that no number and no string can hold, and texts for people: what comes out
 *
 * A line says what came of each; test_values.py knows what must. values.cpp does the same, line by
 * line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STAYLINE_TESTS_VALUES_H
#define STAYLINE_TESTS_VALUES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stayline.h>

#define PATIENCE_MS 60000
#define VIEW(literal) ((stayline_view){literal, sizeof(literal) - 1})

typedef struct {
    const char *name;
    stayline_view value;
} named_text;

#define TEXTS 8
extern const named_text texts[TEXTS];

/* Ends the program where it is not OK. */
void must(stayline_status status);

void print_line(const char *table, const char *way, const char *kind, stayline_view text);
/* What a way in said; frees the error. */
void print_answer(const char *way, const char *kind, stayline_status status, stayline_error *error);

typedef struct {
    stayline_coordinator *owner;
    stayline_session *session;
} world;

/* A session `s` with the execution `e`, which is pending. */
world begin(void);
void end(world w);
stayline_link *linked(world *w);
/* A wrapper's options for a server that is not there. */
stayline_wrapper_options nowhere(void);
stayline_wrapper *opened(const stayline_wrapper_options *options);

void try_texts(void);
void try_values(void);
void try_words(void);

#endif
