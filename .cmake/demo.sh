# SPDX-License-Identifier: MIT
# make demo: which policy fits the C compiler, and in how little?
#   sh .cmake/demo.sh <build folder>
set -eu
build=$1
command=$build/heapwright
trace=$build/demo.hwt

say() { printf '\n%s\n' "$*"; }

rm -f "$trace"*
say "1. Recording the C compiler while it compiles core/pool.c: the driver, and the
   programs that it starts, each into a trace of its own."
"$command" record -o "$trace" -- cc -O2 -g -Icore -c core/pool.c -o "$build/demo.o"
rm -f "$build/demo.o"

# The compiler proper is the child that allocates the most.
largest=$(ls -S "$trace"* | head -n 1)
say "2. Replaying the largest of them, $largest, under every policy."
"$command" compare "$largest"

say "3. What you can do next:
   $command record -o app.hwt -- YOUR-PROGRAM
   $command compare app.hwt
   $command run examples/checkerboard.lua"
