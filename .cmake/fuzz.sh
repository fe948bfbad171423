# SPDX-License-Identifier: MIT
# Builds one fuzzer, spec/fuzz/NAME_fuzz.c, with clang, AddressSanitizer and
# UndefinedBehaviorSanitizer, and runs it for so long on its corpus.
#   sh .cmake/fuzz.sh NAME SECONDS
#   sh .cmake/fuzz.sh NAME merge     what was found is put into the corpus, minimised
# New inputs are kept in build-fuzz/found/NAME, so that the next run begins with
# them. Fails on a crash, a leak or a hang, and prints the input.
set -eu
name=$1
seconds=$2
build=build-fuzz
corpus=$(pwd)/spec/fuzz/corpus/$name
most_bytes=1024 # of an input, and 4096 of a trace
[ "$name" != trace ] || most_bytes=4096

# One at a time: stages may run side by side.
mkdir -p $build
(
    flock 9
    cmake -S . -B $build -DCMAKE_C_COMPILER=clang -DHEAPWRIGHT_FUZZ=ON -DBUILD_TESTING=OFF \
        -DHEAPWRIGHT_SANITIZE=fuzzer-no-link,address,undefined >/dev/null
    cmake --build $build --parallel --target "${name}_fuzz" >$build/"$name".log 2>&1 || {
        cat $build/"$name".log
        exit 1
    }
) 9>$build/lock

found=$(pwd)/$build/found/$name
crashes=$(pwd)/$build/crashes/$name
mkdir -p "$found" "$crashes" "$corpus"
fuzzer=$(pwd)/$build/${name}_fuzz
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1

# Few inputs are enough for the corpus: those that reach what all of them reach, counted once.
if [ "$seconds" = merge ]; then
    merged=$(pwd)/$build/merged/$name
    rm -rf "$merged"
    mkdir -p "$merged"
    "$fuzzer" -set_cover_merge=1 -use_counters=0 -max_len=$most_bytes \
        "$merged" "$corpus" "$found" >$build/"$name".log 2>&1
    rm -rf "$corpus"
    cp -r "$merged" "$corpus"
    echo "$name: $(ls "$corpus" | wc -l) inputs"
    exit
fi

status=0
"$fuzzer" -max_len=$most_bytes -len_control=5 -max_total_time="$seconds" -timeout=60 \
    -rss_limit_mb=3000 -artifact_prefix="$crashes"/ "$found" "$corpus" >$build/"$name".log 2>&1 || status=$?
grep -E '^#[0-9]+[[:space:]]+(INITED|DONE)' $build/"$name".log | sed "s/^/$name: /" || true
[ $status -ne 0 ] || exit 0

grep -vE '^#[0-9]|^INFO' $build/"$name".log | tail -n 60
for input in $(ls -t "$crashes" | head -n 1); do
    echo "spec/fuzz/${name}_fuzz.c fails on this input ($crashes/$input):"
    od -An -v -tx1 "$crashes/$input"
    echo "HPW_FUZZ_TELL=1 $fuzzer $crashes/$input prints what it does."
done
exit $status
