#!/bin/sh
# The shared library exports functions named weir_* and nothing else.
# Usage: exports.sh LIBRARY

symbols=$(nm -D --defined-only "$1" | awk '{ print $NF }' | grep -v '^WEIR_0$' | sed 's/@@.*//')
test -n "$symbols" || { echo "no symbols in $1"; exit 1; }
foreign=$(echo "$symbols" | grep -v '^weir_')
test -z "$foreign" || { echo "exported but not ours:"; echo "$foreign"; exit 1; }
