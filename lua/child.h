/* SPDX-License-Identifier: MIT */
/*
 * A bounded Lua state, apart from whoever hosts it: opened in a pool under an
 * account, given tasks, closed. The host may be another Lua state on the same
 * thread (state.c) or a thread of its own (thread.c). Nothing here touches the
 * host's Lua state, and no error leaves the child: each is a failure that is told.
 *
 * One thread at a time may be in a call on a child, but budget.cancelled, which
 * any may set, and the account's limit.
 */
#ifndef HPW_CHILD_H
#define HPW_CHILD_H

#include <lua.h>

#include "budget.h"
#include "sandbox.h"
#include "share.h"
#include "values.h"

/* What heapwright.state's options say. */
typedef struct child_options {
    pool_share *pool;              /* the caller's, in which it lives; NULL: one of its own, by `config` */
    hpw_config config;             /* of the pool of its own; policy is set */
    const hpw_policy_info *policy; /* of that */
    uint64_t limit;                /* bytes; HPW_NO_LIMIT */
    uint64_t headroom;             /* bytes */
    uint64_t instructions, time;   /* a call's, see budget.h */
    library_set libraries;
    bool finalizers;  /* may scripts set __gc? */
    bool cancellable; /* may another thread end it? */
} child_options;

typedef struct failure {
    hpw_error code;    /* HPW_OK: of the script's own making, which has no code */
    char message[512]; /* empty: the one value of the task's results tells what went wrong */
} failure;

typedef enum task_kind {
    TASK_FILE, /* runs the file `text` */
    TASK_TEXT, /* runs the source text `text` */
    TASK_DUMP, /* runs what lua_dump made of a function of the host's: trusted */
    TASK_CALL, /* calls the global function `text`, whose name may have dots */
    TASK_SET   /* sets the global `text` to the one argument */
} task_kind;

typedef struct task {
    task_kind kind;
    const char *text;
    size_t length;
    pool_share *pool; /* a handle of it is the first argument; NULL: none */
    const values *arguments;
    values *results; /* empty; filled by a task that went well, or with an error's value */
    failure failure; /* of a task that did not */
} task;

/* A zeroed one is closed. */
typedef struct child {
    budget budget; /* first: a Lua state's extra space points to it, and so to the child */
    lua_State *L;  /* NULL: closed */
    hpw_account *account;
    pool_share *share; /* of which the child is a holder */
    bool busy;         /* a task is being performed */
    struct job *job;
    uint64_t asked, had; /* while it opens: the first request refused, and what was in use then */
} child;

/* Opens it with its libraries. False and *why: HPW_LIMIT, HPW_NO_MEMORY; nothing is left then. */
bool child_open(child *c, const child_options *options, failure *why);

/* Performs one task. False where it failed. */
bool child_perform(child *c, task *t);

/*
 * Ends the state, and gives back what it has of the pool, to the last byte. False
 * where something in it is in use still, by a C library that kept it: its pool
 * stays open then. Closing it again does nothing.
 */
bool child_close(child *c);

#endif
