/* stayline-driver-c: holds the C interface to scenario files. driver.h is the map.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 200809L

#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *answer(driver *driver, const char *line);
static cJSON *perform(driver *driver, request *request);
static void forget(driver *driver);
static void free_link(void *link);
static void free_stream(void *stream);
static void free_notification(void *notification);
static void free_wrapper(void *wrapper);

int main(void)
{
    driver driver = {
        NULL,
        NULL,
        {NULL, free_link},
        {NULL, free_stream},
        {NULL, free_notification},
        {NULL, free_wrapper},
    };
    char *line = NULL;
    size_t room = 0;

    if (stayline_abi_version() != STAYLINE_ABI_VERSION) {
        fputs("stayline-driver-c: the library is not the one of the header\n", stderr);
        return 1;
    }
    while (getline(&line, &room, stdin) >= 0) {
        char *text;

        if (line[strspn(line, " \t\r\n")] == '\0') {
            continue;
        }
        text = answer(&driver, line);
        puts(text);
        fflush(stdout);
        cJSON_free(text);
    }
    free(line);
    forget(&driver);
    return 0;
}

/* The line to answer with. */
static char *answer(driver *driver, const char *line)
{
    request request;
    const argument *id;
    cJSON *told = json_object();
    cJSON *result = NULL;
    char *text;

    if (request_parse(&request, line)) {
        id = argument_given(&request, "id");
        json_with(told, "id", json_raw(id == NULL ? stayline_view_of(NULL) : id->raw));
        result = perform(driver, &request);
    } else {
        json_with(told, "id", json_raw(stayline_view_of(NULL)));
        request_bad(&request, "the line is no JSON object");
    }
    if (request_is_fine(&request)) {
        json_with(told, "ok", result == NULL ? json_raw(stayline_view_of(NULL)) : result);
    } else {
        cJSON_Delete(result);
        json_with(told, "error", request.error);
        request.error = NULL;
    }
    text = needed(cJSON_PrintUnformatted(told));
    cJSON_Delete(told);
    request_clear(&request);
    return text;
}

static cJSON *hello(void)
{
    cJSON *said = json_with(json_object(), "driver", json_word("stayline-driver-c"));

    json_with(said, "version", json_text(stayline_version()));
    return json_with(said, "capabilities", json_list());
}

static cJSON *perform(driver *driver, request *request)
{
    static const operation_entry *const parts[] = {
        coordinator_operations, session_operations, reading_operations,
        link_operations,        wrapper_operations,
    };
    stayline_view name = argument_text(request, "do");
    size_t part;
    const operation_entry *entry;

    if (!request_is_fine(request)) {
        return NULL;
    }
    if (strcmp(name.data, "hello") == 0) {
        return hello();
    }
    if (strcmp(name.data, "reset") == 0) {
        forget(driver);
        return NULL;
    }
    for (part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
        for (entry = parts[part]; entry->name != NULL; entry++) {
            if (strcmp(name.data, entry->name) == 0) {
                return entry->perform(driver, request);
            }
        }
    }
    request_unknown(request, name);
    return NULL;
}

/* Forgets everything of the scenario before. */
static void forget(driver *driver)
{
    registry_clear(&driver->wrappers);
    abandon_coordinator(driver);
    stayline_clock_free(driver->clock);
    driver->clock = NULL;
}

static void free_link(void *link)
{
    stayline_link_free(link);
}

static void free_stream(void *stream)
{
    stayline_subscription_free(stream);
}

static void free_notification(void *notification)
{
    stayline_notification_free(notification);
}

static void free_wrapper(void *wrapper)
{
    stayline_sansio_free(wrapper);
}
