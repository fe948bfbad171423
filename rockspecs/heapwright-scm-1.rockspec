-- For `luarocks make rockspecs/heapwright-scm-1.rockspec` in a checkout.
rockspec_format = "3.0"
package = "heapwright"
version = "scm-1"
source = { url = "." }
description = {
  summary = "A memory allocator that Lua scripts drive, measure and ship.",
  license = "MIT",
}
dependencies = { "lua ~> 5.4" }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "RelWithDebInfo",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    HEAPWRIGHT_COMMAND = "OFF",
    HEAPWRIGHT_MODULE_DIR = "$(LIBDIR)",
    LUA_INCLUDE_DIR = "$(LUA_INCDIR)",
    BUILD_TESTING = "OFF",
  },
}
