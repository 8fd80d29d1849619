/* One request: its arguments, and what went wrong with it. A missing argument and null are the
 * same, except where argument_given is asked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *text);
static const argument *read_argument(const request *request, const char *name);
static void missing(request *request, const char *name);
static void unfit(request *request, const argument *found, const char *shape);
static stayline_view decoded(const argument *found);
static bool as_integer(const argument *found, int64_t *value);

bool request_parse(request *request, const char *line)
{
    const char *place = skip_space(line);

    memset(request, 0, sizeof(*request));
    if (*place != '{') {
        return false;
    }
    place = skip_space(place + 1);
    if (*place == '}') {
        return *skip_space(place + 1) == '\0';
    }
    for (;;) {
        argument *next;
        const char *end = NULL;

        request->arguments =
            needed(realloc(request->arguments, (request->count + 1) * sizeof(argument)));
        next = &request->arguments[request->count++];
        memset(next, 0, sizeof(*next));
        next->name = cJSON_ParseWithOpts(place, &end, 0);
        if (!cJSON_IsString(next->name) || *(place = skip_space(end)) != ':') {
            return false;
        }
        place = skip_space(place + 1);
        next->value = cJSON_ParseWithOpts(place, &end, 0);
        if (next->value == NULL) {
            return false;
        }
        next->raw.data = place;
        next->raw.len = (size_t)(end - place);
        place = skip_space(end);
        if (*place == '}') {
            return *skip_space(place + 1) == '\0';
        }
        if (*place != ',') {
            return false;
        }
        place = skip_space(place + 1);
    }
}

void request_clear(request *request)
{
    size_t place;

    for (place = 0; place < request->count; place++) {
        cJSON_Delete(request->arguments[place].name);
        cJSON_Delete(request->arguments[place].value);
    }
    free(request->arguments);
    cJSON_Delete(request->error);
    memset(request, 0, sizeof(*request));
}

const argument *argument_given(const request *request, const char *name)
{
    size_t place = request->count;

    /* Of several with one name the last counts. */
    while (place-- > 0) {
        if (strcmp(request->arguments[place].name->valuestring, name) == 0) {
            return &request->arguments[place];
        }
    }
    return NULL;
}

stayline_view argument_optional_text(request *request, const char *name)
{
    static const stayline_view none = {NULL, 0};
    const argument *found = read_argument(request, name);

    if (found == NULL) {
        return none;
    }
    if (!cJSON_IsString(found->value)) {
        unfit(request, found, "a string");
        return none;
    }
    return decoded(found);
}

stayline_view argument_text(request *request, const char *name)
{
    if (read_argument(request, name) == NULL) {
        missing(request, name);
    }
    return argument_optional_text(request, name);
}

int64_t argument_optional_integer(request *request, const char *name, int64_t missing_value)
{
    const argument *found = read_argument(request, name);
    int64_t value = missing_value;

    if (found != NULL && !as_integer(found, &value)) {
        unfit(request, found, "an integer");
    }
    return value;
}

int64_t argument_integer(request *request, const char *name)
{
    if (read_argument(request, name) == NULL) {
        missing(request, name);
    }
    return argument_optional_integer(request, name, 0);
}

uint64_t argument_optional_number(request *request, const char *name, uint64_t most,
                                  uint64_t missing_value)
{
    const argument *found = read_argument(request, name);
    int64_t value = 0;

    if (found == NULL) {
        return missing_value;
    }
    if (!as_integer(found, &value) || value < 0 || (uint64_t)value > most) {
        unfit(request, found, "a small enough integer from 0");
        return missing_value;
    }
    return (uint64_t)value;
}

uint64_t argument_number(request *request, const char *name, uint64_t most)
{
    if (read_argument(request, name) == NULL) {
        missing(request, name);
    }
    return argument_optional_number(request, name, most, 0);
}

bool argument_flag(request *request, const char *name)
{
    const argument *found = read_argument(request, name);

    if (found != NULL && !cJSON_IsBool(found->value)) {
        unfit(request, found, "true or false");
    }
    return found != NULL && cJSON_IsTrue(found->value);
}

stayline_view argument_optional_object(request *request, const char *name)
{
    static const stayline_view none = {NULL, 0};
    const argument *found = read_argument(request, name);

    if (found == NULL) {
        return none;
    }
    if (!cJSON_IsObject(found->value)) {
        unfit(request, found, "an object");
        return none;
    }
    return found->raw;
}

texts argument_optional_texts(request *request, const char *name)
{
    const argument *found = read_argument(request, name);
    const cJSON *item;
    texts list = {NULL, 0};

    if (found == NULL) {
        return list;
    }
    if (!cJSON_IsArray(found->value)) {
        unfit(request, found, "a list of strings");
        return list;
    }
    /* An empty list is not the same as none: there is room for one more. */
    list.items = needed(calloc((size_t)cJSON_GetArraySize(found->value) + 1, sizeof(*list.items)));
    cJSON_ArrayForEach (item, found->value) {
        if (!cJSON_IsString(item)) {
            unfit(request, found, "a list of strings");
            break;
        }
        list.items[list.count++] = stayline_view_of(item->valuestring);
    }
    return list;
}

int argument_optional_word(request *request, const char *name, const char *const *words)
{
    const argument *found = read_argument(request, name);
    int place;

    if (found == NULL) {
        return -1;
    }
    for (place = 0; words[place] != NULL; place++) {
        if (cJSON_IsString(found->value) && strcmp(found->value->valuestring, words[place]) == 0) {
            return place;
        }
    }
    unfit(request, found, "a known word");
    return -1;
}

int32_t argument_optional_status(request *request, const char *name)
{
    const argument *found = read_argument(request, name);
    stayline_view word =
        found == NULL ? stayline_view_of(NULL) : argument_optional_text(request, name);
    int32_t status;

    if (word.data == NULL) {
        return 0;
    }
    for (status = STAYLINE_EXECUTION_STATUS_PENDING;; status++) {
        stayline_view known = stayline_execution_status_name(status);

        if (known.data == NULL) {
            unfit(request, found, "a known word");
            return 0;
        }
        if (known.len == word.len && memcmp(known.data, word.data, word.len) == 0) {
            return status;
        }
    }
}

stayline_settings *argument_settings(request *from)
{
    stayline_view object = argument_optional_object(from, "settings");
    stayline_settings *settings = NULL;
    request fields;
    size_t place;
    char *text;

    if (!request_is_fine(from) ||
        !request_called(from, stayline_settings_new(&settings, &from->refusal)) ||
        object.data == NULL) {
        return settings;
    }
    /* The object is read in its turn, for the sake of the JSON of each value. */
    text = needed(malloc(object.len + 1));
    memcpy(text, object.data, object.len);
    text[object.len] = '\0';
    request_parse(&fields, text);
    for (place = 0; place < fields.count && request_is_fine(from); place++) {
        stayline_view name = stayline_view_of(fields.arguments[place].name->valuestring);

        request_called(from, stayline_settings_set(settings, name, fields.arguments[place].raw,
                                                   &from->refusal));
    }
    request_clear(&fields);
    free(text);
    if (!request_is_fine(from)) {
        stayline_settings_free(settings);
        settings = NULL;
    }
    return settings;
}

bool request_is_fine(const request *request)
{
    return request->error == NULL;
}

void request_bad(request *request, const char *format, ...)
{
    char message[512];
    va_list values;

    if (!request_is_fine(request)) {
        return;
    }
    va_start(values, format);
    vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    request->error = json_with(json_object(), "name", json_word("BadArgument"));
    json_with(request->error, "message", json_word(message));
}

void request_unknown(request *request, stayline_view operation)
{
    if (!request_is_fine(request)) {
        return;
    }
    request->error = json_with(json_object(), "name", json_word("UnknownOperation"));
    json_with(request->error, "message", json_word("there is no operation of that name"));
    json_with(request->error, "operation", json_text(operation));
}

bool request_called(request *request, stayline_status status)
{
    if (status == STAYLINE_STATUS_OK) {
        return true;
    }
    if (request_is_fine(request)) {
        request->error = json_raw(stayline_error_json(request->refusal));
    }
    stayline_error_free(request->refusal);
    request->refusal = NULL;
    return false;
}

/* --- helpers --------------------------------------------------------------------------------- */

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

static const argument *read_argument(const request *request, const char *name)
{
    const argument *found = argument_given(request, name);

    return found == NULL || cJSON_IsNull(found->value) ? NULL : found;
}

static void missing(request *request, const char *name)
{
    request_bad(request, "argument \"%s\" is missing", name);
}

static void unfit(request *request, const argument *found, const char *shape)
{
    /* A long one is cut, but not in the middle of a character: the request is ASCII there or not
     * told at all. */
    size_t len = found->raw.len < 200 ? found->raw.len : 0;

    request_bad(request, "argument \"%s\" is %.*s, not %s", found->name->valuestring, (int)len,
                found->raw.data, shape);
}

/* A string with its length. cJSON decodes "\u0000" to a NUL and goes on behind it, but keeps no
 * length; how long the decoded text is can be told from the encoded one. */
static stayline_view decoded(const argument *found)
{
    const char *place = found->raw.data + 1;
    const char *end = found->raw.data + found->raw.len - 1;
    stayline_view text = {found->value->valuestring, 0};

    while (place < end) {
        if (*place != '\\') {
            place += 1;
            text.len += 1;
        } else if (place[1] != 'u') {
            place += 2;
            text.len += 1;
        } else {
            char digits[5] = {place[2], place[3], place[4], place[5], '\0'};
            unsigned long point = strtoul(digits, NULL, 16);

            place += 6;
            if (point >= 0xD800 && point < 0xDC00) {
                /* Its other half comes behind it. */
                place += 6;
                text.len += 4;
            } else {
                text.len += point < 0x80 ? 1 : point < 0x800 ? 2 : 3;
            }
        }
    }
    return text;
}

/* From the request's own digits: `1.0` is no integer. */
static bool as_integer(const argument *found, int64_t *value)
{
    char digits[24];
    char *end = NULL;
    long long number;

    if (!cJSON_IsNumber(found->value) || found->raw.len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, found->raw.data, found->raw.len);
    digits[found->raw.len] = '\0';
    errno = 0;
    number = strtoll(digits, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *value = (int64_t)number;
    return true;
}
