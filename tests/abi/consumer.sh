#!/bin/sh
# Installs the built library into a private prefix and uses it from outside, as a stranger would:
# the example, built through the CMake package, through pkg-config, and statically.
# Usage: consumer.sh SOURCE_DIR BINARY_DIR

set -eu
source=$1 binary=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$binary" --component core --prefix "$work/prefix" >"$work/install.log"
libdir=$(dirname "$(find "$work/prefix" -name 'libweir.so')")
PKG_CONFIG_PATH=$libdir/pkgconfig
LD_LIBRARY_PATH=$libdir
export PKG_CONFIG_PATH LD_LIBRARY_PATH

cat >"$work/expected" <<'END'
ann passed, 1 left
ann passed, 0 left
bob passed, 1 left
ann rejected, retry in 60 s
END

check() {
    how=$1 program=$2
    printf 'ann\nann\nbob\nann\n' | "$program" 1r/m 1 >"$work/seen"
    diff "$work/expected" "$work/seen" || { echo "FAILED: $how"; exit 1; }
    echo "ok: $how"
}

cp -r "$source/examples/limit-by-key" "$work/example"
cd "$work/example"

cmake -S . -B cmake-build -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/cmake.log"
cmake --build cmake-build >>"$work/cmake.log"
check 'shared library through the CMake package' cmake-build/limit_by_key

make >"$work/make.log"
check 'shared library through pkg-config' ./limit_by_key

make clean >"$work/make.log"
make STATIC=1 >>"$work/make.log"
unset LD_LIBRARY_PATH
check 'static library through pkg-config' ./limit_by_key

if "$work/example/limit_by_key" 10x/s 1 2>"$work/error" </dev/null; then
    echo 'FAILED: a wrong rate was accepted'
    exit 1
fi
grep -q '"10x/s"' "$work/error"
echo 'ok: a wrong rate is quoted'
