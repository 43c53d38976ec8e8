#!/usr/bin/env bash
# Measures kvserver beside a local redis-server with matched durability, and prints Markdown.
#
# A round starts all servers on fresh directories, loads all keys into each through redis-cli
# --pipe, takes their memory and verifies a sample. Then redis-benchmark runs one test at a time on
# one server after the other, so that what else the machine does meets all of them; every second
# round in the opposite order. Medians over the rounds of each ratio are shown. A server that only
# answers (benches/answer_only.rs) shows what redis-benchmark itself and the network allow. Without
# redis-server in the path only kvserver is measured.
#
# With --write the tables go into docs/server-performance.md too, between its marks.
#
# Environment, with defaults:
#   MODES="everysec always"  any of everysec, always, no (redis-server runs with appendonly yes)
#   PIPELINES="16 1"         requests in flight per client
#   TESTS="…"                those of redis-benchmark, all by default
#   TESTS_ALWAYS="set"       those with fsync at every commit
#   REPS=5  CLIENTS=50  KEYS=1000000  VALUE_BYTES=100
#   REQUESTS=1000000         per test; a fifth at pipeline 1, a tenth of it for MSET, a fiftieth for
#                            LRANGE, and at most a twentieth with fsync at every commit
#   KVSERVER=PATH ANSWER=PATH  these binaries instead of building them
#   KEEP=PATH                write the rows of single measurements there
set -euo pipefail
cd "$(dirname "$0")/.."

ALL="ping_inline ping_mbulk set get incr lpush lrange_100 lrange_300 lrange_500 lrange_600 rpush
    lpop rpop sadd hset spop zadd zpopmin mset"
MODES=${MODES:-everysec always} PIPELINES=${PIPELINES:-16 1} TESTS=${TESTS:-$ALL}
TESTS_ALWAYS=${TESTS_ALWAYS:-set} REPS=${REPS:-5} CLIENTS=${CLIENTS:-50} KEYS=${KEYS:-1000000}
VALUE_BYTES=${VALUE_BYTES:-100} REQUESTS=${REQUESTS:-1000000}
HOST=127.0.0.1
TICKS=$(getconf CLK_TCK)
DOCS=docs/server-performance.md

for tool in redis-benchmark redis-cli; do
    command -v "$tool" >/dev/null || { echo "error: $tool is not installed" >&2; exit 2; }
done
if [ "$VALUE_BYTES" -lt 12 ]; then
    echo "error: VALUE_BYTES $VALUE_BYTES: at least 12, a value holds its key's number" >&2
    exit 2
fi
servers="kvserver answer"
beside="no Redis: redis-server is not installed"
if command -v redis-server >/dev/null; then
    servers="kvserver redis answer"
    beside="Redis $(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')"
fi
target=${CARGO_TARGET_DIR:-target}
[ -n "${KVSERVER:-}" ] || cargo build --release -p kvserver
[ -n "${ANSWER:-}" ] || cargo build --release -p kv-benches --bin answer-only
KVSERVER=${KVSERVER:-$target/release/kvserver} ANSWER=${ANSWER:-$target/release/answer-only}

mkdir -p "$target/tmp"
scratch=$(mktemp -d "$target/tmp/redis-benchmark.XXXXXX")
rows=$scratch/rows
: >"$rows"
declare -A pids=() ports=()

stop_servers() {
    local name
    for name in "${!pids[@]}"; do kill -TERM "${pids[$name]}" 2>/dev/null || true; done
    for name in "${!pids[@]}"; do wait "${pids[$name]}" 2>/dev/null || true; done
    pids=()
}
clean_up() {
    stop_servers
    [ -z "${KEEP:-}" ] || cp "$rows" "$KEEP"
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# cli NAME WORD…: talks to a server.
cli() { redis-cli -h "$HOST" -p "${ports[$1]}" "${@:2}"; }

# Whether something listens there.
is_taken() { (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; }

# start_server NAME MODE: returns when it answers. The port is below those of outgoing connections.
start_server() {
    local dir=$scratch/$1 tries=0 port=$((10000 + RANDOM % 20000))
    rm -rf "$dir"
    mkdir "$dir"
    while is_taken "$port"; do port=$((port + 1)); done
    case $1 in
    kvserver)
        "$KVSERVER" --dir "$dir" --bind "$HOST" --port "$port" --appendfsync "$2" \
            >"$scratch/log" 2>&1 &
        ;;
    redis)
        redis-server --dir "$dir" --bind "$HOST" --port "$port" --save "" \
            --appendonly yes --appendfsync "$2" >"$scratch/log" 2>&1 &
        ;;
    answer) "$ANSWER" "$port" "$VALUE_BYTES" >"$scratch/log" 2>&1 & ;;
    esac
    pids[$1]=$! ports[$1]=$port
    until is_taken "$port"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "${pids[$1]}" 2>/dev/null; then
            echo "error: $1 did not start:" >&2
            cat "$scratch/log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

fail() {
    echo "error: $1 answers wrongly: $2" >&2
    exit 1
}

# Anonymous memory of a server, in KiB.
memory() { awk '/^Anonymous:/ { print $2 }' "/proc/${pids[$1]}/smaps_rollup"; }

# load NAME MODE: all keys redis-benchmark draws from; a value is its key's number, padded. Their
# memory becomes a row.
load() {
    local before
    before=$(memory "$1")
    awk -v keys="$KEYS" -v bytes="$VALUE_BYTES" 'BEGIN {
        pad = sprintf("%*s", bytes - 12, ""); gsub(/ /, "x", pad)
        for (i = 0; i < keys; i++)
            printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%012d%s\r\n", i, bytes, i, pad
    }' | cli "$1" --pipe | tail -n 1 | grep -q "errors: 0, replies: $KEYS" ||
        fail "$1" "not every key of the load was acknowledged"
    echo "$2 0 memory $1 $(($(memory "$1") - before)) 0 0 0" >>"$rows"
}

# A sample of the load, right after it.
verify_load() {
    local i step=$((KEYS / 50 + 1)) key value
    for ((i = 0; i < KEYS; i += step)); do
        key=$(printf 'key:%012d' "$i")
        value=$(cli "$1" get "$key")
        [ "${value:0:12}" = "${key:4}" ] && [ "${#value}" -eq "$VALUE_BYTES" ] ||
            fail "$1" "GET $key: $value"
    done
}

# After the tests: what they wrote has its length, and a round trip works.
verify_after() {
    local i value
    for ((i = 0; i < 50; i++)); do
        value=$(cli "$1" strlen "$(printf 'key:%012d' $((i * KEYS / 50)))")
        [ "$value" = "$VALUE_BYTES" ] || fail "$1" "STRLEN $value, not $VALUE_BYTES"
        [ "$(cli "$1" set "sample:$i" "value $i")" = OK ] || fail "$1" "SET sample:$i"
        [ "$(cli "$1" get "sample:$i")" = "value $i" ] || fail "$1" "GET sample:$i"
    done
}

# Processor time of a server so far, user and system, in ticks. The name may hold spaces.
ticks() { sed 's/.*) //' "/proc/${pids[$1]}/stat" | awk '{ print $12 + $13 }'; }

# requests MODE PIPELINE TEST
requests() {
    local count=$REQUESTS
    [ "$2" -gt 1 ] || count=$((count / 5))
    case $3 in
    mset) count=$((count / 10)) ;;
    lrange_*) count=$((count / 50)) ;;
    esac
    [ "$1" != always ] || count=$((count / 20))
    echo "$count"
}

# measure NAME MODE PIPELINE TEST: appends one row.
measure() {
    local count before after line test=(-t "$4")
    count=$(requests "$2" "$3" "$4")
    # By itself it would fill the list first, within the processor time.
    [ "${4#lrange_}" = "$4" ] || test=(LRANGE mylist 0 $((${4#lrange_} - 1)))
    before=$(ticks "$1")
    line=$(redis-benchmark -h "$HOST" -p "${ports[$1]}" -c "$CLIENTS" -P "$3" -n "$count" \
        -r "$KEYS" -d "$VALUE_BYTES" --csv "${test[@]}" 2>/dev/null | tail -n 1 | tr -d '"')
    after=$(ticks "$1")
    # CSV: test, requests per second, avg, min, p50, p95, p99, max (milliseconds).
    echo "$line" | awk -F, -v key="$2 $3 $4 $1" -v used=$((after - before)) -v hz="$TICKS" \
        -v n="$count" '{ print key, $2, used / hz * 1e6 / n, $5, $7 }' >>"$rows"
}

tests_of() { if [ "$1" = always ]; then echo "$TESTS_ALWAYS"; else echo "$TESTS"; fi; }

# turn MODE NAME…
turn() {
    local mode=$1 pipeline test name
    shift
    for name in "$@"; do start_server "$name" "$mode"; done
    for name in "$@"; do
        [ "$name" = answer ] || { load "$name" "$mode"; verify_load "$name"; }
    done
    for pipeline in $PIPELINES; do
        for test in $(tests_of "$mode"); do
            for name in "$@"; do
                case $name:$test in
                answer:set | answer:get) [ "$mode" = always ] && continue ;;
                answer:*) continue ;;
                esac
                measure "$name" "$mode" "$pipeline" "$test"
            done
        done
    done
    for name in "$@"; do [ "$name" = answer ] || verify_after "$name"; done
    stop_servers
}

# One row of the table per test: medians, and the median of the rounds' ratios.
table() {
    awk -v mode="$1" -v pipeline="$2" -v tests="$(tests_of "$1" | tr '\n' ' ')" '
        function median(list,   n, v, i, j, t) {
            n = split(list, v, " ")
            if (n == 0) return ""
            for (i = 2; i <= n; i++) {
                t = v[i] + 0
                for (j = i - 1; j > 0 && v[j] + 0 > t; j--) v[j + 1] = v[j]
                v[j + 1] = t
            }
            return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        function k(n) { return n == "" ? "–" : sprintf("%.1f k/s", n / 1000) }
        $1 == mode && $2 == pipeline {
            round = ++seen[$3, $4]
            rate[$3, $4] = rate[$3, $4] " " $5; cpu[$3, $4] = cpu[$3, $4] " " $6
            p99[$3, $4] = p99[$3, $4] " " $8; at[$3, $4, round] = $5; used[$3, $4, round] = $6
        }
        END {
            print "| test | kvserver | Redis | ratio | µs of processor per request | Redis | ratio | p99, ms | Redis | only answers |"
            print "|---|---|---|---|---|---|---|---|---|---|"
            count = split(tests, names, " ")
            for (i = 1; i <= count; i++) {
                t = names[i]; ratios = cpus = ""
                for (r = 1; r <= seen[t, "kvserver"]; r++) {
                    if (at[t, "redis", r] > 0) ratios = ratios " " at[t, "kvserver", r] / at[t, "redis", r]
                    if (used[t, "redis", r] > 0) cpus = cpus " " used[t, "kvserver", r] / used[t, "redis", r]
                }
                printf "| `%s` | %s | %s | %s | %.2f | %.2f | %s | %.2f | %.2f | %s |\n", toupper(t),
                    k(median(rate[t, "kvserver"])), k(median(rate[t, "redis"])),
                    ratios == "" ? "–" : sprintf("**%.2f** ×", median(ratios)),
                    median(cpu[t, "kvserver"]), median(cpu[t, "redis"]),
                    cpus == "" ? "–" : sprintf("%.2f ×", median(cpus)),
                    median(p99[t, "kvserver"]), median(p99[t, "redis"]), k(median(rate[t, "answer"]))
            }
        }' "$rows"
}

report() {
    local mode pipeline
    echo "kvserver beside $beside, $CLIENTS clients, $KEYS keys, $VALUE_BYTES-byte values," \
        "$(nproc) cores for servers and clients together; medians of $REPS rounds."
    for mode in $MODES; do
        for pipeline in $PIPELINES; do
            printf '\n`appendfsync %s`, pipeline %s:\n\n' "$mode" "$pipeline"
            table "$mode" "$pipeline"
        done
    done
    printf '\nAnonymous memory that the loaded keys take, in MiB: '
    awk '$3 == "memory" { sum[$4] += $5; n[$4]++ }
        END { for (s in sum) { printf "%s%s %.0f", sep, s, sum[s] / n[s] / 1024; sep = ", " }
            if (n["redis"]) printf "; ratio %.2f", sum["kvserver"] / n["kvserver"] / (sum["redis"] / n["redis"])
            print "." }' "$rows"
}

for mode in $MODES; do
    for ((rep = 1; rep <= REPS; rep++)); do
        order=$servers
        [ $((rep % 2)) -eq 1 ] || order=$(echo "$servers" | tr ' ' '\n' | tac)
        echo "$mode, round $rep of $REPS" >&2
        # shellcheck disable=SC2086 # one word per server
        turn "$mode" $order
    done
done
report | tee "$scratch/report"
if [ "${1:-}" = --write ]; then
    awk -v report="$scratch/report" '
        /<!-- end server -->/ { skip = 0 }
        !skip { print }
        /<!-- begin server -->/ {
            print ""; while ((getline line <report) > 0) print line
            print ""; skip = 1
        }' "$DOCS" >"$scratch/docs"
    cp "$scratch/docs" "$DOCS"
fi
