# Roots of Debian releases, for the scripts beside this file. Source it.
#
# Everything in a root runs in mount and process namespaces of its own: when
# the command ends, or this shell is killed, its processes and mounts are gone.

root_say() { printf '%s: %s\n' "${0##*/}" "$*"; }

root_die() {
    printf "${0##*/}: %s\n" "$@" >&2
    exit 1
}

# need_root_rights: ends the script if debootstrap and chroot can't work.
need_root_rights() {
    ((EUID == 0)) ||
        root_die 'not run: this needs root, for debootstrap and chroot.' \
            'What to do: run it as root, on a machine or virtual machine of your own.'
    command -v debootstrap >/dev/null ||
        root_die 'not run: this needs debootstrap. What to do: run scripts/setup all.'
    unshare --mount --pid --fork true 2>/dev/null ||
        root_die 'not run: this system does not let root make namespaces (a container or a plain' \
            'chroot does not). What to do: run it on a machine or virtual machine of your own.'
}

# contained COMMAND...: with namespaces of its own, and not longer than we live.
contained() {
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child -- "$@"
}

# make_root SUITE FOLDER: a minimal system of that release.
make_root() {
    local mirror log=$2.log
    mirror=$("$PROJECT/scripts/debian-mirror") || exit 1
    chmod 755 "$2"  # its users are to enter it
    contained debootstrap --variant=minbase "$1" "$2" "$mirror" >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        rm -f -- "$log"
        root_die "debootstrap could not make a root of $1. What to do: check the network and the mirror."
    }
    rm -f -- "$log"
}

# copy_tree FOLDER: this project's files, without what was built, to FOLDER.
copy_tree() {
    mkdir -p "$1"
    tar -C "$PROJECT" -cf - --exclude=./build --exclude=./.git --exclude=./.cache \
        --exclude=__pycache__ --exclude=.pytest_cache . |
        tar -C "$1" -xf - --no-same-owner
}

# in_root ROOT COMMAND...: runs it in /src of that root, as its root user and
# with a plain environment. NO_PROC=yes leaves /proc unmounted.
in_root() {
    local root=$1
    shift
    # shellcheck disable=SC2016  # for the inner shell
    contained bash -c '
        root=$1 no_proc=$2
        shift 2
        # Its own mount, so that it can hold such roots in turn.
        mount --bind "$root" "$root" || exit 1
        [[ $no_proc ]] || mount -t proc proc "$root/proc" || exit 1
        chroot "$root" env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c "cd /src && exec \"\$@\"" sh "$@"
    ' in_root "$root" "${NO_PROC:-}" "$@"
}
