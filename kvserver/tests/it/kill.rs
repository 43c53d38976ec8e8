//! `kill -9` at any moment loses nothing that was acknowledged, and invents nothing.
//!
//! A campaign runs the real binary on small data files, so that rolls, merges and blobs happen all
//! the time. Four connections pipeline commands on keys of their own and check every reply against
//! a model. Then the process is killed, sometimes again while it starts, and every key must be as
//! after some prefix of the connection's commands that includes all acknowledged ones:
//!
//! K1. A prefix: nothing lost, no command in between left out, no value that was never written, no
//!     deleted or expired key back, counters exact, MSET and MULTI as a whole.
//! K2. The tickets all connections draw inside MULTI, from a counter they share in a database of
//!     its own, add up: a transaction over two databases is there in both or in neither.
//! K3. After SIGTERM the same holds, the exit code is 0 and nothing was cut from the log.
//! K4. The store grows old without growing big: most cycles go on with the same directory.
//!
//! The campaign in `cargo test` is a short one. The long one, 1,000 cycles for each of both modes:
//!
//! ```text
//! KVSERVER_KILL_CYCLES=1000 cargo test --release -p kvserver --test it kill:: -- --nocapture
//! ```
//!
//! `KVSERVER_KILL_SEED` repeats a campaign's choices; the instants differ, as they are the
//! system's. A directory that failed is kept, and named in the message.

mod client;
mod generate;
mod model;
mod reply;
mod reverse;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use self::client::Client;
pub(crate) use self::client::Conn;
use self::model::{SHARED_DB, SHARED_KEY};
pub(crate) use self::reply::Reply;
use crate::spawned::{Spawned, Start};

/// What a campaign has seen.
#[derive(Debug, Default)]
struct Totals {
    /// Kills while clients wrote.
    kills: u64,
    kills_during_start: u64,
    terminations: u64,
    stores: u64,
    acked: u64,
    undecided: u64,
    /// As INFO last said before the end of each process, so at least.
    rolls: u64,
    merges: u64,
    syncs: u64,
    /// Starts that dropped an unfinished write.
    cuts: u64,
    /// The longest it took to be ready, and to end after SIGTERM.
    start_max: Duration,
    termination_max: Duration,
    disk_bytes_max: u64,
    live_bytes_at_max: u64,
}

/// A store and those who write to it.
struct Lineage {
    root: TempDir,
    data_file_bytes: u64,
    clients: Vec<Client>,
    clean: bool,
}

struct Campaign {
    appendfsync: &'static str,
    rng: Rng,
    totals: Totals,
}

#[test]
fn kill_9_loses_nothing_acknowledged_with_everysec() {
    run("everysec");
}

#[test]
fn kill_9_loses_nothing_acknowledged_with_always() {
    run("always");
}

fn run(appendfsync: &'static str) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cycles = number("KVSERVER_KILL_CYCLES").unwrap_or(6);
    let seed = number("KVSERVER_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("kill -9, appendfsync {appendfsync}: {cycles} cycles, KVSERVER_KILL_SEED={seed}");
    let began = Instant::now();
    let mut campaign =
        Campaign { appendfsync, rng: Rng::with_seed(seed), totals: Totals::default() };
    // On a busy machine a few short lives may pass without a single acknowledgement.
    let is_enough = |totals: &Totals| totals.kills >= cycles && totals.acked > 0;
    while !is_enough(&campaign.totals) && campaign.totals.kills < cycles + 100 {
        let mut lineage = campaign.new_lineage();
        let age = *campaign.rng.choice(&[5, 40, 250]).unwrap();
        let kills = campaign.totals.kills;
        let end = cycles.max(kills + 1).min(kills + age);
        let result = campaign.live(&mut lineage, end);
        if let Err(what) = result {
            let dir = lineage.root.keep();
            panic!("seed {seed}, {appendfsync}, {:?}, {}:\n{what}", campaign.totals, dir.display());
        }
    }
    let totals = campaign.totals;
    println!("kill -9, appendfsync {appendfsync}: {:?}: {totals:#?}", began.elapsed());
    assert!(is_enough(&totals));
}

impl Campaign {
    fn new_lineage(&mut self) -> Lineage {
        self.totals.stores += 1;
        let data_file_bytes = *self.rng.choice(&[4 << 10, 16 << 10, 64 << 10, 512 << 10]).unwrap();
        let blob_bytes = usize::try_from(data_file_bytes / 4).unwrap();
        let mut client = |number| Client::new(number, self.rng.u64(..), blob_bytes);
        let clients = (0..SHARED_DB).map(&mut client).collect();
        Lineage { root: TempDir::new().unwrap(), data_file_bytes, clients, clean: true }
    }

    /// Goes on with one store until the campaign has this many kills.
    fn live(&mut self, lineage: &mut Lineage, kills: u64) -> Result<(), String> {
        while self.totals.kills < kills {
            self.kill_during_start(lineage)?;
            let (mut server, addr) = self.start(lineage)?;
            self.verify(lineage, addr)?;
            let by_kill = self.rng.u32(..12) != 0;
            self.write_until_end(lineage, &mut server, addr, by_kill)?;
        }
        // The end: a clean one after all those kills, and what it leaves.
        for _ in 0..2 {
            let (mut server, addr) = self.start(lineage)?;
            self.verify(lineage, addr)?;
            self.end(&mut server, false)?;
            lineage.clean = true;
        }
        for client in &lineage.clients {
            self.totals.acked += client.ops_acked;
            self.totals.undecided += client.ops_undecided;
        }
        Ok(())
    }

    fn spawn(&self, lineage: &Lineage) -> Spawned {
        let size = lineage.data_file_bytes.to_string();
        let databases = (SHARED_DB + 1).to_string();
        let args = [
            "--appendfsync",
            self.appendfsync,
            "--data-file-bytes",
            &size,
            "--databases",
            &databases,
            "--threads",
            "2",
        ];
        Spawned::new(&lineage.store(), &lineage.root.path().join("log"), &args)
    }

    /// Sometimes: starts the server only to kill it, before or right after it is ready.
    fn kill_during_start(&mut self, lineage: &mut Lineage) -> Result<(), String> {
        while self.rng.u32(..3) == 0 {
            let mut server = self.spawn(lineage);
            let within = Duration::from_micros(self.rng.u64(0..25_000));
            let start = server.wait_ready(within);
            server.kill();
            check_log(&server)?;
            lineage.clean = false;
            match start {
                Start::NotYet => self.totals.kills_during_start += 1,
                Start::Ready(_) => {}
                Start::Ended => return Err(format!("cannot start: {}", server.log())),
            }
        }
        Ok(())
    }

    fn start(&mut self, lineage: &mut Lineage) -> Result<(Spawned, SocketAddr), String> {
        let began = Instant::now();
        let mut server = self.spawn(lineage);
        let Start::Ready(addr) = server.wait_ready(crate::spawned::PATIENCE) else {
            return Err(format!("cannot start: {}\n{}", server.said(), server.log()));
        };
        self.totals.start_max = self.totals.start_max.max(began.elapsed());
        let cut = server.said().contains("did not end cleanly");
        if cut && lineage.clean {
            return Err(format!("K3: cut after a clean end: {}", server.said()));
        }
        self.totals.cuts += u64::from(cut);
        lineage.clean = false;
        Ok((server, addr))
    }

    /// K1, K2, K4.
    fn verify(&mut self, lineage: &mut Lineage, addr: SocketAddr) -> Result<(), String> {
        let mut conn = Conn::new(addr).map_err(|error| error.to_string())?;
        let (mut tickets, mut live_bytes) = (0, 0);
        for client in &mut lineage.clients {
            let seen = client.verify(&mut conn)?;
            tickets += seen.state.tickets;
            let bytes =
                |(key, entry): (&Vec<u8>, &model::Entry)| key.len() + entry.value.len() + 40;
            live_bytes += seen.state.entries.iter().map(bytes).sum::<usize>();
        }
        let said =
            (conn.say(&format!("SELECT {SHARED_DB}")), conn.say(&format!("GET {SHARED_KEY}")));
        let wanted = (tickets > 0).then(|| tickets.to_string().into_bytes());
        match said.1.map_err(|error| error.to_string())? {
            Reply::Bulk(shared) if shared == wanted => {}
            other => return Err(format!("K2: {other:?}, but {tickets} tickets were drawn")),
        }
        self.check_disk(lineage, u64::try_from(live_bytes).unwrap())
    }

    /// K4.
    fn check_disk(&mut self, lineage: &Lineage, live_bytes: u64) -> Result<(), String> {
        let disk_bytes = disk_bytes(&lineage.store());
        let totals = &mut self.totals;
        if disk_bytes > totals.disk_bytes_max {
            (totals.disk_bytes_max, totals.live_bytes_at_max) = (disk_bytes, live_bytes);
        }
        let bound = 3 * live_bytes + 16 * lineage.data_file_bytes + (1 << 20);
        if disk_bytes > bound {
            return Err(format!("K4: {disk_bytes} bytes on disk for {live_bytes} live ones"));
        }
        Ok(())
    }

    /// Lets all connections write until the process is killed or told to end.
    fn write_until_end(
        &mut self,
        lineage: &mut Lineage,
        server: &mut Spawned,
        addr: SocketAddr,
        by_kill: bool,
    ) -> Result<(), String> {
        // Short ones hit what follows an open, long ones what runs in the background.
        let longest_us = *self.rng.choice(&[5_000, 60_000, 400_000]).unwrap();
        let ends_at = Instant::now() + Duration::from_micros(self.rng.u64(..longest_us));
        let clients = &mut lineage.clients;
        let (ended, results) = std::thread::scope(|scope| {
            let writers: Vec<_> =
                clients.iter_mut().map(|client| scope.spawn(move || client.run(addr))).collect();
            self.totals.add_figures(watch(addr, ends_at));
            let ended = self.end(server, by_kill);
            (ended, writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>())
        });
        for result in results {
            result.map_err(|what| format!("{what}\nlog:\n{}", server.log()))?;
        }
        lineage.clean = !by_kill;
        ended
    }

    /// Kills the process, or ends it with SIGTERM: K3.
    fn end(&mut self, server: &mut Spawned, by_kill: bool) -> Result<(), String> {
        if by_kill {
            server.kill();
            self.totals.kills += 1;
            return check_log(server);
        }
        let began = Instant::now();
        let status = server.terminate();
        self.totals.termination_max = self.totals.termination_max.max(began.elapsed());
        self.totals.terminations += 1;
        let said = server.said();
        if !status.success() || !said.ends_with("Everything is synced; bye.") {
            return Err(format!("K3: SIGTERM ended it with {status}\n{said}\n{}", server.log()));
        }
        check_log(server)
    }
}

impl Totals {
    fn add_figures(&mut self, [rolls, merges, syncs]: [u64; 3]) {
        self.rolls += rolls;
        self.merges += merges;
        self.syncs += syncs;
    }
}

impl Lineage {
    fn store(&self) -> std::path::PathBuf {
        self.root.path().join("store")
    }
}

/// Asks INFO until then; the last rolls, merges and syncs it told.
fn watch(addr: SocketAddr, until: Instant) -> [u64; 3] {
    let mut figures = [0; 3];
    let Ok(mut conn) = Conn::new(addr) else { return figures };
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(Reply::Bulk(Some(info))) = conn.say("INFO persistence") {
            let info = String::from_utf8_lossy(&info).into_owned();
            figures = ["store_rolls:", "store_merges:", "store_syncs:"].map(|name| {
                let line = info.lines().find_map(|line| line.strip_prefix(name));
                line.expect("INFO persistence tells it").parse().unwrap()
            });
        }
        // The instant of the end is the test's subject: it comes by the clock.
        std::thread::park_timeout(left.min(Duration::from_millis(5)));
    }
    figures
}

/// A panic or an error in the log is a failure, whatever the data say.
fn check_log(server: &Spawned) -> Result<(), String> {
    let log = server.log();
    let is_bad = log.contains("panicked") || log.contains("ERROR") || log.contains("WARN");
    if is_bad { Err(format!("the log says:\n{log}")) } else { Ok(()) }
}

/// What the files of a directory take on the disk.
fn disk_bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap());
    // Merge may be removing one just now.
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.blocks() * 512).sum()
}
