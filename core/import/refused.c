/* SPDX-License-Identifier: MIT */
/* What tells sums of allocations, not allocations: recognised, so that it can be said. */
#include "import.h"

static bool begins(hpw_line line, const char *word) {
    size_t n = strlen(word);
    return (size_t)(line.end - line.next) >= n && !memcmp(line.next, word, n);
}

static bool is_dhat(hpw_line line, hpw_line text, uint64_t number) {
    (void)text;
    return number == 1 && begins(line, "{\"dhatFileVersion\"");
}

/* `desc: `, and `cmd: ` in the next line. */
static bool is_massif(hpw_line line, hpw_line text, uint64_t number) {
    if (number != 1 || !begins(line, "desc:")) return false;
    const char *end = memchr(text.next, '\n', (size_t)(text.end - text.next));
    return end && begins((hpw_line){.next = end + 1, .end = text.end}, "cmd:");
}

const hpw_importer hpw_import_dhat = {
    .name = "dhat",
    .recognise = is_dhat,
    .refuses = "is DHAT's output: sums for each place of the program, no single allocations; record with "
               "`heapwright record` or `valgrind --trace-malloc=yes`",
};

const hpw_importer hpw_import_massif = {
    .name = "massif",
    .recognise = is_massif,
    .refuses = "is massif's output: the heap's size at some moments, no single allocations; record with "
               "`heapwright record` or `valgrind --trace-malloc=yes`",
};
