#!/bin/bash
# Makes a folder of links to nginx's sources, and configures nginx there, so that the sources stay
# as they are.
# Usage: configure.sh NGINX_SOURCE TREE

set -euo pipefail
source=$1 tree=$2

rm -rf -- "$tree"
mkdir -p "$tree"
ln -s "$source"/{auto,configure,src} "$tree"
cd "$tree"
# Without what needs libraries that limit_req does not use. No --with-debug, though Debian has it:
# debug logging costs time.
./configure --without-http_rewrite_module --without-http_gzip_module >configure.log ||
    {
        tail -n 20 configure.log >&2
        exit 1
    }
