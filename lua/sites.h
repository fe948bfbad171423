/* SPDX-License-Identifier: MIT */
/*
 * Where scripts call from: each place, a file and a line, once, for as long as the
 * pool lives whose blocks keep it. What a pool keeps is the place's address.
 * Any thread may call any function. None calls Lua.
 */
#ifndef HPW_SITES_H
#define HPW_SITES_H

#include <stddef.h>
#include <stdint.h>

typedef struct sites sites;

/* NULL: the system has no memory. */
sites *sites_open(void);

/* NULL is fine. */
void sites_close(sites *of);

/*
 * The next calls that this thread makes on the pool come from here. Where the system has no memory for a new
 * place, from nowhere. O(1).
 */
void sites_enter(sites *of, const char *source, int line);

/*
 * What sites_enter noted on this thread, if that was the last and of these sites, else 0: those of another
 * pool end with it. A hpw_host's `site`, whose `ud` is the sites.
 */
uint64_t sites_now(void *of);

enum { SITE_TEXT = 96 }; /* holds any */

/* "script.lua:12" into `text`; "" for 0. */
void sites_text(uint64_t site, char *text, size_t size);

#endif
