/* SPDX-License-Identifier: MIT */
/*
 * A history as a picture: address upwards against events to the right, in one SVG file.
 *
 * Each rectangle is one, coloured by its granted size in eight steps of viridis (Smith and
 * van der Walt, 2015), whose lightness grows with the size, so that it can be told apart
 * without colours; free space is the ground. Failures are crosses on a line above, the
 * high-water mark is a dashed line, bytes in use a black curve in a panel of its own below,
 * with granted bytes beside it.
 *
 * Of more than MOST_SHAPES rectangles those of at least SHAPE_WIDTH by SHAPE_HEIGHT pixels are
 * drawn; they do not overlap, so there are PLOT_WIDTH * PLOT_HEIGHT / (SHAPE_WIDTH * SHAPE_HEIGHT)
 * at most. The others are added up in cells of CELL pixels: a cell has the colour of
 * the class that covers most of it, and is as dense as it is covered, in DENSITIES steps. Cells
 * of a row that look alike are one stroke. So the file stays below 6 MB, and is
 * below 1 MB as a rule, whatever the trace's length.
 *
 * Memory: 32 bytes a cell, 4.5 MB. Time: O(1) a rectangle, and a step for each cell that it
 * covers in part.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "history_export.h"

enum {
    PLOT_WIDTH = 1000,
    PLOT_HEIGHT = 560,
    PANEL_HEIGHT = 100,
    LEFT = 90,
    TOP = 76,
    RIGHT = 40,
    GAP = 44,
    BOTTOM = 84,
    CELL = 2,
    COLUMNS = PLOT_WIDTH / CELL,
    ROWS = PLOT_HEIGHT / CELL,
    DENSITIES = 6,
    MOST_SHAPES = 20000,
    SHAPE_WIDTH = 4,
    SHAPE_HEIGHT = 3,
    WIDTH = LEFT + PLOT_WIDTH + RIGHT,
    PANEL_TOP = TOP + PLOT_HEIGHT + GAP,
    HEIGHT = PANEL_TOP + PANEL_HEIGHT + BOTTOM,
    MOST_POINTS = PLOT_WIDTH,
};

static const char *const colours[EXPORT_CLASSES] = {"#440154", "#46337e", "#365c8d", "#277f8e",
                                                    "#1fa187", "#4ac16d", "#a0da39", "#fde725"};

typedef struct point {
    double x, in_use, granted;
} point;

typedef struct picture {
    uint64_t events, most; /* what the axes end at */
    bool all;              /* each rectangle has a shape */
    uint64_t shapes;
    float cells[ROWS][COLUMNS][EXPORT_CLASSES]; /* the share of the cell that each class covers */
    bool failed[PLOT_WIDTH + 1];                /* at that pixel */
    point points[MOST_POINTS];
    size_t point_count;
} picture;

/* ---- Places ---- */

static double clamped(double at, double most) { return at < 0 ? 0 : at > most ? most : at; }

/* From the plot's left; event 1 begins there. */
static double across(const picture *p, uint64_t event) {
    return clamped((double)(event - 1) / (double)p->events * PLOT_WIDTH, PLOT_WIDTH);
}

/* From the bottom. */
static double up(const picture *p, uint64_t address) {
    return clamped((double)address / (double)p->most * PLOT_HEIGHT, PLOT_HEIGHT);
}

/* ---- Axes ---- */

/* A number with its thousands apart by commas. */
static void put_count(FILE *file, uint64_t n) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) fputc(',', file);
        fputc(digits[i], file);
    }
}

/* Bytes in the largest unit of which they are a whole number. */
static void put_bytes(FILE *file, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    while (bytes && unit < 4 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    put_count(file, bytes);
    fprintf(file, " %s", units[unit]);
}

/* A step of 1, 2 or 5 times a power of ten, `most` in eight of them at most. */
static uint64_t decimal_step(uint64_t most) {
    static const unsigned factors[] = {1, 2, 5};
    uint64_t power = 1;
    for (unsigned i = 0; most / power / factors[i] > 8;) {
        i = (i + 1) % 3;
        if (!i) power *= 10;
        if (most / power / factors[i] <= 8) return power * factors[i];
    }
    return 1;
}

static uint64_t binary_step(uint64_t most) {
    uint64_t step = 1;
    while (most / step > 8) step *= 2;
    return step;
}

static void put_across_axis(const exporter *e, const picture *p, int bottom) {
    FILE *file = e->file;
    uint64_t step = decimal_step(p->events);
    for (uint64_t at = step; at <= p->events; at += step) {
        double x = LEFT + (double)at / (double)p->events * PLOT_WIDTH;
        fprintf(file, "<path class=\"axis\" d=\"M%.1f %dv5\"/><text class=\"middle\" x=\"%.1f\" y=\"%d\">", x,
                bottom, x, bottom + 18);
        put_count(file, at);
        fputs("</text>\n", file);
    }
    fprintf(file, "<text class=\"middle\" x=\"%d\" y=\"%d\">event</text>\n", LEFT + PLOT_WIDTH / 2,
            bottom + 36);
}

/* Ticks of bytes at the left of a plot. */
static void put_up_axis(const exporter *e, uint64_t most, int bottom, int height, bool few,
                        const char *label) {
    FILE *file = e->file;
    uint64_t step = binary_step(most);
    if (few) step *= 4;
    for (uint64_t at = 0; at <= most; at += step) {
        double y = bottom - (double)at / (double)most * height;
        fprintf(file, "<path class=\"axis\" d=\"M%d %.1fh-5\"/><text class=\"right\" x=\"%d\" y=\"%.1f\">",
                LEFT, y, LEFT - 9, y + 4);
        put_bytes(file, at);
        fputs("</text>\n", file);
    }
    double middle = bottom - height / 2.0;
    fprintf(file, "<text class=\"middle\" transform=\"translate(14 %.1f) rotate(-90)\">%s</text>\n", middle,
            label);
}

/* ---- Before the rectangles ---- */

static void put_words(const exporter *e) {
    export_xml(e->file, e->what->title);
    fputs(" under ", e->file);
    export_xml(e->file, e->what->policy);
    if (!e->question->capacity) {
        fputs(", unbounded pool", e->file);
        return;
    }
    fputs(", pool of ", e->file);
    put_bytes(e->file, e->question->capacity);
}

static void put_summary(const exporter *e, const picture *p) {
    const hpw_answer *a = &e->exported->answer;
    put_count(e->file, p->events);
    fputs(p->events == 1 ? " event, high-water mark " : " events, high-water mark ", e->file);
    put_bytes(e->file, a->high_water);
    fputs(", peak in use ", e->file);
    put_bytes(e->file, a->peak_in_use);
    fputs(", ", e->file);
    put_count(e->file, a->failures);
    fputs(a->failures == 1 ? " failure" : " failures", e->file);
}

static void put_head(const exporter *e, const picture *p) {
    FILE *file = e->file;
    fprintf(
        file,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
        "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\" "
        "fill=\"#222\">\n<title>",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_words(e);
    fputs("</title>\n<desc>Heap map, address against events: ", file);
    put_summary(e, p);
    fputs(".</desc>\n<style>.axis{stroke:#222;fill:none}.middle{text-anchor:middle}.right{text-anchor:end}"
          ".line{fill:none;stroke-width:1.2}.large{stroke:#fff;stroke-width:.4}</style>\n",
          file);
    fprintf(file, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, HEIGHT);
    fprintf(file, "<text x=\"%d\" y=\"24\" font-size=\"16\" font-weight=\"bold\">", LEFT);
    put_words(e);
    fprintf(file, "</text>\n<text x=\"%d\" y=\"44\">", LEFT);
    put_summary(e, p);
    fprintf(file, "</text>\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f0f0f0\"/>\n", LEFT,
            TOP, PLOT_WIDTH, PLOT_HEIGHT);
}

/* The axis ends at the capacity, unless that is far above all that was used. */
static uint64_t most_address(const exporter *e) {
    uint64_t high = e->exported->answer.high_water, capacity = e->question->capacity;
    if (capacity && (capacity / 8 <= high || !high)) return capacity;
    return high ? high : 1;
}

static bool begin(exporter *e) {
    picture *p = e->state = calloc(1, sizeof *p);
    if (!p) return false;
    p->events = hpw_program_summary(e->program)->events;
    if (!p->events) p->events = 1;
    p->most = most_address(e);
    p->all = e->survey.count <= MOST_SHAPES;
    put_head(e, p);
    fprintf(e->file, "<g transform=\"translate(%d %d)\" stroke=\"none\">\n", LEFT, TOP);
    return true;
}

/* ---- Rectangles ---- */

static double overlap(double from, double to, unsigned at) {
    double low = from > at ? from : at, high = to < at + 1.0 ? to : at + 1.0;
    return high > low ? high - low : 0;
}

/* Adds a rectangle to the cells that it covers, in pixels from the left and the top. */
static void add_to_cells(picture *p, double left, double top, double width, double height, unsigned class) {
    double right = (left + width) / CELL, bottom = (top + height) / CELL;
    left /= CELL;
    top /= CELL;
    for (unsigned row = (unsigned)top; row < ROWS && row < bottom; row++) {
        float tall = (float)overlap(top, bottom, row);
        for (unsigned column = (unsigned)left; column < COLUMNS && column < right; column++)
            p->cells[row][column][class] += tall * (float)overlap(left, right, column);
    }
}

static bool put_rectangle(void *ud, const hpw_rectangle *r) {
    exporter *e = ud;
    picture *p = e->state;
    e->exported->rectangles++;
    double left = across(p, r->born), width = across(p, r->died) - left;
    double top = PLOT_HEIGHT - up(p, r->address + r->granted), height = PLOT_HEIGHT - up(p, r->address) - top;
    unsigned class = export_class(r->granted);
    bool large = width >= SHAPE_WIDTH && height >= SHAPE_HEIGHT;
    if (!large && (!p->all || p->shapes >= MOST_SHAPES)) {
        add_to_cells(p, left, top, width, height, class);
        return true;
    }
    p->shapes++;
    fprintf(e->file, "<path %sfill=\"%s\" d=\"M%.2f %.2fh%.2fv%.2fh%.2fz\"/>\n",
            large ? "class=\"large\" " : "", colours[class], left, top, width, height, -width);
    return !ferror(e->file);
}

static bool put_refusal(void *ud, const hpw_refusal *r) {
    picture *p = ((exporter *)ud)->state;
    p->failed[(unsigned)across(p, r->event)] = true;
    return true;
}

static bool put_sample(void *ud, const hpw_sample *s) {
    picture *p = ((exporter *)ud)->state;
    if (p->point_count == MOST_POINTS) return true;
    p->points[p->point_count++] =
        (point){.x = across(p, s->event + 1), .in_use = (double)s->in_use, .granted = (double)s->granted};
    return true;
}

/* ---- After them ---- */

/* What a cell looks like: its class * DENSITIES + its density, or -1: nothing. */
static int look_of(const float shares[EXPORT_CLASSES]) {
    unsigned most = 0;
    float sum = 0;
    for (unsigned i = 0; i < EXPORT_CLASSES; i++) {
        sum += shares[i];
        if (shares[i] > shares[most]) most = i;
    }
    if (sum <= 0) return -1;
    int density = (int)(sum * DENSITIES);
    return (int)most * DENSITIES + (density < DENSITIES ? density : DENSITIES - 1);
}

/* The strokes of a row's cells that look so. */
static void put_strokes(const exporter *e, const picture *p, unsigned row, int look) {
    for (unsigned column = 0; column < COLUMNS; column++) {
        unsigned from = column;
        while (column < COLUMNS && look_of(p->cells[row][column]) == look) column++;
        if (column > from)
            fprintf(e->file, "M%u %uh%u", from * CELL, row * CELL + CELL / 2, (column - from) * CELL);
    }
}

static void put_cells(const exporter *e, const picture *p) {
    bool seen[EXPORT_CLASSES * DENSITIES] = {false};
    for (unsigned row = 0; row < ROWS; row++)
        for (unsigned column = 0; column < COLUMNS; column++) {
            int look = look_of(p->cells[row][column]);
            if (look >= 0) seen[look] = true;
        }
    for (int look = 0; look < EXPORT_CLASSES * DENSITIES; look++) {
        if (!seen[look]) continue;
        fprintf(e->file, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%d\" stroke-opacity=\"%.2f\" d=\"",
                colours[look / DENSITIES], CELL, (look % DENSITIES + 1) / (double)DENSITIES);
        for (unsigned row = 0; row < ROWS; row++) put_strokes(e, p, row, look);
        fputs("\"/>\n", e->file);
    }
}

static void put_marks(const exporter *e, const picture *p) {
    double high = PLOT_HEIGHT - up(p, e->exported->answer.high_water);
    fprintf(e->file, "<path class=\"line\" stroke=\"#222\" stroke-dasharray=\"6 4\" d=\"M0 %.2fh%d\"/>\n",
            high, PLOT_WIDTH);
    for (unsigned x = 0; x <= PLOT_WIDTH; x++)
        if (p->failed[x])
            fprintf(e->file, "<path class=\"line failure\" stroke=\"#d55e00\" d=\"M%d -9l6 6m0 -6l-6 6\"/>\n",
                    (int)x - 3);
}

/* One curve of the panel, whose top is `most` bytes. */
static void put_curve(const exporter *e, const picture *p, double most, bool granted, const char *stroke) {
    fprintf(e->file, "<path class=\"line\" stroke=\"%s\" d=\"M%d %d", stroke, LEFT, PANEL_TOP + PANEL_HEIGHT);
    for (size_t i = 0; i < p->point_count; i++) {
        double value = granted ? p->points[i].granted : p->points[i].in_use;
        fprintf(e->file, "L%.1f %.1f", LEFT + p->points[i].x,
                PANEL_TOP + PANEL_HEIGHT - clamped(value / most, 1) * PANEL_HEIGHT);
    }
    fputs("\"/>\n", e->file);
}

static void put_panel(const exporter *e, const picture *p) {
    uint64_t most = e->exported->answer.peak_granted ? e->exported->answer.peak_granted : 1;
    fprintf(e->file, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f0f0f0\"/>\n", LEFT,
            PANEL_TOP, PLOT_WIDTH, PANEL_HEIGHT);
    put_curve(e, p, (double)most, true, "#0072b2");
    put_curve(e, p, (double)most, false, "#222");
    put_up_axis(e, most, PANEL_TOP + PANEL_HEIGHT, PANEL_HEIGHT, true, "bytes");
    put_across_axis(e, p, PANEL_TOP + PANEL_HEIGHT);
}

static void put_legend(const exporter *e, const picture *p) {
    FILE *file = e->file;
    int x = LEFT, y = HEIGHT - 24;
    for (unsigned i = 0; i < EXPORT_CLASSES; i++, x += 88) {
        fprintf(file,
                "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">", x,
                y, colours[i], x + 16, y + 10);
        fputs(i < EXPORT_CLASSES - 1 ? "≤ " : "&gt; ", file);
        put_bytes(file, export_class_most[i < EXPORT_CLASSES - 1 ? i : i - 1]);
        fputs("</text>\n", file);
    }
    fprintf(file, "<path class=\"line\" stroke=\"#222\" stroke-dasharray=\"6 4\" d=\"M%d %dh22\"/>", x,
            y + 6);
    fprintf(file, "<text x=\"%d\" y=\"%d\">high-water mark</text>\n", x + 27, y + 10);
    fprintf(file, "<path class=\"line\" stroke=\"#d55e00\" d=\"M%d %dl6 6m0 -6l-6 6\"/>", x + 136, y + 3);
    fprintf(file, "<text x=\"%d\" y=\"%d\">failure</text>\n", x + 149, y + 10);
    y = PANEL_TOP - 8;
    fprintf(file,
            "<path class=\"line\" stroke=\"#222\" d=\"M%d %dh22\"/><text x=\"%d\" y=\"%d\">in use</text>\n",
            LEFT, y - 4, LEFT + 27, y);
    fprintf(
        file,
        "<path class=\"line\" stroke=\"#0072b2\" d=\"M%d %dh22\"/><text x=\"%d\" y=\"%d\">granted</text>\n",
        LEFT + 90, y - 4, LEFT + 117, y);
    if (p->shapes == e->exported->rectangles) return;
    fprintf(file, "<text class=\"right\" x=\"%d\" y=\"%d\">", LEFT + PLOT_WIDTH, y);
    put_count(file, e->exported->rectangles - p->shapes);
    fputs(" small rectangles are drawn as density</text>\n", file);
}

static void end(exporter *e) {
    const picture *p = e->state;
    e->exported->drawn = p->shapes;
    put_cells(e, p);
    put_marks(e, p);
    fputs("</g>\n", e->file);
    put_up_axis(e, p->most, TOP + PLOT_HEIGHT, PLOT_HEIGHT, false, "address");
    put_panel(e, p);
    put_legend(e, p);
    fputs("</svg>\n", e->file);
}

const export_writer export_svg = {
    .name = "svg",
    .surveys = true,
    .begin = begin,
    .end = end,
    .sink = {.rectangle = put_rectangle, .refusal = put_refusal, .sample = put_sample},
};
