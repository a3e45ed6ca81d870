#!/bin/bash
#
# Shows weir at work: a real nginx that limits its clients by country.
#
#   ./demo.sh            stays up until Ctrl-C
#   ./demo.sh --once     checks what it shows and stops by itself
#
#   WEIR_PORT=PORT       listens there instead of on 8080
#   WEIR_GEO_DB=FILE     uses another country database (.mmdb)
#
# It installs what is missing (scripts/setup demo), builds the module, starts
# nginx with config/nginx/demo.conf on 127.0.0.1, sends requests from several
# countries and prints what became of them.
#
# What it guarantees: nginx listens on loopback only, runs from a private
# folder in /tmp, its workers are not root, and /etc/nginx is never touched.
# However the script ends, nginx is stopped and the folder removed.
#
# Exit codes: 0 all as it should be, 1 something failed, 2 wrong use.

set -euo pipefail

ONCE=
PORT=${WEIR_PORT:-8080}
DATABASE=${WEIR_GEO_DB:-}
if [[ $DATABASE && $DATABASE != /* ]]; then
    DATABASE=$PWD/$DATABASE
fi
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
PATH=$PATH:/usr/sbin:/sbin

RUN=     # nginx's folder
NGINX=   # its process

# The demo's clients: an address, what country it is in, and what should become
# of 20 requests at once by config/nginx/demo.conf: passed, limited, denied.
CLIENTS='
168.126.63.1          KR  12  8  0
210.130.1.1           JP  12  8  0
81.169.145.150        DE   8 12  0
212.27.40.240         FR   8 12  0
196.25.1.1            ZA   6 14  0
8.8.8.8               US   5 15  0
2001:4860:4860::8888  US   5 15  0
212.58.244.20         GB   5 15  0
200.160.0.8           BR   5 15  0
195.186.1.111         CH  20  0  0
175.45.176.1          KP   0  0 20
'

say() { printf 'demo: %s\n' "$*"; }
complain() { printf 'demo: %s\n' "$@" >&2; }
die() { complain "$@"; exit 1; }
usage() { sed -n '3,/^$/{s/^#$//;s/^# //;p}' demo.sh; }

# ---- Before anything is installed ----

read_arguments() {
    local word
    for word; do
        case $word in
            --once) ONCE=yes ;;
            -h | --help) usage; exit 0 ;;
            *) complain "unknown option \"$word\"; expected --once or --help."; exit 2 ;;
        esac
    done
    if ! [[ $PORT =~ ^[1-9][0-9]{0,4}$ ]] || ((PORT > 65535)); then
        complain "WEIR_PORT is \"$PORT\"; expected a port number from 1 to 65535."
        exit 2
    fi
    if [[ $DATABASE && ! (-f $DATABASE && -r $DATABASE) ]]; then
        die "WEIR_GEO_DB is \"$DATABASE\", and there is no such file that can be read." \
            'What to do: name a country database in the .mmdb format, or leave WEIR_GEO_DB' \
            'unset: then the demo makes one from data that Debian ships.'
    fi
}

port_is_busy() {
    # 127.0.0.2 is the demo's backend.
    (: <>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null || (: <>"/dev/tcp/127.0.0.2/$PORT") 2>/dev/null
}

port_busy() {
    die "port $PORT is in use on this machine." \
        "What to do: stop what listens there (ss -ltnp \"sport = :$PORT\" shows it as root)," \
        "or take another port: WEIR_PORT=$((PORT < 65535 ? PORT + 1 : 8080)) ./demo.sh"
}

# ---- nginx ----

build() {
    local what='the nginx module'
    local -a options=() targets=(ngx_http_weir_module)

    if [[ -z $DATABASE ]]; then
        what+=' and the country database'
        targets+=(country_db)
    fi
    # A tree that was configured before keeps its options: it may have tests.
    if [[ ! -f build/release/build.ninja ]]; then
        options=(-DWEIR_TESTS=OFF -DWEIR_BENCH=OFF)
    fi
    say "building $what (build/logs/build-release.log)"
    scripts/build release "${options[@]}" "${targets[@]}"
}

# A folder that nginx takes for its own, readable by workers that are not root.
make_run_folder() {
    RUN=$(mktemp -d /tmp/weir-demo.XXXXXX)
    mkdir "$RUN"/{conf,logs,modules,tmp}
    cp -- build/release/module/ngx_http_weir_module.so "$RUN/modules/"
    cp -- "${DATABASE:-build/release/country.mmdb}" "$RUN/conf/country.mmdb"
    sed "s/:8080/:$PORT/" config/nginx/demo.conf >"$RUN/conf/demo.conf"
    chmod -R a+rX "$RUN"
}

start_nginx() {
    local globals='daemon off;'

    if ((EUID == 0)) && grep -q '^www-data:' /etc/passwd; then
        globals+=' user www-data;'
    fi
    # Should this script be killed, nginx is told to stop as well.
    setpriv --pdeathsig TERM \
        nginx -p "$RUN" -c conf/demo.conf -e logs/error.log -g "$globals" &
    NGINX=$!
    until [[ -s $RUN/logs/nginx.pid ]]; do  # written when nginx listens
        if ! kill -0 "$NGINX" 2>/dev/null; then
            nginx_failed
        fi
        sleep 0.05
    done
}

nginx_failed() {
    wait "$NGINX" || true
    NGINX=
    if grep -qs 'Address already in use' "$RUN/logs/error.log"; then
        port_busy
    fi
    tail -n 20 "$RUN/logs/error.log" >&2 || true
    if [[ $DATABASE ]]; then
        complain "(country.mmdb there is a copy of $DATABASE)"
    fi
    die 'nginx did not start, or stopped; see the lines above.'
}

# Leaves nothing behind. Runs once, at the very end, whatever the reason.
clean_up() {
    trap '' HUP INT TERM
    if [[ $NGINX ]]; then
        kill -TERM "$NGINX" 2>/dev/null || true
        wait "$NGINX" 2>/dev/null || true
    fi
    if [[ $RUN ]]; then
        rm -rf -- "$RUN"
    fi
}

# ---- Traffic ----

# 20 requests at once from each client, over one connection each.
send_traffic() {
    local address rest
    while read -r address rest; do
        if [[ $address ]]; then
            curl -q --silent --show-error --output /dev/null --header "X-Forwarded-For: $address" \
                "http://127.0.0.1:$PORT/?[1-20]"
        fi
    done <<<"$CLIENTS"
}

# From "COUNTRY STATUS ..." lines to one line for each country:
# COUNTRY REQUESTS PASSED LIMITED DENIED.
count_by_country() {
    awk '{ all[$1]++; seen[$1, $2]++ }
         END { for (c in all) print c, all[c], seen[c, 200] + 0, seen[c, 429] + 0, seen[c, 403] + 0 }' |
        sort
}

# The same, as it should be.
expected_counts() {
    awk 'NF { p[$2] += $3; l[$2] += $4; d[$2] += $5 }
         END { for (c in p) print c, p[c] + l[c] + d[c], p[c], l[c], d[c] }' <<<"$CLIENTS" |
        sort
}

print_table() {
    printf '%-9s %9s %8s %8s %8s\n' country requests passed limited denied
    local country requests passed limited denied
    while read -r country requests passed limited denied; do
        printf '%-9s %9s %8s %8s %8s\n' "$country" "$requests" "$passed" "$limited" "$denied"
    done
}

show_traffic() {
    local counts
    say "20 requests at once from each of $(grep -c . <<<"$CLIENTS") clients"
    send_traffic
    counts=$(count_by_country <"$RUN/logs/access.log")
    printf '\nThe rules, in config/nginx/demo.conf:\n\n'
    sed -n '/weir_country_limits/,/}/p' "$RUN/conf/demo.conf"
    printf '\nWhat became of the requests:\n\n'
    print_table <<<"$counts"
    if [[ -z $DATABASE ]]; then
        printf '\n(countries: IPFire location database, CC BY-SA 4.0, as Debian ships it)\n'
    fi
    printf '\n'
    check_counts "$counts"
}

# With a database of its own the demo knows what has to come out; with another
# one, countries may differ, but nobody is to have more than his share.
check_counts() {
    local expected
    if [[ -z $DATABASE ]]; then
        expected=$(expected_counts)
        if [[ $1 != "$expected" ]]; then
            complain 'this is not what the rules say. Expected:'
            print_table <<<"$expected" >&2
            exit 1
        fi
    elif ! awk '{ limited += $4 } END { exit !limited }' <<<"$1"; then
        die 'no request was limited.'
    fi
}

# ---- By hand ----

# Three commands to try, each with a client that has not been seen yet. In a
# shell with a proxy they must not use it.
by_hand() {
    local curl='curl -s'
    if [[ ${http_proxy:-}${all_proxy:-}${ALL_PROXY:-} ]]; then
        curl="curl --noproxy '*' -s"
    fi
    # shellcheck disable=SC2016  # for the reader's shell
    case $1 in
        1) printf '%s' "$curl -o /dev/null -w '%{http_code} '" \
               " -H 'X-Forwarded-For: 168.126.63.2' 'http://127.0.0.1:$PORT/?[1-20]'; echo" ;;
        2) printf '%s' "$curl -i -H 'X-Forwarded-For: 175.45.176.2' http://127.0.0.1:$PORT/" ;;
        3) printf '%s' "$curl -H 'X-Forwarded-For: 81.169.145.151' -H 'X-Geo-Country: US'" \
               " http://127.0.0.1:$PORT/" ;;
    esac
}

BY_HAND_TITLES=(
    ''
    'A client in Korea, 20 times: 12 pass at once, then it is limited:'
    'A client in a country that is denied:'
    'A client in Germany that claims to be in the US: what the backend gets to see:')
BY_HAND_EXPECTED=(
    ''
    '200 200 200 200 200 200 200 200 200 200 200 200 429 429 429 429 429 429 429 429*'
    'HTTP/1.1 403 *'
    '*X-Geo-Country: DE,*')

# With --once the answers are shown, too, and checked.
show_by_hand() {
    local number answer
    printf 'To try by hand:\n'
    for number in 1 2 3; do
        printf '\n# %s\n%s\n' "${BY_HAND_TITLES[number]}" "$(by_hand $number)"
        if [[ $ONCE ]]; then
            answer=$(eval "$(by_hand $number)")
            printf '%s\n' "$answer" | tr -d '\r' | sed 's/^/    /'
            # shellcheck disable=SC2053  # a pattern
            if [[ -z $DATABASE && $answer != ${BY_HAND_EXPECTED[number]} ]]; then
                die "that is not what it should answer."
            fi
        fi
    done
    printf '\n'
}

main() {
    read_arguments "$@"
    # Whatever happens from here on, nothing is left behind.
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    if port_is_busy; then
        port_busy
    fi
    scripts/setup demo
    build
    make_run_folder
    start_nginx
    show_traffic
    show_by_hand
    if [[ $ONCE ]]; then
        say 'done; nginx is stopped.'
        return
    fi

    say "nginx listens on http://127.0.0.1:$PORT; its logs are in $RUN/logs."
    say 'Ctrl-C stops it and removes everything.'
    trap 'exit 0' HUP INT TERM
    wait "$NGINX" || true
    nginx_failed
}

main "$@"
