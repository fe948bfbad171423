/* SPDX-License-Identifier: MIT */
/*
 * A program's history as a file: a picture for papers, a timeline, tables.
 *
 *  - HPW_EXPORT_SVG: address against time, see history_svg.c;
 *  - HPW_EXPORT_PERFETTO: trace events as JSON, see history_perfetto.c;
 *  - HPW_EXPORT_CSV: a line for each rectangle, HPW_EXPORT_CURVES: one for each sample, see history_csv.c.
 *
 * A picture and a timeline take two replays: the first one counts what there is to
 * draw, so that the second can leave out or put together what would not fit.
 *
 * Private to the library; needs an operating system.
 */
#ifndef HPW_HISTORY_EXPORT_H
#define HPW_HISTORY_EXPORT_H

#include <stdio.h>

#include "history.h"

typedef enum hpw_export_format {
    HPW_EXPORT_SVG,
    HPW_EXPORT_PERFETTO,
    HPW_EXPORT_CSV,
    HPW_EXPORT_CURVES,
    HPW_EXPORT_FORMATS
} hpw_export_format;

/* The name of a format: "svg" and the like; NULL for no format. */
const char *hpw_export_format_name(hpw_export_format format);

typedef struct hpw_export {
    const char *path;
    hpw_export_format format;
    const char *title;  /* the trace's name: any bytes, which are escaped */
    const char *policy; /* as it is to be called */
    size_t points;      /* samples of the curves */
} hpw_export;

typedef struct hpw_exported {
    hpw_answer answer;
    uint64_t rectangles; /* that there are */
    uint64_t drawn;      /* those with a shape, a slice or a line of their own */
    bool by_time;        /* the timeline is of nanoseconds, not events */
    uint64_t back_at;    /* the first event whose time is before its predecessor's; 0: none */
} hpw_exported;

/*
 * Writes one file, which appears whole or not at all. False and *error: HPW_IO with the
 * system's words; else as hpw_history.
 */
bool hpw_history_export(const hpw_program *program, const hpw_question *question, const hpw_export *what,
                        const atomic_bool *stop, hpw_exported *exported, hpw_trace_error *error);

/* ---- Inside: what the formats share ---------------------------------------------- */

enum { EXPORT_CLASSES = 8, EXPORT_SHARES = 640 };

/* What the first replay of two tells. */
typedef struct export_survey {
    uint64_t count; /* rectangles */
    uint64_t failures;
    uint64_t shares[EXPORT_SHARES]; /* rectangles by the logarithm of their area, see export_share */
} export_survey;

typedef struct exporter {
    const hpw_program *program;
    const hpw_export *what;
    const hpw_question *question;
    export_survey survey;
    hpw_exported *exported;
    FILE *file;
    void *state; /* the format's own, freed by the caller */
} exporter;

/* A format: what is told, and what stands before and behind it. */
typedef struct export_writer {
    const char *name;
    bool surveys;               /* wants the first replay */
    bool (*begin)(exporter *e); /* false: no memory */
    void (*end)(exporter *e);
    hpw_history_sink sink; /* its `ud` is an exporter */
} export_writer;

extern const export_writer export_svg, export_perfetto, export_csv, export_curves;

/* Granted bytes times events, by its logarithm: 8 steps to each doubling. */
unsigned export_share(const hpw_rectangle *rectangle);

/* The least share such that no more than `most` rectangles have that or a larger one. */
unsigned export_threshold(const export_survey *survey, uint64_t most);

/* The colour that a granted size has, 0 ... EXPORT_CLASSES - 1, and the largest size of each; the last has
 * no largest. */
unsigned export_class(uint64_t granted);
extern const uint64_t export_class_most[EXPORT_CLASSES - 1];

/*
 * Writes any bytes as text of XML or of a JSON string. What is no UTF-8, and control
 * characters, become U+FFFD: XML has no way to write them.
 */
void export_xml(FILE *file, const char *text);
void export_json(FILE *file, const char *text);

#endif
