//! How large a run is.

use std::path::PathBuf;

use crate::{Result, args::Args, data::Data, work::Work};

/// The size and the data of a run.
#[derive(Debug)]
pub struct Plan {
    /// Keys and values.
    pub data: Data,
    /// Where the data come from, for the report.
    pub seed: u64,
    /// Keys in the loaded store.
    pub keys: u32,
    /// Rounds.
    pub reps: u32,
    /// Where stores are created.
    pub dir: PathBuf,
    /// Workloads to run; all if empty.
    pub only: Vec<Work>,
    /// Single puts that wait for the disk, per measurement.
    pub synced_puts: u32,
}

impl Plan {
    /// The plan the arguments ask for.
    pub fn new(args: &Args) -> Result<Plan> {
        let seed = args.seed;
        let data = Data::new(seed, args.value_bytes);
        let synced_puts = args.keys.clamp(100, 30_000) / 10;
        std::fs::create_dir_all(&args.dir)?;
        Ok(Plan {
            data,
            seed,
            keys: args.keys,
            reps: args.reps,
            dir: args.dir.clone(),
            only: args.only.clone(),
            synced_puts,
        })
    }

    /// Whether this workload was asked for.
    pub fn wants(&self, work: Work) -> bool {
        self.only.is_empty() || self.only.contains(&work)
    }

    /// Whether any of these was asked for.
    pub fn wants_any(&self, works: impl Fn(Work) -> bool) -> bool {
        Work::ALL.iter().any(|&work| works(work) && self.wants(work))
    }

    /// Bytes of this many keys and their values.
    pub fn live_bytes(&self, keys: u32) -> u64 {
        let pair = crate::data::KEY_BYTES + self.data.value_bytes();
        u64::from(keys) * pair as u64
    }
}

/// Visits all of `0..n` once, in steps as far apart as can be.
#[derive(Debug)]
pub struct Shuffled {
    n: u64,
    step: u64,
}

impl Shuffled {
    /// An order of `0..n`.
    pub fn new(n: u32) -> Shuffled {
        let n = u64::from(n.max(1));
        let golden = n * 618 / 1000;
        let step = (golden.max(1)..).find(|&step| gcd(step, n) == 1).expect("n + 1 has none");
        Shuffled { n, step }
    }

    /// The index at this place.
    pub fn at(&self, place: u32) -> u32 {
        u32::try_from(u64::from(place) * self.step % self.n).expect("less than n")
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_visits_every_index_once() {
        for n in [1, 2, 3, 10, 300, 618, 1_000] {
            let order = Shuffled::new(n);
            let mut seen: Vec<u32> = (0..n).map(|place| order.at(place)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }
}
