/*
 * misuse [--list] [CASE…]: runs these cases, or all of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "misuse.h"

/* The sanitizers' allocator holds its locks across a fork of a process with threads: a child may wait
 * for one for ever. Forks are for the plain build, and for valgrind. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

static const misuse_case *const lists[] = {
    argument_cases, closing_cases,    thread_cases,     callback_cases,
    panic_cases,    descriptor_cases, every_call_cases,
#ifndef SANITIZED
    fork_cases,
#endif
};

static bool is_chosen(const char *name, int count, char **names) {
    if (count == 0) {
        return true;
    }
    for (int at = 0; at < count; at++) {
        if (strcmp(names[at], name) == 0) {
            return true;
        }
    }
    return false;
}

int main(int count, char **arguments) {
    bool lists_only = count > 1 && strcmp(arguments[1], "--list") == 0;
    char **names = lists_only ? NULL : arguments + 1;
    int names_count = lists_only ? 0 : count - 1;
    int ran = 0;
    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++) {
        for (const misuse_case *one = lists[list]; one->name != NULL; one++) {
            if (!is_chosen(one->name, names_count, names)) {
                continue;
            }
            ran++;
            printf("%s\n", one->name);
            fflush(stdout);
            if (!lists_only) {
                one->run();
            }
        }
    }
    objects_free();
    if (names_count > 0 && ran != names_count) {
        fprintf(stderr, "there is no such case\n");
        return 2;
    }
    return 0;
}
