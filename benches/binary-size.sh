#!/usr/bin/env bash
# What a dependency costs: seconds of a clean release build, and bytes in the binary.
#
# For each engine a program that opens a store, writes one pair and reads it, in a package of its
# own with cargo's default release profile. Subtracted is the same program without a store.
# Everything is downloaded before the clock starts. `packages` is what kvcore depends on, built
# without kvcore: the least that its build can take.
#
#   benches/binary-size.sh
#   WITH="kvcore redb" REPS=3 benches/binary-size.sh
#
# Environment:
#   WITH   engines (default: kvcore packages redb fjall heed; rocksdb takes a quarter of an hour)
#   REPS   builds of each, of which the fastest counts (default 1)
#   OUT    where binary-size.md goes, for report.sh (default: target/report)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
WITH=${WITH:-kvcore packages redb fjall heed}
REPS=${REPS:-1}
OUT=${OUT:-${CARGO_TARGET_DIR:-$root/target}/report}
unset CARGO_TARGET_DIR

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

dependency() { # ENGINE
    case $1 in
        none) ;;
        kvcore | packages) echo "kvcore = { path = \"$root/kvcore\" }" ;;
        redb) echo 'redb = "4.4"' ;;
        fjall) echo 'fjall = "3.1"' ;;
        heed) echo 'heed = { version = "0.22", default-features = false }' ;;
        rocksdb) echo 'rocksdb = { version = "0.25", default-features = false, features = ["bindgen-runtime", "lz4"] }' ;;
        *) echo "error: no engine $1" >&2; exit 1 ;;
    esac
}

program() { # ENGINE
    case $1 in
        none | packages) echo 'let found = Some(dir.len().to_string());' ;;
        kvcore) echo 'let store = kvcore::Store::open(&dir)?;
            let pairs: kvcore::Keyspace<String, String> = store.keyspace("pairs")?;
            pairs.put("hello", &"world".to_owned())?;
            let found = pairs.get("hello")?;
            store.close()?;' ;;
        redb) echo 'const PAIRS: redb::TableDefinition<&str, &str> = redb::TableDefinition::new("pairs");
            let db = redb::Database::create(&dir)?;
            let tx = db.begin_write()?;
            tx.open_table(PAIRS)?.insert("hello", "world")?;
            tx.commit()?;
            use redb::ReadableDatabase;
            let pairs = db.begin_read()?.open_table(PAIRS)?;
            let found = pairs.get("hello")?.map(|v| v.value().to_owned());' ;;
        fjall) echo 'let db = fjall::Database::builder(&dir).open()?;
            let pairs = db.keyspace("pairs", fjall::KeyspaceCreateOptions::default)?;
            pairs.insert("hello", "world")?;
            db.persist(fjall::PersistMode::SyncAll)?;
            let found = pairs.get("hello")?.map(|v| String::from_utf8_lossy(&v).into_owned());' ;;
        heed) echo 'std::fs::create_dir_all(&dir)?;
            let env = unsafe { heed::EnvOpenOptions::new().open(&dir)? };
            let mut tx = env.write_txn()?;
            let pairs: heed::Database<heed::types::Str, heed::types::Str> =
                env.create_database(&mut tx, None)?;
            pairs.put(&mut tx, "hello", "world")?;
            tx.commit()?;
            let tx = env.read_txn()?;
            let found = pairs.get(&tx, "hello")?.map(str::to_owned);' ;;
        rocksdb) echo 'let db = rocksdb::DB::open_default(&dir)?;
            db.put("hello", "world")?;
            let found = db.get("hello")?.map(|v| String::from_utf8_lossy(&v).into_owned());' ;;
    esac
}

package() { # ENGINE
    mkdir -p "$scratch/$1/src"
    cat >"$scratch/$1/Cargo.toml" <<END
[package]
name = "hello-$1"
version = "0.0.0"
edition = "2024"
[dependencies]
$(dependency "$1")
[workspace]
END
    cat >"$scratch/$1/src/main.rs" <<END
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("a place for the store")?;
    $(program "$1")
    println!("{found:?}");
    Ok(())
}
END
    # What the workspace is tested with, where it has it.
    cp Cargo.lock "$scratch/$1/"
    (cd "$scratch/$1" && cargo fetch --quiet)
}

what_to_build() { # ENGINE: the arguments of cargo build
    [ "$1" = packages ] || return 0
    cargo tree --manifest-path "$scratch/$1/Cargo.toml" --package kvcore --depth 1 \
        --edges normal --prefix none | awk 'NR > 1 { print "--package", $1 }'
}

seconds= processor= bytes=
build() { # ENGINE: the best of REPS builds
    local wall user system times arguments
    seconds= processor= bytes=
    read -r -d '' -a arguments < <(what_to_build "$1") || true
    for _ in $(seq "$REPS"); do
        rm -rf "$scratch/$1/target"
        times=$(TIMEFORMAT='%R %U %S'
            { time cargo build --quiet --release --offline "${arguments[@]}" \
                --manifest-path "$scratch/$1/Cargo.toml" >"$scratch/log" 2>&1 || touch "$scratch/failed"
            } 2>&1)
        read -r wall user system <<<"$times"
        [ ! -e "$scratch/failed" ] || { cat "$scratch/log" >&2; exit 1; }
        if [ -z "$seconds" ] || [ "$(echo "$wall < $seconds" | bc)" = 1 ]; then
            seconds=$wall
            processor=$(echo "$user + $system" | bc)
        fi
    done
    [ "$1" != packages ] || return 0
    "$scratch/$1/target/release/hello-$1" "$scratch/$1/store" >/dev/null
    cp "$scratch/$1/target/release/hello-$1" "$scratch/stripped"
    strip "$scratch/stripped"
    bytes=$(stat -c %s "$scratch/stripped")
}

kib() { # Packages that nothing uses add nothing.
    if [ -n "$bytes" ]; then echo $(((bytes - base_bytes) / 1024)); else echo –; fi
}

mkdir -p "$OUT"
package none
build none
base_seconds=$seconds base_processor=$processor base_bytes=$bytes
{
    echo "Added to a program without a store, clean release build on $(nproc) cores, $(rustc --version | cut -d' ' -f1,2), binary stripped; best of $REPS."
    echo
    echo "| | packages | build, s | processor, s | binary, KiB |"
    echo "|---|---|---|---|---|"
    for engine in $WITH; do
        package "$engine"
        build "$engine"
        packages=$(cd "$scratch/$engine" && cargo tree --prefix none --edges normal,build | sed 's/ (\*)//' | sort -u | wc -l)
        echo "| $engine | $((packages - 1)) | $(echo "$seconds - $base_seconds" | bc) | $(echo "$processor - $base_processor" | bc) | $(kib) |"
    done
} | tee "$OUT/binary-size.md"
