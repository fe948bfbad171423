/* SPDX-License-Identifier: MIT */
/* Allocates 100,000 blocks of 32 bytes, then is killed: not a byte more is written. */
#include <signal.h>
#include <stdlib.h>

int main(void) {
    for (int i = 0; i < 100000; i++)
        if (!malloc(32)) return 1;
    raise(SIGKILL);
    return 0;
}
