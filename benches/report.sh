#!/usr/bin/env bash
# Measures what docs/performance.md shows, and rewrites its tables and plots.
#
#   benches/report.sh                        a representative subset, about 15 minutes on two cores
#   SUITES=all SIZE=full benches/report.sh   everything at full size, hours
#   ONLY_REPORT=1 benches/report.sh          tables and plots of the JSON that is there
#
# Environment:
#   SUITES   suites of the benches, in order (default: table memory open steady ycsb cold); all
#            adds values and fjall
#   SIZE     subset (default): fewer keys where only ratios are read, workloads cut short;
#            full: the sizes of `--help`
#   ROUNDS   rounds of the suite table (default: 3 in the subset, 5 in full); the others have as
#            many as the list below says
#   ENGINES  engines, by comma (default: all but sled, which is known not to sync)
#   FEATURES compare (default), or compare-rocksdb, which compiles for a quarter of an hour
#   OUT      where the JSON goes (default: target/report)
#   DOCS     where the document is (default: docs)
set -euo pipefail
cd "$(dirname "$0")/.."

SIZE=${SIZE:-subset}
SUITES=${SUITES:-table memory open steady ycsb cold}
[ "$SUITES" != all ] || SUITES="table memory open steady ycsb cold values fjall"
FEATURES=${FEATURES:-compare}
OUT=${OUT:-${CARGO_TARGET_DIR:-target}/report}
DOCS=${DOCS:-docs}
PEERS=kvcore,kvcore-unordered,heed,redb,fjall
[ "$FEATURES" != compare-rocksdb ] || PEERS=$PEERS,rocksdb
ENGINES=${ENGINES:-$PEERS,hash-map,raw-log,memcpy,pread,append}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd) # cargo runs a bench in its package's directory

# Options of a suite. Those of the subset fit into a quarter of an hour on two cores; what they
# leave out is size, not workloads.
options() { # SUITE
    case $SIZE-$1 in
        full-table) echo "--reps ${ROUNDS:-5}" ;;
        full-memory) echo "--reps 3" ;;
        full-*) echo "--reps 3" ;;
        subset-table) echo "--reps ${ROUNDS:-3} --seconds 4" ;;
        subset-memory) echo "--reps 1" ;;
        subset-open) echo "--reps 1 --open-factor 10 --engines kvcore,kvcore-unordered" ;;
        subset-steady) echo "--reps 1 --keys 250000 --seconds 5" ;;
        subset-values) echo "--reps 1 --keys 100000 --seconds 2" ;;
        subset-ycsb) echo "--reps 1 --keys 500000 --seconds 2" ;;
        subset-cold) echo "--reps 1 --keys 400000 --seconds 3" ;;
        subset-fjall) echo "--reps 1 --keys 250000 --seconds 2" ;;
        *) echo "error: no suite $1, or no size $SIZE" >&2; exit 1 ;;
    esac
}

measure() { # SUITE
    local suite=$1 start=$SECONDS given
    given=$(options "$suite")
    # shellcheck disable=SC2086 # options are words
    cargo bench --quiet --locked -p kv-benches --features "$FEATURES" --bench compare -- \
        --suite "$suite" --json "$OUT/$suite.json" --engines "$ENGINES" $given \
        >"$OUT/$suite.txt" 2>"$OUT/$suite.log" \
        || { tail -n 20 "$OUT/$suite.log" >&2; exit 1; }
    grep "out of this run" "$OUT/$suite.log" || true
    echo "$suite: $((SECONDS - start)) s, $OUT/$suite.txt"
}

if [ -z "${ONLY_REPORT:-}" ]; then
    cargo bench --quiet --locked -p kv-benches --features "$FEATURES" --bench compare --no-run
    for suite in $SUITES; do
        measure "$suite"
    done
    cargo bench --quiet --locked -p kv-benches --bench instructions >"$OUT/instructions.md" \
        || echo "instructions: see $OUT/instructions.md"
fi

files=()
for suite in $SUITES; do
    [ ! -f "$OUT/$suite.json" ] || files+=("$OUT/$suite.json")
done
[ ! -f "$OUT/instructions.md" ] || files+=("$OUT/instructions.md")
[ ! -f "$OUT/binary-size.md" ] || files+=("$OUT/binary-size.md")
cargo run --quiet --locked --release -p kv-benches --bin report -- "${files[@]}" --docs "$DOCS"
