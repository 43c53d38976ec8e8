#!/usr/bin/env bash
# Measures kvserver beside a local redis-server with matched durability.
#
# Each turn starts one server on a fresh directory and a free port, loads all keys through
# redis-cli --pipe, verifies a sample, runs redis-benchmark one test at a time, verifies again and
# stops the server. Turns alternate; medians over turns are printed. Without redis-server in the
# path only kvserver is measured.
#
# Environment, with defaults:
#   MODES="everysec"     any of everysec, always, no (redis-server runs with appendonly yes)
#   PIPELINES="16 1"     requests in flight per client
#   TESTS="set get incr mset"
#   REPS=5  CLIENTS=50  KEYS=1000000  VALUE_BYTES=100
#   REQUESTS=2000000     per test at pipelines above 1; a fifth of it at pipeline 1
#   KVSERVER=PATH        this binary instead of building one
#   KEEP=PATH            write the rows of single turns there
set -euo pipefail
cd "$(dirname "$0")/.."

MODES=${MODES:-everysec} PIPELINES=${PIPELINES:-16 1} TESTS=${TESTS:-set get incr mset}
REPS=${REPS:-5} CLIENTS=${CLIENTS:-50} KEYS=${KEYS:-1000000} VALUE_BYTES=${VALUE_BYTES:-100}
REQUESTS=${REQUESTS:-2000000}
HOST=127.0.0.1
TICKS=$(getconf CLK_TCK)

for tool in redis-benchmark redis-cli; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed" >&2; exit 2; }
done
if [ "$VALUE_BYTES" -lt 12 ]; then
    echo "error: VALUE_BYTES $VALUE_BYTES: at least 12, a value holds its key's number" >&2
    exit 2
fi
servers="kvserver"
if command -v redis-server >/dev/null; then
    servers="kvserver redis"
    echo "beside: $(redis-server --version | cut -d' ' -f1-3)"
else
    echo "redis-server is not installed: measuring kvserver alone"
fi
if [ -z "${KVSERVER:-}" ]; then
    cargo build --release -p kvserver
    KVSERVER=${CARGO_TARGET_DIR:-target}/release/kvserver
fi

mkdir -p "${CARGO_TARGET_DIR:-target}/tmp"
scratch=$(mktemp -d "${CARGO_TARGET_DIR:-target}/tmp/redis-benchmark.XXXXXX")
rows=$scratch/rows
: >"$rows"
server_pid=
port=

stop_server() {
    [ -n "$server_pid" ] || return 0
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}
clean_up() {
    stop_server
    [ -z "${KEEP:-}" ] || cp "$rows" "$KEEP"
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

cli() { redis-cli -h "$HOST" -p "$port" "$@"; }

# Whether something listens there.
is_taken() { (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; }

choose_port() {
    port=$((20000 + RANDOM % 20000))
    while is_taken "$port"; do port=$((port + 1)); done
}

# start_server NAME MODE: sets server_pid and port, returns when it answers.
start_server() {
    local dir=$scratch/data tries=0
    rm -rf "$dir"
    mkdir "$dir"
    sync
    choose_port
    case $1 in
    kvserver)
        "$KVSERVER" --dir "$dir" --bind "$HOST" --port "$port" --appendfsync "$2" \
            >"$scratch/log" 2>&1 &
        ;;
    redis)
        redis-server --dir "$dir" --bind "$HOST" --port "$port" --save "" \
            --appendonly yes --appendfsync "$2" >"$scratch/log" 2>&1 &
        ;;
    esac
    server_pid=$!
    until [ "$(cli ping 2>/dev/null)" = PONG ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "$server_pid" 2>/dev/null; then
            echo "error: $1 did not start:" >&2
            cat "$scratch/log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# All keys redis-benchmark draws from; a value is its key's number, padded.
load() {
    awk -v keys="$KEYS" -v bytes="$VALUE_BYTES" 'BEGIN {
        pad = sprintf("%*s", bytes - 12, ""); gsub(/ /, "x", pad)
        for (i = 0; i < keys; i++)
            printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%012d%s\r\n", i, bytes, i, pad
    }' | cli --pipe | tail -n 1 | grep -q "errors: 0, replies: $KEYS" || {
        echo "error: not every key of the load was acknowledged" >&2
        exit 1
    }
}

fail() {
    echo "error: $1 answers wrongly: $2" >&2
    exit 1
}

# A sample of the load, right after it.
verify_load() {
    local i step=$((KEYS / 50 + 1)) key value
    for ((i = 0; i < KEYS; i += step)); do
        key=$(printf 'key:%012d' "$i")
        value=$(cli get "$key")
        [ "${value:0:12}" = "${key:4}" ] && [ "${#value}" -eq "$VALUE_BYTES" ] ||
            fail "$1" "GET $key: $value"
    done
}

# After the benchmark: lengths of what it wrote, and a round trip.
verify_after() {
    local i value
    for ((i = 0; i < 50; i++)); do
        value=$(cli strlen "$(printf 'key:%012d' $((i * KEYS / 50)))")
        [ "$value" = "$VALUE_BYTES" ] || fail "$1" "STRLEN $value, not $VALUE_BYTES"
        [ "$(cli set "sample:$i" "value $i")" = OK ] || fail "$1" "SET sample:$i"
        [ "$(cli get "sample:$i")" = "value $i" ] || fail "$1" "GET sample:$i"
    done
}

# Processor time of the server so far, user and system, in ticks. The name may hold spaces.
ticks() { sed 's/.*) //' "/proc/$server_pid/stat" | awk '{ print $12 + $13 }'; }

# measure NAME MODE PIPELINE TEST: appends one row.
measure() {
    local requests=$REQUESTS before after line
    [ "$3" -gt 1 ] || requests=$((REQUESTS / 5))
    before=$(ticks)
    line=$(redis-benchmark -h "$HOST" -p "$port" -t "$4" -c "$CLIENTS" -P "$3" -n "$requests" \
        -r "$KEYS" -d "$VALUE_BYTES" --csv | tail -n 1 | tr -d '"')
    after=$(ticks)
    # CSV: test, requests per second, avg, min, p50, p95, p99, max (milliseconds).
    echo "$line" | awk -F, -v key="$2 $3 $4 $1" -v used=$((after - before)) -v hz="$TICKS" \
        -v n="$requests" '{ print key, $2, used / hz * 1e6 / n, $5, $7 }' >>"$rows"
}

turn() {
    local pipeline test
    start_server "$1" "$2"
    load
    verify_load "$1"
    for pipeline in $PIPELINES; do
        for test in $TESTS; do measure "$1" "$2" "$pipeline" "$test"; done
    done
    verify_after "$1"
    stop_server
}

# median MODE PIPELINE TEST SERVER COLUMN
median() {
    awk -v key="$1 $2 $3 $4" -v column="$5" \
        'key == $1 " " $2 " " $3 " " $4 { print $column }' "$rows" | sort -g |
        awk '{ v[NR] = $1 }
            END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

report() {
    local mode pipeline test server base line
    for mode in $MODES; do
        for pipeline in $PIPELINES; do
            echo
            echo "appendfsync $mode, pipeline $pipeline, $CLIENTS clients, $KEYS keys," \
                "$VALUE_BYTES-byte values, median of $REPS"
            printf '  %-6s%-10s%12s%9s%12s%10s%10s\n' \
                "" "" "requests/s" "/ redis" "cpu µs/req" "p50 ms" "p99 ms"
            for test in $TESTS; do
                base=
                [ "$servers" = kvserver ] || base=$(median "$mode" "$pipeline" "$test" redis 5)
                for server in $servers; do
                    line="$(for c in 5 6 7 8; do
                        median "$mode" "$pipeline" "$test" "$server" "$c"
                    done | tr '\n' ' ')"
                    echo "$line" | awk -v test="$test" -v server="$server" -v base="$base" '{
                        printf "  %-6s%-10s%12d%9s%12.2f%10.3f%10.3f\n", test, server, $1,
                            base == "" ? "" : sprintf("%.2f", $1 / base), $2, $3, $4 }'
                done
            done
        done
    done
}

for mode in $MODES; do
    for ((rep = 1; rep <= REPS; rep++)); do
        order=$servers
        [ $((rep % 2)) -eq 1 ] || order=$(echo "$servers" | tr ' ' '\n' | tac)
        for server in $order; do
            echo "$mode, round $rep of $REPS: $server" >&2
            turn "$server" "$mode"
        done
    done
done
report
