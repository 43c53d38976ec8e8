//! Clocks, samples and rates. Knows nothing of engines.

mod system;

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Result, histogram::Histogram, work::Work};

pub use system::{
    anonymous_bytes, disk_bytes, evict, peak_resident_bytes, settle_disk, written_bytes,
};

/// One measurement of one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// What was measured.
    pub work: Work,
    /// The result, in the workload's unit.
    pub value: f64,
    /// Processor time per operation, of all threads, background work included.
    pub cpu_ns_per_op: Option<f64>,
    /// Bytes the process sent towards the disk, per byte of keys and values written.
    pub write_amplification: Option<f64>,
    /// Latencies of single operations; of every operation or of every n-th.
    pub latencies: Histogram,
    /// How the workload went on, if it says so.
    pub series: Vec<Point>,
}

/// A moment of a workload.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Writes so far, as a multiple of the keys.
    pub writes: f64,
    /// Operations per second since the moment before.
    pub rate: f64,
    /// Bytes on disk, as a multiple of the live ones.
    pub space: f64,
}

impl Sample {
    /// A result that is not a rate.
    pub fn of(work: Work, value: f64) -> Sample {
        Sample {
            work,
            value,
            cpu_ns_per_op: None,
            write_amplification: None,
            latencies: Histogram::default(),
            series: Vec::new(),
        }
    }

    /// The time a workload of one operation took.
    pub fn of_time(work: Work, wall: Duration) -> Sample {
        Sample::of(work, wall.as_secs_f64() * 1e3)
    }
}

/// Collects latencies: times every `stride`-th operation, so that reading the clock does not
/// become what is measured.
#[derive(Debug)]
pub struct Latencies {
    stride: u32,
    left: u32,
    histogram: Histogram,
}

impl Latencies {
    fn new(stride: u32) -> Latencies {
        Latencies { stride, left: 1, histogram: Histogram::default() }
    }

    /// For work nobody wants timed.
    pub fn untimed() -> Latencies {
        Latencies { stride: u32::MAX, left: u32::MAX, histogram: Histogram::default() }
    }

    /// Runs one operation, timed if it is its turn.
    #[inline]
    pub fn time<T>(&mut self, operation: impl FnOnce() -> T) -> T {
        self.left -= 1;
        if self.left > 0 {
            return operation();
        }
        self.left = self.stride;
        let start = Instant::now();
        let result = operation();
        self.histogram.record(nanoseconds(start.elapsed()));
        result
    }
}

/// A length of time as histograms want it.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How often an operation is timed on its own.
#[derive(Clone, Copy, Debug)]
pub enum Timed {
    /// Operations of microseconds.
    Sometimes,
    /// Operations that wait for the disk.
    Always,
}

impl Timed {
    fn stride(self) -> u32 {
        match self {
            Timed::Sometimes => 16,
            Timed::Always => 1,
        }
    }
}

/// What a thread of a workload has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Operations.
    pub ops: u64,
    /// Bytes of keys and values given to the engine to write.
    pub written_bytes: u64,
}

impl Done {
    /// Operations that wrote nothing.
    pub fn reads(ops: u32) -> Done {
        Done { ops: u64::from(ops), written_bytes: 0 }
    }
}

/// Operations of many threads.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// What is measured.
    pub work: Work,
    /// On how many threads.
    pub threads: u32,
    /// How often an operation is timed.
    pub timed: Timed,
}

impl Job {
    /// Runs `body` on every thread at once; the time goes from the moment all are ready to the
    /// end of the last.
    pub fn run(&self, body: impl Fn(u32, &mut Latencies) -> Result<Done> + Sync) -> Result<Sample> {
        let ready = Barrier::new(usize::try_from(self.threads)? + 1);
        let run = |thread| {
            let mut latencies = Latencies::new(self.timed.stride());
            ready.wait();
            body(thread, &mut latencies).map(|done| (done, latencies.histogram))
        };
        let run = &run;
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|t| scope.spawn(move || run(t))).collect();
            let (start, cpu, written) = (Instant::now(), system::cpu_time(), written_bytes());
            ready.wait();
            let results: Vec<_> = threads.into_iter().map(|t| t.join()).collect();
            let wall = start.elapsed();
            let cpu = system::cpu_time().saturating_sub(cpu);
            let written = written_bytes().zip(written).map(|(now, then)| now - then);
            let mut latencies = Histogram::default();
            let mut sum = Done::default();
            for result in results {
                let (done, histogram) = result.map_err(|_| "a measuring thread panicked")??;
                latencies.add(&histogram);
                sum.ops += done.ops;
                sum.written_bytes += done.written_bytes;
            }
            let written = written.filter(|_| sum.written_bytes > 0);
            Ok(Sample {
                cpu_ns_per_op: Some(cpu.as_secs_f64() * 1e9 / sum.ops.max(1) as f64),
                write_amplification: written.map(|w| w as f64 / sum.written_bytes as f64),
                latencies,
                ..Sample::of(self.work, sum.ops as f64 / wall.as_secs_f64().max(1e-9))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_runs_every_thread_and_times_what_it_is_told() {
        let hits = std::sync::atomic::AtomicU32::new(0);
        let job = Job { work: Work::Get, threads: 2, timed: Timed::Sometimes };
        let sample = job
            .run(|_, latencies| {
                for _ in 0..16 {
                    latencies.time(|| hits.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
                }
                Ok(Done::reads(16))
            })
            .unwrap();
        assert_eq!(hits.into_inner(), 32);
        assert_eq!(sample.latencies.len(), 2, "one in sixteen, per thread");
        assert!(sample.value > 0.0);
        assert_eq!(sample.write_amplification, None);
    }

    #[test]
    fn a_job_reports_the_error_of_a_thread() {
        let job = Job { work: Work::Get, threads: 2, timed: Timed::Always };
        let result =
            job.run(|thread, _| if thread == 1 { Err("no".into()) } else { Ok(Done::default()) });
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
