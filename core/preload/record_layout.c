/* SPDX-License-Identifier: MIT */
/*
 * The layout of binary traces, compiled into the recorder as well: it is loaded
 * into programs that have no heapwright to share it with.
 */
#include "../trace_chunk.c"
