# SPDX-License-Identifier: MIT
#
# The fuzzers, spec/fuzz/NAME_fuzz.c, each a target NAME_fuzz: for clang, with
# -DHEAPWRIGHT_SANITIZE=fuzzer-no-link,address,undefined; .cmake/fuzz.sh does it all.

# The model is what is compared with: which of its lines ran is no news.
add_library(fuzz-model OBJECT spec/c/model.c spec/c/model_places.c)
target_include_directories(fuzz-model PRIVATE core)
target_compile_options(fuzz-model PRIVATE -O2 -fsanitize=address,undefined -fno-sanitize-recover=all)
target_link_libraries(fuzz-model PRIVATE warnings)

file(GLOB fuzzers CONFIGURE_DEPENDS spec/fuzz/*_fuzz.c)
foreach(file ${fuzzers})
  get_filename_component(name ${file} NAME_WE)
  file(STRINGS ${file} lua_headers REGEX "^#include <lua")
  if(lua_headers AND NOT LUA_STATIC_LIBRARY)
    continue()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${file} $<TARGET_OBJECTS:fuzz-model>)
  target_link_libraries(${name} PRIVATE heapwright-static warnings instrumented ${CMAKE_DL_LIBS} m)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  if(lua_headers)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:binding>)
    target_compile_definitions(${name} PRIVATE HPW_FUZZ_DRIVER="${CMAKE_SOURCE_DIR}/spec/fuzz/${name}.lua")
    target_include_directories(${name} PRIVATE lua SYSTEM PRIVATE ${LUA_INCLUDE_DIR})
    target_link_libraries(${name} PRIVATE ${LUA_STATIC_LIBRARY})
  endif()
endforeach()
