/*
 * What SQLite calls in the place of `fcntl` and `close`; the crate's documentation says why.
 *
 * In C, because `fcntl` takes variable arguments, and because the layout of `struct flock` follows
 * _FILE_OFFSET_BITS, which SQLite sets for itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "sqlite3.h"

/* Headers of older systems lack them. */
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

/* The locks of a -shm file: UNIX_SHM_BASE, and behind UNIX_SHM_DMS. SQLite locks no other file at
 * these bytes. */
enum { FIRST = 120, END = 129 };

/* A descriptor that has been asked for such a lock, until it is closed. SQLite uses one from one
 * thread at a time. No mutex goes over them: one that is held during a fork would stop threads
 * which hold SQLite's own, and those would stay locked in the child. */
struct descriptor {
    /* One more than its number; 0: free. */
    atomic_int taken;
    /* One more than the number of ours, for the same file, that has the locks; 0: none yet. On
     * SQLite's own they would live as long as its mapping in any child. */
    atomic_int lock;
    /* A bit for each byte that is locked there. */
    atomic_uint held;
    /* There are no locks of open files, or no descriptor for them. */
    atomic_bool is_plain;
};

/* Who has more databases open at a time has POSIX locks on the others. */
enum { ROOM = 256 };
static struct descriptor descriptors[ROOM];
/* So many of them have ever been taken. */
static atomic_int used;

/* What SQLite called before. */
static int (*former_fcntl)(int, int, ...);
static int (*former_close)(int);

static struct descriptor *find(int number) {
    const int end = used;
    for (int at = 0; at < end; at++) {
        if (descriptors[at].taken == number + 1)
            return &descriptors[at];
    }
    return NULL;
}

/* NULL: there is no room. */
static struct descriptor *find_or_note(int number) {
    struct descriptor *found = find(number);
    for (int at = 0; found == NULL && at < ROOM; at++) {
        int nobody = 0;
        if (!atomic_compare_exchange_strong(&descriptors[at].taken, &nobody, number + 1))
            continue;
        found = &descriptors[at];
        int end = used;
        while (end <= at && !atomic_compare_exchange_weak(&used, &end, at + 1))
            ;
    }
    return found;
}

/* A descriptor of the same file that shares nothing with the given one; -1: there is none. */
static int open_again(int number) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", number);
    const int mode = fcntl(number, F_GETFL);
    const int opened = mode == -1 ? -1 : open(path, (mode & O_ACCMODE) | O_CLOEXEC);
    if (opened < 0 || opened > STDERR_FILENO)
        return opened;
    /* A program that has closed these may open its own there, or write to them. */
    const int moved = fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(opened);
    return moved;
}

/* What `asked` says, for the open file. */
static int call(struct descriptor *one, int command, struct flock *asked) {
    struct flock own = *asked;
    own.l_pid = 0;
    const int done = former_fcntl(one->lock - 1, command, &own);
    if (done == 0 && command == F_OFD_GETLK)
        *asked = own;
    return done;
}

static int unlock(int number, struct descriptor *one, unsigned bytes, struct flock *asked) {
    int done = 0;
    if (one->held & bytes)
        done = call(one, F_OFD_SETLK, asked);
    /* Locked before this was installed. */
    if (done == 0 && (bytes & ~one->held) != 0)
        done = former_fcntl(number, F_SETLK, asked);
    if (done == 0)
        one->held &= ~bytes;
    return done;
}

static bool is_unsupported(int error) {
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

static int lock_or_look(int number, int command, struct flock *asked) {
    struct descriptor *one = find_or_note(number);
    if (one == NULL || one->is_plain)
        return former_fcntl(number, command, asked);
    const unsigned bytes = ((1u << asked->l_len) - 1) << (asked->l_start - FIRST);
    if (command == F_SETLK && asked->l_type == F_UNLCK)
        return unlock(number, one, bytes, asked);
    if (one->lock == 0)
        one->lock = open_again(number) + 1;
    const int done = one->lock == 0
        ? -1
        : call(one, command == F_SETLK ? F_OFD_SETLK : F_OFD_GETLK, asked);
    if (one->lock == 0 || (done == -1 && is_unsupported(errno) && one->held == 0)) {
        one->is_plain = true;
        return former_fcntl(number, command, asked);
    }
    if (done == 0 && command == F_SETLK)
        one->held |= bytes;
    return done;
}

static bool is_of_an_index(int command, const struct flock *asked) {
    return (command == F_SETLK || command == F_GETLK) && asked != NULL
        && asked->l_whence == SEEK_SET && asked->l_start >= FIRST && asked->l_len > 0
        && asked->l_start + asked->l_len <= END;
}

static int own_fcntl(int number, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    const bool has_lock = command == F_SETLK || command == F_GETLK;
    if (!has_lock || !is_of_an_index(command, argument))
        return former_fcntl(number, command, argument);
    return lock_or_look(number, command, argument);
}

static int own_close(int number) {
    struct descriptor *one = find(number);
    if (one != NULL) {
        struct flock all = {
            .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = FIRST, .l_len = END - FIRST};
        /* A child that is forked in between has the descriptor too. */
        if (one->held != 0)
            call(one, F_OFD_SETLK, &all);
        if (one->lock != 0)
            former_close(one->lock - 1);
        one->held = 0;
        one->lock = 0;
        one->is_plain = false;
        one->taken = 0;
    }
    return former_close(number);
}

/* The mutexes that all of SQLite shares, in the order in which it takes more than one: who opens
 * files makes up names for them, and all of them ask for memory. */
static const int shared[] = {
    SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_VFS1, SQLITE_MUTEX_STATIC_PRNG,
    SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM,
    SQLITE_MUTEX_STATIC_MEM,
};
enum { SHARED = sizeof shared / sizeof *shared };

void staylinelocks_before_fork(void) {
    for (int at = 0; at < SHARED; at++)
        sqlite3_mutex_enter(sqlite3_mutex_alloc(shared[at]));
}

/* In the parent and in the child. */
void staylinelocks_after_fork(void) {
    for (int at = SHARED; at > 0; at--)
        sqlite3_mutex_leave(sqlite3_mutex_alloc(shared[at - 1]));
}

/* In a child: the locks stay the parent's. */
void staylinelocks_let_go(void) {
    const int end = used;
    for (int at = 0; at < end; at++) {
        struct descriptor *one = &descriptors[at];
        if (one->taken == 0)
            continue;
        if (one->lock != 0)
            former_close(one->lock - 1);
        one->lock = 0;
        one->held = 0;
    }
}

int staylinelocks_install(void) {
    /* All file systems of SQLite for Unix share their system calls. */
    sqlite3_vfs *files = sqlite3_vfs_find("unix");
    if (files == NULL || files->iVersion < 3)
        return 0;
    former_fcntl = (int (*)(int, int, ...))files->xGetSystemCall(files, "fcntl");
    former_close = (int (*)(int))files->xGetSystemCall(files, "close");
    if (former_fcntl == NULL || former_close == NULL)
        return 0;
    /* In this order: what is noted is forgotten again. */
    return files->xSetSystemCall(files, "close", (sqlite3_syscall_ptr)own_close) == SQLITE_OK
        && files->xSetSystemCall(files, "fcntl", (sqlite3_syscall_ptr)own_fcntl) == SQLITE_OK;
}
