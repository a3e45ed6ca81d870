#!/bin/bash
#
# Builds weir and runs its tests, on this machine's nginx.
#
#   ./test.sh              everything that is quick (minutes)
#   ./test.sh -R REGEX     only the tests with such names; see "ctest -N"
#   ./test.sh --all        that, and what is longer (under an hour): clang,
#                          sanitizers, fuzzers, long property and model runs,
#                          mutants, nginx from source, Debian 13, headers as
#                          another parser reads them, the layout of the code,
#                          the benchmarks; wants root
#
# It installs what is missing (scripts/setup test, or all). The last line says
# "N passed, N failed"; each failure is named above it. A step of --all counts
# as one test; one that can't run here counts as failed. What each step said is
# in build/logs.
#
#   WEIR_JOBS=N            N compilers at a time (default: one per processor)
#   WEIR_FUZZ_SECONDS=N    so long for each fuzzer (default: 30)
#
# Exit codes: 0 all passed, 1 something failed, 2 wrong use.

# shellcheck disable=SC2317  # functions that only "step" calls
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
PATH=$PATH:/usr/sbin:/sbin

ALL=
REGEX=
LOGS=build/logs
PASSED=0
SKIPPED=0
FAILURES=()

say() { printf 'test: %s\n' "$*"; }
complain() { printf 'test: %s\n' "$@" >&2; }
usage() { sed -n '3,/^$/{s/^#$//;s/^# //;p}' test.sh; }

read_arguments() {
    while (($#)); do
        case $1 in
            --all) ALL=yes ;;
            -R)
                if (($# < 2)) || [[ -z $2 ]]; then
                    complain 'expected a regular expression after -R.'
                    exit 2
                fi
                REGEX=$2
                shift
                ;;
            -h | --help) usage; exit 0 ;;
            *) complain "unknown option \"$1\"; expected -R REGEX, --all or --help."; exit 2 ;;
        esac
        shift
    done
    if [[ $ALL && $REGEX ]]; then
        complain 'expected either --all or -R REGEX, not both.'
        exit 2
    fi
}

# ---- Counting ----

# Prints every failure and the one line that counts, and ends the script.
summary() {
    local name
    printf '\n'
    for name in ${FAILURES[@]+"${FAILURES[@]}"}; do
        printf 'failed: %s\n' "$name"
    done
    printf '%d passed, %d failed' "$PASSED" "${#FAILURES[@]}"
    if ((SKIPPED)); then
        printf ', %d skipped' "$SKIPPED"
    fi
    printf '\n'
    exit $((${#FAILURES[@]} > 0))
}

# step NAME COMMAND...: one step, one test. Its output goes to a log, and the
# end of that here if it fails.
step() {
    local name=$1 log=$LOGS/$1.log start=$SECONDS status=0
    shift
    say "$name ..."
    # Not "if command": in a condition, set -e would not hold in functions.
    set +e
    (set -e; "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if ((status == 0)); then
        PASSED=$((PASSED + 1))
        say "$name: passed ($((SECONDS - start)) s)"
        return
    fi
    FAILURES+=("$name (see $log)")
    tail -n 40 "$log" >&2
    complain "$name: FAILED ($((SECONDS - start)) s); all of it is in $log"
    return 1
}

# count_junit PRESET FILE: adds ctest's results to the counts. A test that was
# not run counts as failed, unless it asked to be skipped.
count_junit() {
    local kind name
    while read -r kind name; do
        case $kind in
            passed) PASSED=$((PASSED + 1)) ;;
            skipped) SKIPPED=$((SKIPPED + 1)) ;;
            failed) FAILURES+=("$1: $name") ;;
        esac
    done <<<"$(awk '
        function attribute(name) {
            return match($0, " " name "=\"[^\"]*\"") ? \
                substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : ""
        }
        function report() {
            if (test != "") print (status == "run" ? "passed" : asked ? "skipped" : "failed"), test
            test = ""
        }
        /<testcase / { report(); test = attribute("name"); status = attribute("status"); asked = 0 }
        /<skipped message="SKIP_/ { asked = 1 }
        /<\/testsuite>/ { report() }' "$2")"
}

# run_ctest PRESET [CTEST-ARGUMENT ...]: the tests of one preset, each counted.
run_ctest() {
    local preset=$1 failed=${#FAILURES[@]} status=0
    local junit=$PWD/$LOGS/ctest-$1.xml
    shift
    say "the tests of preset $preset"
    rm -f -- "$junit"
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j 2 \
        --output-junit "$junit" "$@" </dev/null 2>&1 | tee "$LOGS/ctest-$preset.log" || status=$?
    if [[ -s $junit ]]; then
        count_junit "$preset" "$junit"
    fi
    if ((status && failed == ${#FAILURES[@]})); then
        FAILURES+=("$preset: ctest (see $LOGS/ctest-$preset.log)")
    fi
}

# ---- Steps ----

prepare() {
    if ! scripts/setup "$1"; then
        FAILURES+=('set-up')
        summary
    fi
    if [[ ! -r /proc/self/stat ]]; then
        complain '/proc is not mounted, and the tests look there for what nginx does.' \
            'What to do: mount -t proc proc /proc'
        FAILURES+=('/proc')
        summary
    fi
    if ! mkdir -p "$LOGS"; then
        FAILURES+=("no right to write to $PWD/build")
        summary
    fi
}

build_release() {
    local nginx
    say 'building (build/logs/build-release.log)'
    if ! nginx=$(scripts/fetch-nginx-source); then
        FAILURES+=('sources of nginx')
        summary
    fi
    if ! scripts/build release -DWEIR_WERROR=ON -DWEIR_TESTS=ON -DWEIR_BENCH=ON \
        -DWEIR_NGINX_SOURCE="$nginx"; then
        FAILURES+=('build')
        summary
    fi
}

# A regular expression that fits no test is a mistake, not a success.
check_regex() {
    if ctest --test-dir build/release -N -R "$REGEX" | grep -q '^Total Tests: 0$'; then
        complain "no test has a name like \"$REGEX\"; \"ctest --test-dir build/release -N\" lists them."
        exit 2
    fi
}

format() {
    local tool=clang-format-14
    local -a files
    command -v "$tool" >/dev/null || {
        echo "not run: this needs $tool, which Debian 12 has; others lay code out otherwise."
        return 1
    }
    # The public header is C, in the style of the shim.
    mapfile -t files <<<"$(find core bench tests tools examples -name '*.cc' -o -name '*.h' -o -name '*.hpp' |
        grep -vx core/include/weir/weir.h | sort)"
    "$tool" --dry-run -Werror "${files[@]}"
}

shellcheck_all() {
    local -a files
    mapfile -t files <<<"$(grep -rlE '^#!/bin/(ba)?sh' --exclude-dir=build --exclude-dir=.git . | sort)"
    shellcheck -x "${files[@]}"
}

# More traces than the quick run has, and others each time. A failure prints
# its seed.
long_properties() {
    local binary
    binary=$(find build/release/tests -name property_tests -type f)
    WEIR_TRACES=${WEIR_TRACES:-2000000} WEIR_SEED=${WEIR_SEED:-$RANDOM$RANDOM} "$binary"
}

source_nginx() {
    WEIR_COUNTRY_DB=$PWD/build/release/country.mmdb WEIR_FORGED_REQUESTS=10000 \
        WEIR_FIXTURE_DIR=$PWD/build/release/tests/fixtures tests/smoke/source-nginx "$1"
}

# RateLimit headers as npm's structured-headers reads them. What the lock file
# names is installed below build/, and npm's cache is there too.
structured_fields() {
    local folder=$PWD/build/structured-fields
    command -v npm >/dev/null || {
        echo 'not run: this needs npm, which is in a package of that name, or comes with nodejs.'
        return 1
    }
    mkdir -p "$folder"
    cp tests/structured_fields/{package.json,package-lock.json,parse.js} "$folder"
    (cd "$folder" && npm ci --cache cache --ignore-scripts --no-audit --no-fund)
    WEIR_MODULE=$PWD/build/release/module/ngx_http_weir_module.so \
        WEIR_COUNTRY_DB=$PWD/build/release/country.mmdb WEIR_STRUCTURED_FIELDS=$folder \
        timeout 300 /usr/bin/python3 -m pytest -q -p no:cacheprovider \
        tests/nginx/test_structured_fields.py
}

# build_and_test PRESET [CTEST-ARGUMENT ...]
build_and_test() {
    local preset=$1
    shift
    if step "build-$preset" scripts/build "$preset"; then
        run_ctest "$preset" "$@"
    fi
}

# A million random executions, and exhaustive ones with more preemptions; on two
# processors at a time.
long_model() {
    local binary shard status=0
    local -a running=()
    binary=$(find build/release/tests -name model_tests -type f)
    for shard in 0 1; do
        WEIR_MODEL=long GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=$shard "$binary" &
        running+=($!)
    done
    for shard in "${running[@]}"; do
        wait "$shard" || status=1
    done
    return "$status"
}

fuzz() {
    scripts/build fuzz
    tests/fuzz/run
}

longer_steps() {
    step long-properties long_properties || true
    step long-model long_model || true
    step mutants tests/model/check-mutants || true
    # A real nginx meets the tests three times already: here, from source, and on Debian 13.
    build_and_test clang \
        -R '^(abi|concurrency|consumer|country_table|kill|layering|model|property|tools|unit)'
    build_and_test asan
    build_and_test tsan -R '^concurrency\.'
    step fuzz fuzz || true
    step nginx-source-dynamic source_nginx dynamic || true
    step nginx-source-static source_nginx static || true
    step structured-fields structured_fields || true
    step debian13 tests/smoke/debian13 || true
    step benchmarks bench/run micro --quick || true  # that they run; not how fast
}

main() {
    read_arguments "$@"
    if [[ $ALL ]]; then
        prepare all
        step format format || true
        step shellcheck shellcheck_all || true
    else
        prepare test
    fi
    build_release
    if [[ $REGEX ]]; then
        check_regex
        run_ctest release -R "$REGEX"
    else
        run_ctest release
        step scripts tests/smoke/check-scripts || true
    fi
    if [[ $ALL ]]; then
        longer_steps
    fi
    summary
}

main "$@"
