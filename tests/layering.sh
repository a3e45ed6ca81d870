#!/bin/sh
# Who may include whom (ARCHITECTURE.md): core knows nothing of nginx, its lower rooms nothing of
# the upper ones, and the shim includes of ours only the public header.
# Usage: layering.sh SOURCE_DIR

cd "$1" || exit 2
failed=0

# forbid WHAT PATTERN FILES...: no #include in these files may match the pattern.
forbid() {
    what=$1 pattern=$2
    shift 2
    found=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@")
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$what" "$found"
        failed=1
    fi
}

forbid 'core includes nginx' 'ngx_|nginx' core
forbid 'the limiters include a zone, geo or the table' 'zone/|geo/' core/src/limiter
forbid 'geo includes limiters' 'zone/|limiter/' core/src/geo
forbid 'zones include geo' 'geo/' core/src/zone
forbid 'the shim includes internals of the core' 'limiter/|zone/|geo/|error\.h|\.\./core' module
forbid 'core includes tests or benchmarks' 'gtest|benchmark|support/' core

exit $failed
