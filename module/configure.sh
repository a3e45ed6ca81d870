#!/bin/bash
# Configures a tree of nginx for building this module: links to the headers and scripts of
# nginx-dev, and an objs folder beside them.
# Usage: configure.sh NGINX_SRC TREE MODULE_DIR

set -euo pipefail
nginx_src=$1 tree=$2 module_dir=$3

rm -rf "$tree"
mkdir -p "$tree"
ln -s "$nginx_src"/{auto,configure,src} "$tree"

# NGX_CONF_FLAGS: how the packaged nginx was configured.
# shellcheck source=/dev/null
. "$nginx_src/conf_flags"
cd "$tree"
./configure "${NGX_CONF_FLAGS[@]}" --builddir=objs --add-dynamic-module="$module_dir" >configure.log ||
    {
        tail -n 20 configure.log >&2
        exit 1
    }
