# SPDX-License-Identifier: MIT
# make cov: runs every test on a counted build, prints the core's coverage.
# The recorder is not counted: it runs inside of other programs.
#   sh .cmake/coverage.sh <build folder> <jobs>
set -eu
build=$1
jobs=$2

cmake -S . -B "$build" -DHEAPWRIGHT_COVERAGE=ON >/dev/null
cmake --build "$build" --parallel "$jobs"
find "$build" -name '*.gcda' -delete
status=0
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure || status=$?
mkdir -p "$build/html"
coverage() {
    gcovr --root . --object-directory "$build" --filter core/ --exclude core/preload/ "$@" "$build"
}
coverage
coverage --html-details "$build/html/index.html" --print-summary
echo "HTML: $build/html/index.html"
exit "$status"
