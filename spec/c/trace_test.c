/* SPDX-License-Identifier: MIT */
/*
 * Traces, from C: both formats there and back, every malformed line, files that
 * are none, a pool's events, summaries, a full disk, the table of live blocks.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <sys/stat.h>

#include "trace_files.h"
#include "trace_live.h"

/* ---- Text ------------------------------------------------------------------------------- */

static const char sample[] = "# a comment\n"
                             "a 1 100 64 @5 %3\r\n"
                             "  a\t2 0 %4 # size 0 is legal\n"
                             "\n"
                             "a 18446744073709551615 9223372036854775807\n"
                             "r 1 300 @7\n"
                             "f 2 @9 %4294967295\n"
                             "f 18446744073709551615\n"
                             "a 2 7 1\n"
                             "a 0 16 4611686018427387904 %4 @6\n";

static void test_text(void) {
    static reading r;
    const char *path = in_folder("sample.txt");
    put_file(path, sample, sizeof sample - 1);
    read_trace(path, &r);
    CHECK_EQ(r.ended, 0);
    CHECK_EQ(r.count, 8);
    CHECK(!r.warned);
    CHECK(r.events[0].alignment == 64 && r.events[0].time == 5 && r.events[0].thread == 3);
    CHECK(r.events[0].has_time && r.events[0].has_thread && !r.events[1].has_time);
    CHECK(r.events[2].id == UINT64_MAX && r.events[2].size == INT64_MAX);
    CHECK(r.events[3].kind == HPW_TRACE_RESIZE && r.events[3].previous == 100 && r.events[3].size == 300);
    CHECK(r.events[4].kind == HPW_TRACE_FREE && r.events[4].size == 0 && r.events[4].thread == UINT32_MAX);
    CHECK(r.events[6].slot < 3 && r.events[7].slot < 3); /* dense: never more than three live */
}

static const struct {
    const char *text, *says;
} malformed[] = {
    {"", "is empty"},
    {"# nothing\n\n", "holds no event"},
    {"x 1 2\n", ":1: \"x\" is no event"},
    {"alloc 1 2\n", ":1: \"alloc\" is no event"},
    {"a\n", ":1: the id is missing"},
    {"a 1\n", ":1: the size is missing"},
    {"# one\na 1 2\na 1 3\n", ":3: alloc of id 1, which is live"},
    {"f 1\n", ":1: free of id 1, which is not live"},
    {"r 1 5\n", ":1: resize of id 1, which is not live"},
    {"a 1 2\nf 1\nf 1\n", ":3: free of id 1, which is not live: never allocated, or freed before"},
    {"a -1 2\n", "\"-1\" is no id"},
    {"a 1.5 2\n", "\"1.5\" is no id"},
    {"a 18446744073709551616 2\n", "is no id"},
    {"a 1 -2\n", "\"-2\" is no size"},
    {"a 1 0x10\n", "\"0x10\" is no size"},
    {"a 1 9223372036854775808\n", "\"9223372036854775808\" is no size: 0 to 2^63 - 1"},
    {"a 1 18446744073709551615\n", "is no size"},
    {"a 1 99999999999999999999999999999999999999999999\n",
     "\"99999999999999999999999999999999...\" is no size"},
    {"a 1 2 3\n", "\"3\" is no alignment"},
    {"a 1 2 0\n", "\"0\" is no alignment"},
    {"a 1 2 4 4\n", "\"4\" is too much for this line"},
    {"a 1 2 %1 4\n", "\"4\" is too much for this line"},
    {"a 1 2\nf 1 2\n", ":2: \"2\" is too much"},
    {"a 1 2\nr 1 2 16\n", ":2: \"16\" is too much"},
    {"a 1 2 @\n", "\"@\" is no time"},
    {"a 1 2 @-1\n", "\"@-1\" is no time"},
    {"a 1 2 @1 @2\n", "\"@2\" is a second time"},
    {"a 1 2 %4294967296\n", "is no thread"},
    {"a 1 2 %1 %1\n", "is a second thread"},
    {"a 1 2\n\x01\x02\n", ":2: \"\?\?\" is no event"},
    {"a 1 2\n\211HWT\r\n\032\n", ":2: \""},
};

static void test_malformed(void) {
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        static reading r;
        const char *path = in_folder("malformed.txt");
        put_file(path, malformed[i].text, strlen(malformed[i].text));
        read_trace(path, &r);
        bool well = CHECK(r.ended < 0);
        well &= CHECK(strstr(r.error.message, malformed[i].says) != NULL);
        well &= CHECK(!strncmp(r.error.message, path, strlen(path)));
        well &= CHECK(!strchr(r.error.message, '\n'));
        well &= CHECK_EQ(r.error.code, HPW_CORRUPTED);
        if (!well) printf("  case %zu said: %s\n", i, r.error.message);
    }
}

static void test_lines(void) {
    static reading r;
    const char *path = in_folder("lines.txt");
    static char line[6000];
    put_file(path, "a 1 2\0\n", 7);
    read_trace(path, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, ":1: holds a NUL byte"));
    memset(line, ' ', sizeof line);
    memcpy(line, "a 1 2", 5);
    line[4096] = '\n';
    put_file(path, line, 4097);
    read_trace(path, &r);
    CHECK(r.ended == 0 && r.count == 1);
    line[4096] = ' ';
    put_file(path, line, sizeof line);
    read_trace(path, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, ":1: the line is longer than 4096 bytes"));
    put_file(path, "a 1 2\na 2 34", 12);
    read_trace(path, &r);
    CHECK(r.ended == 0 && r.count == 2 && r.warned && strstr(r.warning, "the last line, 2, has no line end"));
}

static void test_files(void) {
    static reading r;
    read_trace(folder, &r);
    CHECK(r.ended < 0 && r.error.code == HPW_IO && strstr(r.error.message, "is a folder"));
    read_trace(in_folder("absent"), &r);
    CHECK(r.ended < 0 && r.error.code == HPW_IO && strstr(r.error.message, strerror(ENOENT)));
    if (geteuid() != 0) {
        const char *path = in_folder("closed.txt");
        put_file(path, "a 1 2\n", 6);
        chmod(path, 0);
        read_trace(path, &r);
        CHECK(r.error.code == HPW_IO && strstr(r.error.message, strerror(EACCES)));
    }
    /* 4 GiB of nothing, and of lines that are none: refused at the first. */
    const char *path = in_folder("huge");
    put_file(path, "", 0);
    CHECK(truncate(path, (off_t)4 << 30) == 0);
    read_trace(path, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, ":1: holds a NUL byte"));
    put_file(path, "garbage\n", 8);
    CHECK(truncate(path, (off_t)4 << 30) == 0);
    read_trace(path, &r);
    CHECK(r.ended < 0 && strstr(r.error.message, ":1: \"garbage\" is no event"));
    unlink(path);
}

/* ---- Binary, by id ------------------------------------------------------------------------- */

static void test_round_trip(void) {
    static reading text, binary, back;
    hpw_trace_error error = {0};
    char warning[512];
    const char *from = in_folder("sample.txt");
    read_trace(from, &text);
    CHECK(hpw_trace_convert(from, in_folder("sample.hwt"), HPW_TRACE_BINARY, warning, &error));
    CHECK(!*warning);
    read_trace(in_folder("sample.hwt"), &binary);
    CHECK(same(&text, &binary) && !binary.warned && text.count == 8);
    CHECK(hpw_trace_convert(in_folder("sample.hwt"), in_folder("back.txt"), HPW_TRACE_TEXT, NULL, &error));
    read_trace(in_folder("back.txt"), &back);
    CHECK(same(&text, &back) && !back.warned);
    /* Onto itself, and from what can't be read to its end: whole or not at all. */
    CHECK(hpw_trace_convert(in_folder("back.txt"), in_folder("back.txt"), HPW_TRACE_BINARY, NULL, &error));
    read_trace(in_folder("back.txt"), &back);
    CHECK(same(&text, &back));
    put_file(in_folder("bad.txt"), "a 1 2\nx\n", 8);
    CHECK(!hpw_trace_convert(in_folder("bad.txt"), in_folder("back.txt"), HPW_TRACE_TEXT, NULL, &error));
    CHECK(strstr(error.message, "bad.txt:2:"));
    read_trace(in_folder("back.txt"), &back);
    CHECK(same(&text, &back));
}

/* Many chunks: ids, sizes, times and threads of every width survive. */
static void test_many(void) {
    hpw_trace_error error = {0};
    const char *path = in_folder("many.hwt");
    hpw_trace_writer *writer = hpw_trace_create(path, HPW_TRACE_BINARY, &error);
    enum { MANY = 60000 };
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t wide = (uint64_t)1 << i % 63;
        hpw_trace_put(writer, &(hpw_trace_event){.kind = i % 2 ? HPW_TRACE_FREE : HPW_TRACE_ALLOC,
                                                 .id = (i / 2) * 0x9e3779b97f4a7c15u,
                                                 .size = wide,
                                                 .has_time = i % 3 > 0,
                                                 .time = i % 3 ? wide : 0,
                                                 .has_thread = i % 5 > 0,
                                                 .thread = i % 5 ? (uint32_t)wide : 0});
    }
    CHECK(hpw_trace_finish(writer, &error));
    hpw_trace *trace = hpw_trace_open(path, &error);
    hpw_trace_event event;
    uint64_t i = 0, wrong = 0;
    for (; hpw_trace_next(trace, &event, &error) == 1; i++) {
        uint64_t wide = (uint64_t)1 << i % 63, size = i % 2 ? (uint64_t)1 << (i - 1) % 63 : wide;
        wrong += event.id != (i / 2) * 0x9e3779b97f4a7c15u || event.size != size ||
                 event.time != (i % 3 ? wide : 0) || event.thread != (i % 5 ? (uint32_t)wide : 0) ||
                 event.slot != 0;
    }
    CHECK_EQ(i, MANY);
    CHECK_EQ(wrong, 0);
    hpw_trace_close(trace);
}

/* ---- Pools, summaries, disks -------------------------------------------------------------------- */

static void test_sink(void) {
    static reading r;
    hpw_trace_error error = {0};
    const char *path = in_folder("pool.hwt");
    hpw_trace_writer *writer = hpw_trace_create(path, HPW_TRACE_BINARY, &error);
    const hpw_event events[] = {
        {.kind = HPW_EVENT_ALLOC, .thread = 2, .address = 0, .size = 10, .alignment = 64, .time = 1000},
        {.kind = HPW_EVENT_ALLOC, .thread = 2, .address = 64, .size = 20, .time = 1010},
        {.kind = HPW_EVENT_FAILURE, .size = 1 << 30, .time = 1020},
        {.kind = HPW_EVENT_FREE, .address = 512, .time = 1030}, /* from before the recording */
        {.kind = HPW_EVENT_RESIZE, .address = 128, .previous = 0, .size = 100, .time = 1040},
        {.kind = HPW_EVENT_RESIZE, .address = 64, .previous = 64, .size = 30, .time = 1050},
        {.kind = HPW_EVENT_RESIZE, .address = 640, .previous = 512, .size = 5, .time = 1060},
        {.kind = HPW_EVENT_ALLOC, .address = 64, .size = 7, .time = 1070}, /* the pool was reset */
        {.kind = HPW_EVENT_FREE, .address = 128, .time = 1080},
    };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) hpw_trace_sink(writer, &events[i]);
    CHECK(hpw_trace_finish(writer, &error));
    read_trace(path, &r);
    CHECK_EQ(r.ended, 0);
    CHECK_EQ(r.count, 8);
    CHECK(r.events[0].id == 1 && r.events[0].time == 0 && r.events[0].alignment == 64 &&
          r.events[0].thread == 2);
    CHECK(r.events[2].kind == HPW_TRACE_RESIZE && r.events[2].id == 1 && r.events[2].time == 40);
    CHECK(r.events[3].kind == HPW_TRACE_RESIZE && r.events[3].id == 2 && r.events[3].previous == 20);
    CHECK(r.events[4].kind == HPW_TRACE_ALLOC && r.events[4].id == 3);
    CHECK(r.events[5].kind == HPW_TRACE_FREE && r.events[5].id == 2 && r.events[6].id == 4);
    CHECK(r.events[7].kind == HPW_TRACE_FREE && r.events[7].id == 1 && r.events[7].size == 100);
}

static void test_scan(void) {
    hpw_trace_summary s;
    hpw_trace_error error = {0};
    const char *path = in_folder("scan.txt");
    static const char text[] = "a 1 100 @10 %1\na 2 0 @20 %2\nr 1 17 %1\na 3 33 @40 %1\nf 1\n";
    put_file(path, text, sizeof text - 1);
    CHECK(hpw_trace_scan(path, &s, &error));
    CHECK(s.events == 5 && s.allocations == 3 && s.frees == 1 && s.resizes == 1 && s.threads == 2);
    CHECK_EQ(s.peak_in_use, 100);
    CHECK_EQ(s.lower_bound, 112 + 16);
    CHECK(s.peak_blocks == 3 && s.live_blocks == 2 && s.live_bytes == 33 && s.largest == 100 &&
          s.duration == 30);
    static const char much[] = "a 1 9223372036854775807\na 2 9223372036854775807\na 3 9223372036854775807\n";
    put_file(path, much, sizeof much - 1);
    CHECK(!hpw_trace_scan(path, &s, &error) && strstr(error.message, "live at once"));
}

static void test_full_disk(void) {
    hpw_trace_error error = {0};
    CHECK(!hpw_trace_create(in_folder("no/such/folder"), HPW_TRACE_TEXT, &error) && error.code == HPW_IO);
    hpw_trace_writer *writer =
        access("/dev/full", W_OK) ? NULL : hpw_trace_create("/dev/full", HPW_TRACE_TEXT, &error);
    if (writer) hpw_trace_finish(writer, NULL);
    CHECK(!writer && strstr(error.message, strerror(ENOSPC))); /* the title line does not fit already */
    CHECK(!hpw_trace_convert(in_folder("sample.txt"), "/dev/full", HPW_TRACE_BINARY, NULL, &error));
    CHECK(error.code == HPW_IO && strstr(error.message, "/dev/full: "));
}

/* The table against a plain array. */
static void test_table(void) {
    enum { KEYS = 512 };
    static bool model[KEYS];
    hpw_live_table table = {0};
    hpw_slots slots = {0};
    uint64_t random = 1, wrong = 0, count = 0, most = 0;
    for (int step = 0; step < 200000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t key = (random >> 33) % KEYS;
        hpw_live *entry = hpw_live_find(&table, key * 4096);
        wrong += (entry != NULL) != model[key] || (entry && entry->id != key);
        if (entry) {
            hpw_slot_return(&slots, entry->slot);
            hpw_live_remove(&table, entry);
        } else {
            hpw_live fresh = {.key = key * 4096, .id = key};
            wrong += !hpw_slot_take(&slots, &fresh.slot) || !hpw_live_add(&table, &fresh);
        }
        model[key] = !model[key];
        count += model[key] ? 1 : (uint64_t)-1;
        if (count > most) most = count;
        wrong += table.count != count;
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(slots.next, most);
    hpw_live_free(&table);
    hpw_slots_free(&slots);
}

int main(void) {
    if (!begin_files()) return 2;
    test_table();
    test_text();
    test_malformed();
    test_lines();
    test_files();
    test_round_trip();
    test_many();
    test_sink();
    test_scan();
    test_full_disk();
    end_files();
    return CHECK_DONE();
}
