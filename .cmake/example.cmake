# SPDX-License-Identifier: MIT
#
# Runs an example and compares what it prints with the comment that the file ends
# in: the lines after "Output:", each behind "-- " in Lua and " * " in C.
#   cmake -DFILE=<example> "-DRUN=<command>|<argument>|..." -P example.cmake
# With HEAPWRIGHT_WRITE_EXAMPLES in the environment, the comment is written anew:
#   HEAPWRIGHT_WRITE_EXAMPLES=1 ctest --test-dir build -L example
file(READ "${FILE}" source)
string(FIND "${source}" "Output:\n" at REVERSE)
if(at EQUAL -1)
  message(FATAL_ERROR "${FILE} does not end in a comment with its output")
endif()
math(EXPR at "${at} + 7")
string(SUBSTRING "${source}" ${at} -1 expected) # begins with a line feed
string(REPLACE "\n */\n" "\n" expected "${expected}")
foreach(prefix "--" " *")
  string(REPLACE "\n${prefix} " "\n" expected "${expected}")
  string(REPLACE "\n${prefix}\n" "\n\n" expected "${expected}")
endforeach()

string(REPLACE "|" ";" command "${RUN}")
execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status STREQUAL "0")
  message(FATAL_ERROR "${FILE} ended with ${status}:\n${output}${errors}")
endif()
if(NOT "$ENV{HEAPWRIGHT_WRITE_EXAMPLES}" STREQUAL "")
  set(prefix "--")
  set(prefix_pattern "--")
  set(last "")
  if(FILE MATCHES "\\.c$")
    set(prefix " *")
    set(prefix_pattern " [*]")
    set(last " */\n")
  endif()
  string(REPLACE "\n" "\n${prefix} " comment "\n${output}")
  string(REPLACE "\n${prefix} \n" "\n${prefix}\n" comment "${comment}")
  string(REGEX REPLACE "\n${prefix_pattern} $" "\n" comment "${comment}")
  string(SUBSTRING "${source}" 0 ${at} source)
  file(WRITE "${FILE}" "${source}${comment}${last}")
  return()
endif()
if(NOT "\n${output}" STREQUAL "${expected}")
  message(FATAL_ERROR "${FILE} printed\n${output}\nand not${expected}")
endif()
