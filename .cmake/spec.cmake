# SPDX-License-Identifier: MIT
#
# Runs one spec file under busted and fails where busted does, and also where it
# ends without its own summary (a spec whose all is pending says why): a spec that calls os.exit(0) must not look well.
#   [SPEC_OPTIONS=<one of busted's>] cmake -DLUA=<interpreter> -DBUSTED=<script> -DSPEC=<file> -P spec.cmake
execute_process(COMMAND ${LUA} ${BUSTED} $ENV{SPEC_OPTIONS} ${SPEC} RESULT_VARIABLE status
  OUTPUT_VARIABLE output ERROR_VARIABLE output)
message("${output}")
if(NOT status STREQUAL "0")
  message(FATAL_ERROR "busted ended with ${status}")
endif()
set(sound "/ 0 failures / 0 errors")
if(NOT output MATCHES "[1-9][0-9]* success[a-z]* ${sound}" AND NOT output MATCHES "${sound} / [1-9][0-9]* pending")
  message(FATAL_ERROR "busted printed no count of successes")
endif()
