/* SPDX-License-Identifier: MIT */
/*
 * The layout of images, and reading them with nothing believed: see image.h. Every
 * number is held against what the ones before it allow. O(bytes).
 */
#include "image.h"

#include <stdarg.h>

#include "little_endian.h"
#include "policy/slot_classes.h"
#include "trace_chunk.h"

/* ---- Messages: without a C library ---- */

typedef struct sentence {
    char *text;
    size_t used;
} sentence;

static void add(sentence *s, char c) {
    if (s->used + 1 < HPW_IMAGE_MESSAGE) s->text[s->used++] = c;
}

static void add_number(sentence *s, uint64_t n, unsigned base) {
    char digits[24];
    size_t count = 0;
    do digits[count++] = "0123456789abcdef"[n % base];
    while (n /= base);
    while (count) add(s, digits[--count]);
}

static void add_format(sentence *s, const char *format, va_list arguments) {
    for (; *format; format++) {
        if (*format != '%') {
            add(s, *format);
        } else if (*++format == 's') {
            for (const char *c = va_arg(arguments, const char *); *c; c++) add(s, *c);
        } else {
            if (*format == 'x') add(s, '0'), add(s, 'x');
            add_number(s, va_arg(arguments, uint64_t), *format == 'x' ? 16 : 10);
        }
    }
    s->text[s->used] = '\0';
}

hpw_error image_fail(hpw_image_error *error, hpw_error code, uint64_t offset, const char *format, ...) {
    if (!error) return code;
    sentence s = {.text = error->message};
    va_list arguments;
    va_start(arguments, format);
    add_format(&s, format, arguments);
    va_end(arguments);
    error->code = code;
    error->offset = offset;
    return code;
}

/* ---- Layout ---- */

enum {
    POLICY_AT = 16,
    POLICY_LONGEST = HPW_POLICY_NAME,
    RED_ZONE_AT = 104,
    CHOICE_AT = 120,
    HEADER_CHECK = IMAGE_HEADER - 8
};

/* What order random has, or what slab has. */
static uint64_t image_choice(const hpw_config *config) {
    if (config->order == HPW_ORDER_RANDOM) return config->seed;
    return slot_classes_word(config->classes, bits_lowest(config->granule));
}

/* False: what no pool has. */
static bool take_choice(hpw_config *config, uint64_t choice, bool has_classes) {
    if (has_classes) return slot_classes_from_word(choice, bits_lowest(config->granule), config->classes);
    config->seed = choice;
    return true;
}

void image_encode(const hpw_image *image, uint64_t largest_align, uint8_t to[IMAGE_HEADER]) {
    const hpw_config *config = &image->config;
    uint32_t flags = (config->single_threaded ? IMAGE_SINGLE_THREADED : 0U) |
                     (config->small_pages ? IMAGE_SMALL_PAGES : 0U) |
                     (config->chooser.choose ? IMAGE_CHOSEN : 0U);
    memset(to, 0, IMAGE_HEADER);
    memcpy(to, IMAGE_MAGIC, 8);
    put32(to + 8, IMAGE_VERSION);
    put32(to + 12, config->granule);
    for (size_t i = 0; i < POLICY_LONGEST && config->policy[i]; i++)
        to[POLICY_AT + i] = (uint8_t)config->policy[i];
    put32(to + 32, (uint32_t)config->order);
    put32(to + 36, (uint32_t)config->guard);
    put32(to + 40, flags);
    put32(to + 44, config->thread_caches);
    const uint64_t sizes[] = {config->capacity, config->max_capacity, image->capacity, largest_align,
                              image->blocks,    image->in_use,        image->size};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) put64(to + 48 + 8 * i, sizes[i]);
    put64(to + RED_ZONE_AT, config->red_zone);
    put64(to + RED_ZONE_AT + 8, config->quarantine);
    put64(to + CHOICE_AT, image_choice(config));
    put64(to + HEADER_CHECK, hpw_checksum(to, HEADER_CHECK));
}

static uint32_t block_check(const uint8_t *block) {
    uint64_t sum = hpw_checksum(block, IMAGE_BLOCK - 4);
    return (uint32_t)(sum ^ sum >> 32);
}

void image_block_encode(const image_block *block, uint8_t to[IMAGE_BLOCK]) {
    put64(to, block->address);
    put64(to + 8, block->granted);
    put64(to + 16, block->requested);
    put32(to + 24, block->flags);
    put32(to + 28, block_check(to));
}

/* ---- Reading ---- */

static hpw_error damaged(const image_reader *reader, uint64_t offset, const char *what) {
    return image_fail(reader->error, HPW_CORRUPTED, offset, "at byte %u: %s", offset, what);
}

static hpw_error read_bytes(image_reader *reader, void *to, size_t n) {
    size_t got = reader->get(reader->ud, to, n);
    if (got < n) {
        uint64_t end = reader->offset + got;
        return image_fail(reader->error, HPW_CORRUPTED, end, "at byte %u: the image is cut off there", end);
    }
    reader->offset += n;
    return HPW_OK;
}

static void decode(image_reader *reader, const uint8_t *from, const char *name) {
    reader->image = (hpw_image){
        .config = {.policy = name,
                   .capacity = get64(from + 48),
                   .max_capacity = get64(from + 56),
                   .granule = get32(from + 12),
                   .red_zone = get64(from + RED_ZONE_AT),
                   .quarantine = get64(from + RED_ZONE_AT + 8),
                   .order = (hpw_order)get32(from + 32),
                   .guard = (hpw_guard)get32(from + 36),
                   .single_threaded = (get32(from + 40) & IMAGE_SINGLE_THREADED) != 0,
                   .small_pages = (get32(from + 40) & IMAGE_SMALL_PAGES) != 0,
                   .thread_caches = get32(from + 44)},
        .capacity = get64(from + 64),
        .blocks = get64(from + 80),
        .in_use = get64(from + 88),
        .size = get64(from + 96),
    };
    reader->largest_align = get64(from + 72);
}

/* Is the image as long as so many blocks and bytes make it at least, and at most? */
static bool is_plausible(const hpw_image *image) {
    if (image->size < IMAGE_HEADER || image->blocks > (image->size - IMAGE_HEADER) / IMAGE_BLOCK)
        return false;
    uint64_t bytes = image->size - IMAGE_HEADER - image->blocks * IMAGE_BLOCK;
    return image->in_use <= bytes;
}

/* In the place of the host's own while options are verified. */
static hpw_error choose_nothing(void *ud, const hpw_free_blocks *free, uint64_t size, uint64_t alignment,
                                uint64_t *address) {
    (void)ud, (void)free, (void)size, (void)alignment, (void)address;
    return HPW_NO_MEMORY;
}

/* Would a pool be opened so? Zeros must be filled in already. */
static bool is_config(const hpw_image *image) {
    hpw_config config = image->config;
    if (!config.capacity || !config.max_capacity || !config.granule) return false;
    if (image->chosen[0]) config.chooser.choose = choose_nothing, config.policy = image->chosen;
    return !pool_config(&config) && config.capacity == image->config.capacity &&
           config.max_capacity == image->config.max_capacity;
}

static hpw_error check_header(image_reader *reader, const uint8_t *header) {
    hpw_image *image = &reader->image;
    bool chosen = get32(header + 40) & IMAGE_CHOSEN;
    const policy *known = chosen ? &policy_chosen : policy_named((const char *)header + POLICY_AT);
    if (!known || !header[POLICY_AT])
        return image_fail(reader->error, HPW_INVALID_ARGUMENT, POLICY_AT,
                          "at byte %u: the policy '%s' is unknown", (uint64_t)POLICY_AT,
                          (const char *)header + POLICY_AT);
    decode(reader, header, chosen ? NULL : known->info.name);
    if (chosen) memcpy(image->chosen, header + POLICY_AT, sizeof image->chosen);
    bool has_classes = !chosen && known->info.takes_classes;
    if (!image->config.granule || !take_choice(&image->config, get64(header + CHOICE_AT), has_classes) ||
        !is_config(image))
        return image_fail(reader->error, HPW_INVALID_ARGUMENT, 12,
                          "at byte 12: no pool has such options: %s, %u bytes to %u, granules of %u",
                          chosen ? image->chosen : known->info.name, image->config.capacity,
                          image->config.max_capacity, (uint64_t)image->config.granule);
    const hpw_config *config = &image->config;
    if (image->capacity < config->capacity || image->capacity > config->max_capacity ||
        image->capacity % config->granule)
        return damaged(reader, 64, "the capacity lies outside of its bounds");
    if (get32(header + 40) > (IMAGE_SINGLE_THREADED | IMAGE_SMALL_PAGES | IMAGE_CHOSEN) ||
        (reader->largest_align & (reader->largest_align - 1)))
        return damaged(reader, 40, "flags or an alignment that no writer wrote");
    if (!is_plausible(image)) return damaged(reader, 80, "blocks, bytes and size contradict each other");
    return HPW_OK;
}

hpw_error image_begin(image_reader *reader) {
    uint8_t header[IMAGE_HEADER];
    hpw_error error = read_bytes(reader, header, sizeof header);
    if (error) return error;
    if (memcmp(header, IMAGE_MAGIC, 8) != 0) return damaged(reader, 0, "this is no image of a pool");
    uint64_t version = get32(header + 8);
    if (version != IMAGE_VERSION)
        return image_fail(reader->error, HPW_INVALID_ARGUMENT, 8,
                          "at byte 8: an image of version %u, this library reads %u", version,
                          (uint64_t)IMAGE_VERSION);
    if (get64(header + HEADER_CHECK) != hpw_checksum(header, HEADER_CHECK) ||
        header[POLICY_AT + POLICY_LONGEST])
        return damaged(reader, HEADER_CHECK, "the header's checksum is wrong");
    return check_header(reader, header);
}

hpw_error image_next(image_reader *reader, image_block *block) {
    uint8_t bytes[IMAGE_BLOCK];
    uint64_t offset = reader->offset;
    const hpw_image *image = &reader->image;
    hpw_error error = read_bytes(reader, bytes, sizeof bytes);
    if (error) return error;
    if (get32(bytes + 28) != block_check(bytes))
        return damaged(reader, offset, "a block's checksum is wrong");
    *block = (image_block){get64(bytes), get64(bytes + 8), get64(bytes + 16), get32(bytes + 24)};
    uint64_t granule = image->config.granule;
    if (block->address < reader->end || block->address >= image->capacity ||
        block->granted > image->capacity - block->address || !block->granted || block->address % granule ||
        block->granted % granule)
        return damaged(reader, offset, "a block lies in another one, or outside of the pool");
    if (block->requested > block->granted || image_block_size(block->requested) > image->size - offset)
        return damaged(reader, offset, "a block's sizes contradict each other");
    uint32_t align = block->flags >> IMAGE_ALIGN_SHIFT;
    if (align > IMAGE_LARGEST_ALIGN || (block->flags & 0xff) > (IMAGE_IN_SLOT | IMAGE_OVER_ALIGNED) ||
        (align && (uint64_t)1 << align > reader->largest_align))
        return damaged(reader, offset, "a block has flags that no writer wrote");
    reader->end = block->address + block->granted;
    reader->in_use += block->requested;
    return HPW_OK;
}

hpw_error image_piece(image_reader *reader, void *bytes, size_t n) {
    uint8_t check[IMAGE_CHECK];
    uint64_t offset = reader->offset;
    hpw_error error = read_bytes(reader, bytes, n);
    if (!error) error = read_bytes(reader, check, sizeof check);
    if (error) return error;
    return get64(check) == hpw_checksum(bytes, n)
               ? HPW_OK
               : damaged(reader, offset, "the checksum of a block's bytes is wrong");
}

hpw_error image_finish(image_reader *reader) {
    uint8_t more;
    if (reader->offset != reader->image.size || reader->in_use != reader->image.in_use)
        return damaged(reader, reader->offset,
                       "the header's size or bytes in use are not those of the blocks");
    if (reader->get(reader->ud, &more, 1)) return damaged(reader, reader->offset, "more follows the image");
    return HPW_OK;
}

hpw_error hpw_read_image(hpw_get *get, void *ud, hpw_image *image, hpw_image_error *error) {
    image_reader reader = {.get = get, .ud = ud, .error = error};
    hpw_error wrong = image_begin(&reader);
    if (!wrong) *image = reader.image;
    return wrong;
}
