/* Building results. cJSON makes the trees; leaves are written here, since its texts end at the
 * first NUL and its numbers are doubles.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *needed(void *pointer)
{
    if (pointer == NULL) {
        fputs("stayline-driver-c: out of memory\n", stderr);
        abort();
    }
    return pointer;
}

cJSON *json_object(void)
{
    return needed(cJSON_CreateObject());
}

cJSON *json_list(void)
{
    return needed(cJSON_CreateArray());
}

cJSON *json_text(stayline_view text)
{
    char *quoted;
    char *end;
    size_t place;
    cJSON *json;

    if (text.data == NULL) {
        return needed(cJSON_CreateNull());
    }
    /* A control character takes six bytes; two quotes and the end come on top. */
    quoted = needed(malloc(text.len * 6 + 3));
    end = quoted;
    *end++ = '"';
    for (place = 0; place < text.len; place++) {
        unsigned char byte = (unsigned char)text.data[place];

        if (byte == '"' || byte == '\\') {
            *end++ = '\\';
            *end++ = (char)byte;
        } else if (byte < 0x20) {
            end += sprintf(end, "\\u%04x", (unsigned)byte);
        } else {
            *end++ = (char)byte;
        }
    }
    *end++ = '"';
    *end = '\0';
    json = needed(cJSON_CreateRaw(quoted));
    free(quoted);
    return json;
}

cJSON *json_word(const char *word)
{
    return json_text(stayline_view_of(word));
}

cJSON *json_flag(bool flag)
{
    return needed(cJSON_CreateBool(flag));
}

cJSON *json_number(uint64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return needed(cJSON_CreateRaw(text));
}

cJSON *json_moment(int64_t ms)
{
    char text[32];

    if (ms == STAYLINE_NONE) {
        return needed(cJSON_CreateNull());
    }
    snprintf(text, sizeof(text), "%" PRId64, ms);
    return needed(cJSON_CreateRaw(text));
}

/* What is stored is JSON; if it were not, the comparison shall say so. */
cJSON *json_raw(stayline_view json)
{
    const char *end = NULL;
    cJSON *parsed;
    cJSON *raw;
    char *text;

    if (json.data == NULL) {
        return needed(cJSON_CreateNull());
    }
    parsed = cJSON_ParseWithLengthOpts(json.data, json.len, &end, 0);
    while (parsed != NULL && end < json.data + json.len && strchr(" \t\r\n", *end) != NULL) {
        end++;
    }
    if (parsed == NULL || end != json.data + json.len) {
        cJSON_Delete(parsed);
        return json_with(json_object(), "not JSON", json_text(json));
    }
    cJSON_Delete(parsed);
    text = needed(malloc(json.len + 1));
    memcpy(text, json.data, json.len);
    text[json.len] = '\0';
    /* An answer is one line. */
    cJSON_Minify(text);
    raw = needed(cJSON_CreateRaw(text));
    free(text);
    return raw;
}

cJSON *json_with(cJSON *object, const char *name, cJSON *value)
{
    if (!cJSON_AddItemToObject(object, name, value)) {
        needed(NULL);
    }
    return object;
}

void json_append(cJSON *list, cJSON *value)
{
    /* What could not be read has left its error in the request. */
    if (value == NULL) {
        return;
    }
    if (!cJSON_AddItemToArray(list, value)) {
        needed(NULL);
    }
}
