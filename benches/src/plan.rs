//! What a run is made of, and how large it is.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    data::Data,
    engine::{Memory, Mode, Setup},
    key::Shape,
    work::Work,
};

/// One run: some workloads on data of one size, by every engine. Goes to child processes as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Its name: the suite's, or the suite's and what differs from its other runs.
    pub id: String,
    /// Keys in the loaded store.
    pub keys: u32,
    /// What keys look like.
    pub shape: Shape,
    /// Bytes per value.
    pub value_bytes: usize,
    /// Seed of keys and values.
    pub seed: u64,
    /// Workloads.
    pub works: Vec<Work>,
    /// Cache of every engine that has one.
    pub cache_bytes: usize,
    /// Memory of the process, page cache included.
    pub memory_limit_bytes: Option<u64>,
    /// The longest a workload may take where it can be cut short.
    pub seconds_max: f64,
}

/// A run as the workloads see it.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for.
    pub spec: Spec,
    /// Keys and values.
    pub data: Data,
    /// Keys in the loaded store.
    pub keys: u32,
    /// Seed of the choice of keys.
    pub seed: u64,
    /// Where stores are created.
    pub dir: PathBuf,
    /// Single puts that wait for the disk, per measurement.
    pub synced_puts: u32,
}

impl Plan {
    /// The plan of one run.
    pub fn new(spec: &Spec, dir: PathBuf) -> Result<Plan> {
        std::fs::create_dir_all(&dir)?;
        Ok(Plan {
            data: Data::new(spec.seed, spec.shape, spec.value_bytes),
            keys: spec.keys,
            seed: spec.seed,
            dir,
            synced_puts: spec.keys.clamp(100, 30_000) / 10,
            spec: spec.clone(),
        })
    }

    /// Whether this workload was asked for.
    pub fn wants(&self, work: Work) -> bool {
        self.spec.works.contains(&work)
    }

    /// Whether any of these was asked for.
    pub fn wants_any(&self, works: impl Fn(Work) -> bool) -> bool {
        self.spec.works.iter().any(|&work| works(work))
    }

    /// How stores are opened.
    pub fn setup(&self, mode: Mode) -> Setup {
        let is_small = self.spec.memory_limit_bytes.is_some();
        let memory = if is_small { Memory::Small } else { Memory::Ample };
        Setup { mode, cache_bytes: self.spec.cache_bytes, memory }
    }

    /// How long a workload may take.
    pub fn time_max(&self) -> Duration {
        Duration::from_secs_f64(self.spec.seconds_max)
    }

    /// Bytes of this many keys and their values.
    pub fn live_bytes(&self, keys: u32) -> u64 {
        let pair = self.data.key_bytes() + self.data.value_bytes();
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
