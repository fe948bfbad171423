/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under the recorder (preload/) and lists the traces that it and
 * its children wrote. Private to the library; hosted only.
 */
#ifndef HPW_RECORD_H
#define HPW_RECORD_H

#include "trace.h"

/* One trace of a recording. */
typedef struct hpw_recorded {
    char *file;
    char program[32];
    uint64_t child; /* N of FILE.N-NAME; 0: the main program */
    uint64_t events;
    uint64_t peak;     /* most bytes live at once */
    char warning[512]; /* what is wrong with it, "" for nothing */
} hpw_recorded;

typedef struct hpw_recording {
    int status; /* the program's exit status, 128 + the signal that killed it */
    size_t count;
    hpw_recorded *traces; /* the main program's first, then by N */
    char warning[256];    /* "", or why there is no trace of the main program */
} hpw_recording;

/*
 * Runs argv (NULL-terminated; argv[0] is looked for along PATH) with `library`,
 * libheapwright-record.so, put before what LD_PRELOAD names already, waits for
 * it, and fills *recording, whose traces hpw_recording_free frees. SIGINT,
 * SIGTERM, SIGHUP and SIGQUIT that another process sends to this one go on to
 * the program. An older FILE and its children's traces are removed first.
 *
 * A child that outlives the program goes on recording; its trace is listed as
 * far as it was written. Programs that are statically linked or run with more
 * privileges than their caller, and children started without LD_PRELOAD in their
 * environment, are not recorded.
 *
 * False and *error, with no trace left behind, if
 *  - HPW_INVALID_ARGUMENT: argv is empty; the path of the library holds a blank
 *    or a colon, by which LD_PRELOAD separates; FILE is a folder or a device;
 *  - HPW_IO: FILE can't be created, the library can't be read, the program is
 *    not found or can't be run, the system has no process for it;
 *  - HPW_NO_MEMORY.
 * Cost: the program's, and one pass over the traces.
 */
bool hpw_record_run(char *const argv[], const char *file, const char *library, hpw_recording *recording,
                    hpw_trace_error *error);

void hpw_recording_free(hpw_recording *recording);

#endif
