# SPDX-License-Identifier: MIT
#
# The tests that ctest runs, from the source folder, with HEAPWRIGHT_BUILD (this
# build's folder) and LUA_CPATH set: C tests, specs under busted, examples.
set(test_environment "HEAPWRIGHT_BUILD=${CMAKE_BINARY_DIR}" "LUA_CPATH=${CMAKE_BINARY_DIR}/?.so\;\;"
  "ASAN_OPTIONS=allocator_may_return_null=1" "UBSAN_OPTIONS=print_stacktrace=1")

# hpw_test(<name> <label> <seconds> <command> ...)
function(hpw_test name label seconds)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${seconds}
    ENVIRONMENT "${test_environment}")
endfunction()

# ---- C: one executable a file; those named after threads run under TSan as well; ----
# ---- those that include Lua's headers are linked with Lua and what binds pools to it ----

file(GLOB c_tests CONFIGURE_DEPENDS spec/c/*_test.c)
foreach(file ${c_tests})
  get_filename_component(name ${file} NAME_WE)
  file(STRINGS ${file} lua_headers REGEX "^#include <lua")
  if(lua_headers AND NOT TARGET command)
    continue()
  endif()
  add_executable(${name} ${file})
  if(lua_headers)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:binding>)
    target_include_directories(${name} PRIVATE lua SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
    target_link_libraries(${name} PRIVATE ${LUA_STATIC_LIBRARY})
  endif()
  target_compile_options(${name} PRIVATE -UNDEBUG)
  target_link_libraries(${name} PRIVATE heapwright-static warnings instrumented ${CMAKE_DL_LIBS} m)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  add_dependencies(${name} record)
  set(labels c)
  if(name MATCHES "thread")
    list(APPEND labels thread)
  endif()
  hpw_test(c/${name} "${labels}" 300 ${name})
endforeach()

# The bench's way of counting steps, with the bounds that it has to keep.
target_sources(growth_test PRIVATE spec/bench/growth.c)
target_include_directories(growth_test PRIVATE spec/bench)

# A pool as its rules state it.
target_sources(small_worlds_test PRIVATE spec/c/model.c spec/c/model_places.c)

# A trace that is read as it would have been, with the system's memory failing.
target_link_options(what_if_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)

# The two lua_Allocs that note what passes through them, with the system's memory failing.
if(TARGET alloc_notes_test)
  target_sources(alloc_notes_test PRIVATE lua/consumers.c)
  target_link_options(alloc_notes_test PRIVATE -Wl,--wrap=lua_resume
    -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
endif()

# Readers and writers of traces, likewise.
target_link_options(import_memory_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
# With the system's memory failing.
target_link_options(part_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
# A crew, with the system giving no threads.
target_link_options(crew_thread_test PRIVATE -Wl,--wrap=pthread_create)

# Packing, with the system's memory failing.
target_link_options(packing_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
# Histories, with the system's memory failing.
target_link_options(history_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc)
# Replays whose memory, threads and file fail.
target_link_options(replay_faults_test PRIVATE -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
  -Wl,--wrap=aligned_alloc -Wl,--wrap=pthread_create -Wl,--wrap=hpw_trace_open)

# ---- Lua: one busted run a spec file --------------------------------------------------

if(NOT TARGET command)
  return()
endif()
find_program(LUA_INTERPRETER NAMES lua5.4 NO_CACHE)
find_program(BUSTED busted NO_CACHE)
if(NOT LUA_INTERPRETER OR NOT BUSTED)
  message(WARNING "lua5.4 or busted not found: specs and examples are left out. `make deps` installs both.")
  return()
endif()

set(interpreter ${LUA_INTERPRETER})
if(HEAPWRIGHT_SANITIZE)
  # An interpreter that has the sanitizer's runtime in itself: preloading it into the
  # stock one would hand it on to every program that a spec starts.
  add_executable(lua_host spec/c/lua_host.c)
  set_target_properties(lua_host PROPERTIES ENABLE_EXPORTS ON
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  target_include_directories(lua_host SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
  target_link_libraries(lua_host PRIVATE warnings instrumented
    -Wl,--whole-archive ${LUA_STATIC_LIBRARY} -Wl,--no-whole-archive m ${CMAKE_DL_LIBS})
  set(interpreter $<TARGET_FILE:lua_host>)
endif()

file(GLOB specs CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} spec/*_spec.lua)
foreach(file ${specs})
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "_spec$" "" name ${name})
  set(labels spec)
  if(name MATCHES "^(block|command|hostile|program|scenario_threads|spawn)$") # the command's compare replays on every core
    list(APPEND labels thread)
  endif()
  hpw_test(spec/${name} "${labels}" 900 ${CMAKE_COMMAND} -DLUA=${interpreter} -DBUSTED=${BUSTED} -DSPEC=${file}
    -P ${CMAKE_SOURCE_DIR}/.cmake/spec.cmake)
endforeach()

# Again beside a second thread, where reads copy under the lock.
add_library(second_thread MODULE spec/c/second_thread.c)
set_target_properties(second_thread PROPERTIES PREFIX "" OUTPUT_NAME heapwright_second_thread)
target_include_directories(second_thread SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
target_link_options(second_thread PRIVATE -Wl,-z,nodelete) # the thread outlives the Lua state
target_link_libraries(second_thread PRIVATE warnings instrumented Threads::Threads)
foreach(name access close)
  hpw_test(spec/${name}/threads spec 900 ${CMAKE_COMMAND} -DLUA=${interpreter} -DBUSTED=${BUSTED}
    -DSPEC=spec/${name}_spec.lua -P ${CMAKE_SOURCE_DIR}/.cmake/spec.cmake)
  set_property(TEST spec/${name}/threads APPEND PROPERTY ENVIRONMENT HEAPWRIGHT_SECOND_THREAD=1)
endforeach()

# ---- Examples: each ends in a comment with its output, which is compared --------------

# example(<file> <command> ...)
function(example file)
  get_filename_component(name ${file} NAME_WE)
  list(JOIN ARGN "|" command)
  hpw_test(example/${name} example 300 ${CMAKE_COMMAND} -DFILE=${file} "-DRUN=${command}"
    -P ${CMAKE_SOURCE_DIR}/.cmake/example.cmake)
endfunction()

file(GLOB examples CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} examples/*.lua)
foreach(file ${examples})
  if(file MATCHES "_spec\\.lua$")
    get_filename_component(name ${file} NAME) # from its folder: it is a user's, without our .busted
    example(${file} ${interpreter} ${BUSTED} --directory=examples --output=TAP ${name})
  elseif(file MATCHES "/copes\\.lua$")
    example(${file} $<TARGET_FILE:command> run --inject sweep ${file})
  else()
    example(${file} $<TARGET_FILE:command> run ${file})
  endif()
endforeach()

file(GLOB examples CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} examples/*.c)
foreach(file ${examples})
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} ${file})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
  target_link_libraries(${name} PRIVATE heapwright-static warnings)
  file(STRINGS ${file} of_lua REGEX "#include <lauxlib.h>")
  if(of_lua) # a host of Lua states
    target_include_directories(${name} SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
    target_link_libraries(${name} PRIVATE ${LUA_STATIC_LIBRARY} m ${CMAKE_DL_LIBS})
  endif()
  example(${file} $<TARGET_FILE:${name}>)
endforeach()
