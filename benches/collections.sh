#!/usr/bin/env bash
# Measures large collections of kvserver beside those of a local redis-server, as Markdown: memory
# and disk per element, and how long point commands, EXPIRE, DEL and making the key again take.
#
# Each type in turn, one server after the other: loaded through redis-cli --pipe, in requests of a
# hundred elements; times are the servers' own, of the command alone, from SLOWLOG (microseconds).
# Memory is what the process holds and no file backs, less what the empty server had; disk is the
# space of the directory after a sync, for Redis that of its log, written anew.
#
# Environment, with defaults:
#   ELEMENTS=1000000    per collection; issue figures are with 10000000, which takes some minutes
#   TYPES="hash list set zset"
#   KVSERVER=PATH       this binary instead of building it
set -euo pipefail
cd "$(dirname "$0")/.."

ELEMENTS=${ELEMENTS:-1000000} TYPES=${TYPES:-hash list set zset}
BATCH=100
target=${CARGO_TARGET_DIR:-target}
[ -n "${KVSERVER:-}" ] || cargo build --quiet --release -p kvserver
KVSERVER=${KVSERVER:-$target/release/kvserver}
for tool in redis-cli redis-server; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed" >&2; exit 2; }
done
mkdir -p "$target/tmp"
# Absolute, as redis-server looks for its log from its own directory.
scratch=$(mktemp -d "$(realpath "$target")/tmp/collections.XXXXXX")
pid=
stop_server() {
    [ -z "$pid" ] || { kill -TERM "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    pid=
}
trap 'stop_server; rm -rf "$scratch"' EXIT

cli() { redis-cli -p "$port" "$@"; }
# Bytes of the server's memory that no file backs.
anonymous() { awk '/^RssAnon:/ { print $2 * 1024 }' "/proc/$pid/status"; }
info() { cli info "$1" | tr -d '\r' | sed -n "s/^$2://p"; }

start_server() { # NAME
    local dir=$scratch/$1
    mkdir -p "$dir"
    port=$((20000 + RANDOM % 10000))
    case $1 in
        kvserver) "$KVSERVER" --port "$port" --dir "$dir" >"$scratch/log" 2>&1 & ;;
        redis) redis-server --port "$port" --dir "$dir" --save '' --appendonly yes \
            --logfile "$scratch/log" & ;;
    esac
    pid=$!
    for _ in $(seq 200); do
        cli ping >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$scratch/log" >&2
    exit 1
}

# Requests that fill the key `big`: names of 16 digits, or members of 20 bytes; values of 100.
requests() { # TYPE
    awk -v type="$1" -v elements="$ELEMENTS" -v batch=$BATCH '
        function bulk(text) { printf "$%d\r\n%s\r\n", length(text), text }
        BEGIN {
            # Of letters drawn at random, as redis-server compresses others when it writes its log.
            srand(17)
            letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
            for (i = 0; i < 10000; i++) pool = pool substr(letters, 1 + int(rand() * 62), 1)
            each = type == "list" || type == "set" ? 1 : 2
            name = type == "hash" ? "HSET" : type == "list" ? "RPUSH" : type == "set" ? "SADD" : "ZADD"
            for (i = 0; i < elements; i += batch) {
                count = elements - i < batch ? elements - i : batch
                printf "*%d\r\n", 2 + count * each
                bulk(name); bulk("big")
                for (j = i; j < i + count; j++) {
                    member = sprintf("member:%013d", (j * 7919) % elements)
                    if (type == "zset") bulk(j)
                    if (type != "list") bulk(member)
                    if (type == "hash" || type == "list") bulk(substr(pool, 1 + (j * 101) % 9900, 100))
                }
            }
        }'
}

# The time the server took for a command, in microseconds; the best of five, once if it changes.
micros() { # TIMES WORD…
    local times=$1 best='' took
    shift
    for _ in $(seq "$times"); do
        cli slowlog reset >/dev/null
        cli "$@" >/dev/null
        # The newest entry: number, time, microseconds. (Not in JSON: for that redis-cli sends HELLO
        # first, which would be the newest.)
        took=$(cli slowlog get 1 | sed -n 3p)
        if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
    done
    echo "$best"
}

# Lets redis-server write its log anew, and waits for it.
rewrite_log() {
    cli bgrewriteaof >/dev/null
    while info persistence 'aof_rewrite_[a-z_]*' | grep -q 1; do sleep 0.2; done
}

# One row of the table of a server and a type.
measure() { # SERVER TYPE
    local server=$1 type=$2 before empty after bytes disk middle=$((ELEMENTS / 2)) point=() i
    start_server "$server"
    before=$(info memory used_memory) empty=$(anonymous)
    requests "$type" | cli --pipe | tail -n 1 | grep -q "errors: 0" \
        || { echo "error: $server did not take the $type" >&2; exit 1; }
    after=$(info memory used_memory)
    bytes=$(awk "BEGIN { printf \"%.1f\", ($(anonymous) - $empty) / $ELEMENTS }")
    if [ "$server" = redis ]; then rewrite_log; else cli save >/dev/null; fi
    disk=$(du -s --block-size=1 "$scratch/$server" | cut -f 1)
    disk=$(awk "BEGIN { printf \"%.1f\", $disk / $ELEMENTS }")
    cli config set slowlog-log-slower-than 0 >/dev/null
    local member
    member=$(printf 'member:%013d' 4711)
    case $type in
        hash) point=("hget big $member" "hset big $member y" "hrandfield big") ;;
        list) point=("lindex big $middle" "lset big $middle y" "lpush big y") ;;
        set) point=("sismember big $member" "sadd big $member" "srandmember big") ;;
        zset) point=("zrank big $member" "zrange big $middle $middle" "zincrby big 0.5 $member") ;;
    esac
    local row="| $type | $server | $bytes | $disk |" shown
    for i in 0 1 2; do
        # shellcheck disable=SC2086 # words
        shown=$(micros 5 ${point[$i]})
        row+=" ${point[$i]%% *} $shown |"
    done
    row+=" $(micros 1 expire big 10000) |"
    row+=" $(micros 1 del big) |"
    case $type in
        hash) again="hset big a b" ;;
        list) again="rpush big a" ;;
        set) again="sadd big a" ;;
        zset) again="zadd big 1 a" ;;
    esac
    # shellcheck disable=SC2086 # words
    row+=" $(micros 1 $again) |"
    local start=$SECONDS limit=$(((after - before) / 10 + before))
    while [ "$(info memory used_memory)" -gt "$limit" ] && [ $((SECONDS - start)) -lt 120 ]; do
        sleep 0.2
    done
    row+=" $((SECONDS - start)) |"
    echo "$row"
    stop_server
    rm -rf "${scratch:?}/$server"
}

echo "$ELEMENTS elements: fields and members of 20 bytes, values of 100; Redis" \
    "$(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/') with an append-only file."
echo
echo "| type | server | memory, B/element | disk, B/element | point commands, µs | | | EXPIRE, µs | DEL, µs | made again, µs | memory freed after, s |"
echo "|---|---|---|---|---|---|---|---|---|---|---|"
for type in $TYPES; do
    measure kvserver "$type"
    measure redis "$type"
done
