/* SPDX-License-Identifier: MIT */
/*
 * Gives the process a second thread, which sleeps: a Lua module that specs load
 * where their promises have to hold in a process of several threads too.
 */
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <unistd.h>

static void *sleep_on(void *ud) {
    for (;;) pause();
    return ud;
}

__attribute__((visibility("default"))) int luaopen_heapwright_second_thread(lua_State *L) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, sleep_on, NULL)) return luaL_error(L, "no second thread");
    pthread_detach(thread);
    return 0;
}
