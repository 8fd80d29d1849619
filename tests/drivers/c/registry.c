/* Objects by the names that the interpreter gives them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

struct registry_entry {
    char *name;
    size_t name_len;
    void *object;
    registry_entry *next;
};

/* Where the entry of that name hangs, or would hang: scenarios have a handful of names. */
static registry_entry **place_of(registry_entry **place, stayline_view name)
{
    while (*place != NULL &&
           ((*place)->name_len != name.len || memcmp((*place)->name, name.data, name.len) != 0)) {
        place = &(*place)->next;
    }
    return place;
}

void registry_put(registry *registry, stayline_view name, void *object)
{
    registry_entry *entry;

    registry_remove(registry, name);
    entry = needed(malloc(sizeof(*entry)));
    entry->name = needed(malloc(name.len + 1));
    memcpy(entry->name, name.data, name.len);
    entry->name_len = name.len;
    entry->object = object;
    entry->next = registry->first;
    registry->first = entry;
}

void *registry_get(const registry *registry, stayline_view name)
{
    registry_entry *first = registry->first;
    registry_entry *entry = *place_of(&first, name);

    return entry == NULL ? NULL : entry->object;
}

void registry_remove(registry *registry, stayline_view name)
{
    registry_entry **place = place_of(&registry->first, name);
    registry_entry *entry = *place;

    if (entry == NULL) {
        return;
    }
    *place = entry->next;
    registry->free_object(entry->object);
    free(entry->name);
    free(entry);
}

void registry_clear(registry *registry)
{
    while (registry->first != NULL) {
        stayline_view name = {registry->first->name, registry->first->name_len};

        registry_remove(registry, name);
    }
}
