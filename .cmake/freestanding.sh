# SPDX-License-Identifier: MIT
# Builds the core without an operating system, for 64 and 32 bits, and checks
# that it wants nothing of a C library but memcpy, memmove, memset and memcmp.
#   bash .cmake/freestanding.sh <build folder>
set -euo pipefail
build=$1

# The hosted files: mappings, locks, files, threads. Every other file of the
# core, new ones too, has to pass.
hosted='core/(backing|caches|crew|fit|history|image_file|lock|packing|part|policy/slots_shared|record|replay|system|what_if|trace(_[abgilostw]|\.))[a-z_]*\.?c'

# What is allowed: those four, and arithmetic that the compiler calls by name.
allowed='^(mem(cpy|move|set|cmp)|__u?(div|mod|divmod)[dt]i[34]|__(ctz|clz|popcount)[sdt]i2|_GLOBAL_OFFSET_TABLE_)$'

# A C library's string.h, reduced to what is allowed; the compiler brings the rest.
mkdir -p "$build/include"
cat >"$build/include/string.h" <<'END'
#include <stddef.h>
void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
END

for bits in 64 32; do
    out=$build/$bits
    mkdir -p "$out"
    rm -f "$out"/*.o
    for file in core/*.c core/policy/*.c; do
        [[ $file =~ ^$hosted$ ]] && continue
        gcc "-m$bits" -std=c11 -O2 -DNDEBUG -ffreestanding -DHPW_FREESTANDING -nostdinc \
            -isystem "$(gcc -print-file-name=include)" -isystem "$build/include" \
            -Wall -Wextra -Wconversion -Wshadow -Werror -Icore -c "$file" \
            -o "$out/$(basename "${file%.c}").o"
    done
    ld -r -m "$([ "$bits" = 64 ] && echo elf_x86_64 || echo elf_i386)" -o "$out/core.o" "$out"/*.o
    wanted=$(nm --undefined-only --format=posix "$out/core.o" | cut -d' ' -f1 | sort -u)
    stray=$(grep -Ev "$allowed" <<<"$wanted" || true)
    if [ -n "$stray" ]; then
        echo "$bits bits: the freestanding core wants $(tr '\n' ' ' <<<"$stray")" >&2
        exit 1
    fi
    echo "$bits bits: $(size "$out/core.o" | awk 'END { print $1 }') bytes of code, wants: $(tr '\n' ' ' <<<"$wanted")"
done
