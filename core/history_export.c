/* SPDX-License-Identifier: MIT */
/*
 * Writes a history's file under a name beside its own and renames it: what is there is whole.
 * What the formats share is here as well: see history_export.h.
 */
#include "history_export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bits.h"

static const export_writer *const writers[HPW_EXPORT_FORMATS] = {
    [HPW_EXPORT_SVG] = &export_svg,
    [HPW_EXPORT_PERFETTO] = &export_perfetto,
    [HPW_EXPORT_CSV] = &export_csv,
    [HPW_EXPORT_CURVES] = &export_curves,
};

const char *hpw_export_format_name(hpw_export_format format) {
    return (unsigned)format < HPW_EXPORT_FORMATS ? writers[format]->name : NULL;
}

/* ---- What there is to draw ---- */

unsigned export_share(const hpw_rectangle *rectangle) {
    uint64_t lived = rectangle->died - rectangle->born;
    unsigned bits = bits_highest(rectangle->granted) + bits_highest(lived);
    /* The fractions of both, of 8 each; their sum may pass 1. */
    uint64_t size = bits_highest(rectangle->granted) >= 3
                        ? rectangle->granted >> (bits_highest(rectangle->granted) - 3)
                        : rectangle->granted << (3 - bits_highest(rectangle->granted));
    uint64_t events =
        bits_highest(lived) >= 3 ? lived >> (bits_highest(lived) - 3) : lived << (3 - bits_highest(lived));
    uint64_t product = size * events; /* 64 ... 225: of the fractions, in 64ths */
    if (product >= 128) {
        bits++;
        product /= 2;
    }
    unsigned share = bits * 8 + (unsigned)(product - 64) / 8;
    return share < EXPORT_SHARES ? share : EXPORT_SHARES - 1;
}

unsigned export_threshold(const export_survey *survey, uint64_t most) {
    unsigned share = EXPORT_SHARES;
    for (uint64_t sum = 0; share; share--) {
        sum += survey->shares[share - 1];
        if (sum > most) break;
    }
    return share;
}

static bool survey_rectangle(void *ud, const hpw_rectangle *rectangle) {
    export_survey *survey = &((exporter *)ud)->survey;
    survey->count++;
    survey->shares[export_share(rectangle)]++;
    return true;
}

static bool survey_refusal(void *ud, const hpw_refusal *refusal) {
    (void)refusal;
    ((exporter *)ud)->survey.failures++;
    return true;
}

const uint64_t export_class_most[EXPORT_CLASSES - 1] = {32, 128, 512, 2048, 16384, 131072, 1048576};

unsigned export_class(uint64_t granted) {
    unsigned i = 0;
    while (i < EXPORT_CLASSES - 1 && granted > export_class_most[i]) i++;
    return i;
}

/* ---- Times ---- */

/* The first event whose time is before its predecessor's; 0: none. */
static uint64_t time_goes_back(const hpw_program *program) {
    uint64_t before = 0, now;
    for (uint64_t i = 1; hpw_program_time(program, i, &now); i++) {
        if (now < before) return i;
        before = now;
    }
    return 0;
}

/* ---- Text ---- */

/* The bytes of the character at `text`, 0: it is no UTF-8 (Unicode's table 3-7), or a control character. */
static unsigned length_of(const unsigned char *text) {
    unsigned first = text[0], n = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0x20 || first == 0x7F || (first >= 0x80 && first < 0xC2) || first > 0xF4) return 0;
    if (n == 1) return 1;
    unsigned least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < least || text[1] > most) return 0;
    if (first == 0xC2 && text[1] < 0xA0) return 0; /* the control characters above ASCII */
    if (first == 0xEF && text[1] == 0xBF && text[2] >= 0xBE) return 0; /* no characters */
    for (unsigned i = 2; i < n; i++)
        if (text[i] < 0x80 || text[i] > 0xBF) return 0;
    return n;
}

static void put_text(FILE *file, const char *text, const char *(*escape)(char)) {
    for (const unsigned char *next = (const unsigned char *)text; *next;) {
        unsigned n = length_of(next);
        const char *instead = n == 1 ? escape((char)*next) : NULL;
        if (!n)
            fputs("\xEF\xBF\xBD", file);
        else if (instead)
            fputs(instead, file);
        else
            fwrite(next, 1, n, file);
        next += n ? n : 1;
    }
}

static const char *escape_xml(char c) {
    return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : NULL;
}

/* Also "<", so that a page may hold it. */
static const char *escape_json(char c) {
    return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '<' ? "\\u003c" : NULL;
}

void export_xml(FILE *file, const char *text) { put_text(file, text, escape_xml); }
void export_json(FILE *file, const char *text) { put_text(file, text, escape_json); }

/* ---- Writing ---- */

static hpw_error replay_once(exporter *e, hpw_history_sink sink, const atomic_bool *stop) {
    sink.ud = e;
    sink.points = e->what->points;
    return hpw_history(e->program, e->question, &sink, stop, &e->exported->answer);
}

static hpw_error write_to(exporter *e, const export_writer *writer, const atomic_bool *stop) {
    static const hpw_history_sink survey = {.rectangle = survey_rectangle, .refusal = survey_refusal};
    hpw_error error = writer->surveys ? replay_once(e, survey, stop) : HPW_OK;
    if (error) return error;
    if (!writer->begin(e)) return HPW_NO_MEMORY;
    error = replay_once(e, writer->sink, stop);
    if (!error) writer->end(e);
    return error;
}

static bool refuse(hpw_trace_error *error, hpw_error code, const char *path, const char *why) {
    hpw_trace_fail(error, code, "%s: %s", path, why);
    return false;
}

/* Writes the file called `name`; it is closed afterwards. A sink ends a history for what the file tells. */
static bool write_file(exporter *e, const char *name, const atomic_bool *stop, hpw_trace_error *error) {
    const char *to = e->what->path;
    e->file = fopen(name, "w");
    if (!e->file) return refuse(error, HPW_IO, to, strerror(errno));
    errno = 0;
    hpw_error code = write_to(e, writers[e->what->format], stop);
    free(e->state);
    int why = errno;
    bool written = !fflush(e->file) && !ferror(e->file);
    if (!written && errno) why = errno;
    if (fclose(e->file) && written) {
        written = false;
        why = errno;
    }
    if (!written) return refuse(error, HPW_IO, to, why ? strerror(why) : "it can't be written");
    if (!code) return true;
    hpw_trace_fail(error, code, "%s: the replay failed: %s", e->what->policy, hpw_error_name(code));
    return false;
}

bool hpw_history_export(const hpw_program *program, const hpw_question *question, const hpw_export *what,
                        const atomic_bool *stop, hpw_exported *exported, hpw_trace_error *error) {
    char *name = hpw_trace_part_name(what->path);
    exporter *e = calloc(1, sizeof *e);
    bool separate = name && strcmp(name, what->path) != 0, well = name && e;
    if (!well) refuse(error, HPW_NO_MEMORY, what->path, "no memory to write it");
    if (well) {
        uint64_t first;
        *exported = (hpw_exported){.back_at = time_goes_back(program)};
        exported->by_time = !exported->back_at && hpw_program_time(program, 1, &first);
        *e = (exporter){.program = program, .what = what, .question = question, .exported = exported};
        well = write_file(e, name, stop, error);
        if (well && separate && rename(name, what->path))
            well = refuse(error, HPW_IO, what->path, strerror(errno));
        if (!well && separate) unlink(name);
    }
    free(e);
    free(name);
    return well;
}
