/*
 * What the parts of the driver share. It holds the C interface to scenario files: one JSON object
 * a line on stdin, one answer a line on stdout; docs/drivers.md lists the operations.
 *
 *   main.c         lines, and who performs which operation
 *   arguments.c    one request: its arguments, and what went wrong with it
 *   answer.c       building results
 *   registry.c     objects by the names that the interpreter gives them
 *   coordinator.c  the coordinator, its clock and its notifications
 *   session.c      what is done to one session
 *   reading.c      the events of a session: the past, and streams
 *   link.c         links
 *   wrapper.c      the wrapper's machine
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STAYLINE_TESTS_DRIVER_H
#define STAYLINE_TESTS_DRIVER_H

#include <cJSON.h>
#include <stayline.h>

/* --- requests (arguments.c) ------------------------------------------------------------------ */

/* One argument. `raw` is its JSON as it stands in the request: numbers beyond 2^53 and the text of
 * events would not survive a tree of doubles. */
typedef struct {
    cJSON *name;
    cJSON *value;
    stayline_view raw;
} argument;

/* One request. The first thing that goes wrong with it stays in `error`, and is its answer: whoever
 * reads arguments reads all of them, and looks once. `refusal` is where calls leave their error,
 * until request_called has looked at it. */
typedef struct {
    argument *arguments;
    size_t count;
    cJSON *error;
    stayline_error *refusal;
} request;

/* Whether a list of texts was given, and which. */
typedef struct {
    stayline_view *items; /* NULL: not given */
    size_t count;
} texts;

/* Reads a line, which has to outlive the request. False: it is no JSON object. */
bool request_parse(request *request, const char *line);
void request_clear(request *request);

/* As it is; NULL only when it is missing. */
const argument *argument_given(const request *request, const char *name);
/* Texts live as long as the request; no text, 0 or false where there is none. */
stayline_view argument_text(request *request, const char *name);
stayline_view argument_optional_text(request *request, const char *name);
int64_t argument_integer(request *request, const char *name);
int64_t argument_optional_integer(request *request, const char *name, int64_t missing);
/* From 0 to `most`. */
uint64_t argument_number(request *request, const char *name, uint64_t most);
uint64_t argument_optional_number(request *request, const char *name, uint64_t most,
                                  uint64_t missing);
bool argument_flag(request *request, const char *name);
/* The JSON of an object, or no text. */
stayline_view argument_optional_object(request *request, const char *name);
/* Free `items`. */
texts argument_optional_texts(request *request, const char *name);
/* The place, from 0, in a list that ends with NULL; -1 where there is none. */
int argument_optional_word(request *request, const char *name, const char *const *words);
/* A stayline_execution_status; 0 where there is none. */
int32_t argument_optional_status(request *request, const char *name);
/* Free them; NULL when they were refused. */
stayline_settings *argument_settings(request *request);

/* Go on only while nothing has gone wrong. */
bool request_is_fine(const request *request);
/* The request cannot be performed as it is. */
void request_bad(request *request, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;
/* No operation of that name. */
void request_unknown(request *request, stayline_view operation);
/* What a call returned: true if it is OK, otherwise the refusal, which is freed, is the answer. */
bool request_called(request *request, stayline_status status);

/* --- results (answer.c) ---------------------------------------------------------------------- */

/* What is needed to go on; without memory there is no answer to give. */
void *needed(void *pointer);

cJSON *json_object(void);
cJSON *json_list(void);
/* null for no text. */
cJSON *json_text(stayline_view text);
cJSON *json_word(const char *word);
cJSON *json_flag(bool flag);
cJSON *json_number(uint64_t number);
/* null for STAYLINE_NONE. */
cJSON *json_moment(int64_t ms);
/* JSON that is there already. */
cJSON *json_raw(stayline_view json);
/* Adds a field, and gives the object back. */
cJSON *json_with(cJSON *object, const char *name, cJSON *value);
void json_append(cJSON *list, cJSON *value);

/* --- objects by name (registry.c) ------------------------------------------------------------ */

typedef struct registry_entry registry_entry;

typedef struct {
    registry_entry *first;
    void (*free_object)(void *object);
} registry;

/* Takes the object over; the one that had the name is freed. */
void registry_put(registry *registry, stayline_view name, void *object);
/* NULL: there is none. */
void *registry_get(const registry *registry, stayline_view name);
void registry_remove(registry *registry, stayline_view name);
void registry_clear(registry *registry);

/* --- the driver ------------------------------------------------------------------------------ */

/* All that a scenario made. */
typedef struct {
    stayline_coordinator *coordinator;
    stayline_clock *clock;
    registry links;
    registry streams;
    registry notifications;
    registry wrappers;
} driver;

/* Performs one operation. NULL: its result is null, or the request has an error. */
typedef cJSON *(*operation)(driver *driver, request *request);

/* The operations of one part; the last has no name. */
typedef struct {
    const char *name;
    operation perform;
} operation_entry;

extern const operation_entry coordinator_operations[];
extern const operation_entry session_operations[];
extern const operation_entry reading_operations[];
extern const operation_entry link_operations[];
extern const operation_entry wrapper_operations[];

/* The coordinator, where one is open; otherwise the request has an error. */
stayline_coordinator *open_coordinator(driver *driver, request *request);
/* The session that the request names; free it. NULL: the request has an error. */
stayline_session *named_session(driver *driver, request *request);
/* Drops the coordinator and what belongs to it, as a crash would. */
void abandon_coordinator(driver *driver);

#endif
