//! A real process that is killed while it writes to a real disk, again and again.
//!
//! The child is this test binary, started with [`DIRECTORY`] set. It tells the parent through a
//! pipe what was acknowledged; the parent kills it, opens the store itself and compares.

use super::setting;
use kvcore::{BytesKeyspace, Durability, Keyspace, Options, Put, Result, Store};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

const DIRECTORY: &str = "KVCORE_KILL_DIRECTORY";
const NAME: &str = "crash::kill::killed_process_loses_nothing_it_was_acknowledged";
/// A child that nobody kills ends by itself.
const CHILD_LIFE_MAX: Duration = Duration::from_secs(20);
const THREADS: u8 = 3;
/// Each thread overwrites so many keys in turn, so that there is something to merge.
const KEYS: u64 = 40;

fn options() -> Options {
    Options::new().data_file_bytes_max(16 << 10).durability(Durability::Buffered)
}

/// What the three threads' writes look like: `n` under `n % KEYS`, and twice `n` in one batch.
fn key(thread: u8, n: u64) -> [u8; 2] {
    [thread, u8::try_from(n % KEYS).expect("few keys")]
}

fn value(n: u64) -> Vec<u8> {
    let text = format!("{n:012}");
    // Some go into files of their own.
    let len =
        if n.is_multiple_of(97) { 9_000 } else { 20 + usize::try_from(n % 200).expect("small") };
    text.bytes().cycle().take(len).collect()
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(&value[..12]).expect("digits");
    let n = text.parse().expect("a number");
    assert_eq!(value, self::value(n), "half a value");
    n
}

struct Keyspaces {
    values: BytesKeyspace,
    counters: Keyspace<u8, u64>,
    mirror: Keyspace<u8, u64>,
}

fn keyspaces(store: &Store) -> Result<Keyspaces> {
    Ok(Keyspaces {
        values: store.keyspace("values")?,
        counters: store.keyspace("counters")?,
        mirror: store.keyspace("mirror")?,
    })
}

/// Writes until it is killed, saying so after each acknowledgement.
fn child(directory: &Path) -> Result<()> {
    let store = options().open(directory)?;
    let ks = keyspaces(&store)?;
    let work = |thread: u8| -> Result<()> {
        let mut n = ks.counters.get(thread)?.unwrap_or(0);
        let mut out = std::io::stdout();
        loop {
            n += 1;
            let mut batch = store.batch();
            batch.put(&ks.values, key(thread, n).as_slice(), &value(n))?;
            batch.put(&ks.counters, thread, &n)?;
            batch.put(&ks.mirror, thread, &n)?;
            if n.is_multiple_of(50) {
                batch.delete(&ks.values, key(thread, n + 1).as_slice())?;
            }
            let durability =
                if n.is_multiple_of(16) { Durability::Immediate } else { Durability::Buffered };
            batch.commit_with(durability)?;
            if n.is_multiple_of(30) {
                let put = Put::expires_in(Duration::from_millis(n % 7));
                ks.values.put_with([thread, 200].as_slice(), b"short-lived", put)?;
            }
            if n.is_multiple_of(400) && thread == 0 {
                store.merge()?;
            }
            // One call per line, so that a line is there whole or not at all.
            out.write_all(format!("\nacknowledged {thread} {n}\n").as_bytes()).expect("a parent");
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|t| scope.spawn(move || work(t))).collect();
        threads.into_iter().try_for_each(|t| t.join().expect("no panic"))
    })
}

/// Reads what the child says until it is dead; per thread the last number.
fn listen(out: impl std::io::Read + Send + 'static) -> JoinHandle<[u64; THREADS as usize]> {
    std::thread::spawn(move || {
        let mut last = [0; THREADS as usize];
        for line in BufReader::new(out).lines().map_while(|line| line.ok()) {
            let mut words = line.split(' ');
            if let (Some("acknowledged"), Some(t), Some(n), None) =
                (words.next(), words.next(), words.next(), words.next())
            {
                last[t.parse::<usize>().expect("a thread")] = n.parse().expect("a number");
            }
        }
        last
    })
}

fn wait(time: Duration) {
    let (_sender, nothing) = std::sync::mpsc::channel::<()>();
    nothing.recv_timeout(time).expect_err("nothing is sent");
}

fn kill_after(directory: &Path, life: Duration) -> [u64; THREADS as usize] {
    let mut child = Command::new(std::env::current_exe().expect("this test's file"))
        .args([NAME, "--exact", "--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the test starts itself");
    let listener = listen(child.stdout.take().expect("it is piped"));
    // Real time is what this test is about: any moment is a good one.
    wait(life);
    assert!(child.try_wait().expect("our child").is_none(), "it ended by itself");
    child.kill().expect("it can be killed");
    child.wait().expect("it is dead");
    listener.join().expect("the pipe ends with the child")
}

fn check(directory: &Path, acknowledged: &[u64], before: &mut [u64]) {
    let store = options().open(directory).expect("it opens after a kill");
    let ks = keyspaces(&store).expect("they are registered, or are now");
    for thread in 0..THREADS {
        let t = usize::from(thread);
        let count = ks.counters.get(thread).expect("readable").unwrap_or(0);
        assert!(count >= acknowledged[t], "{} was acknowledged, {count} is left", acknowledged[t]);
        assert!(count >= before[t], "{count} is left of {}", before[t]);
        assert_eq!(ks.mirror.get(thread).expect("readable").unwrap_or(0), count, "half a batch");
        before[t] = count;
        // The newest of each key: n, or nothing where a batch deleted it.
        for n in (count.saturating_sub(KEYS - 1)).max(1)..=count {
            let found = ks.values.get(key(thread, n).as_slice()).expect("readable");
            // A batch of such a number deletes the key that comes next.
            let deleted = n + KEYS == count + 1 && count.is_multiple_of(50);
            assert_eq!(found.map(|v| number(&v)), (!deleted).then_some(n), "thread {thread}");
        }
        // It may expire between the two looks: what is found at the second had an expiry before.
        let still = ks.values.expires_at([thread, 200].as_slice()).expect("readable");
        let found = ks.values.get([thread, 200].as_slice()).expect("readable");
        assert!(found.is_none() || still.is_some(), "thread {thread}: it has lost its expiry");
    }
    let rest: u64 =
        ks.values.iter().map(|e| e.expect("readable").value().map(|_| 1).expect("readable")).sum();
    assert!(rest <= (KEYS + 1) * u64::from(THREADS), "{rest} keys");
}

#[test]
fn killed_process_loses_nothing_it_was_acknowledged() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        // A child without a parent must not write for ever.
        std::thread::spawn(|| {
            wait(CHILD_LIFE_MAX);
            std::process::exit(3);
        });
        child(Path::new(&directory)).expect("nothing fails on a sound disk");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("store");
    let seed = super::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counts = [0; THREADS as usize];
    let kills = setting("KVCORE_KILLS", 6);
    for _ in 0..kills {
        let life = Duration::from_millis(random.u64(5..250));
        let acknowledged = kill_after(&path, life);
        check(&path, &acknowledged, &mut counts);
    }
    println!("{kills} kills, seed {seed}: {counts:?} commits per thread, none lost");
    assert!(counts.iter().sum::<u64>() > 0, "nothing was written before the kills");
}
