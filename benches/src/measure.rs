//! Clocks, samples and sizes. Knows nothing of engines.

use std::{
    fs, io,
    path::Path,
    sync::Barrier,
    time::{Duration, Instant},
};

use crate::{Result, work::Work};

/// One measurement of one workload.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What was measured.
    pub work: Work,
    /// The result, in the workload's unit.
    pub value: f64,
    /// Processor time per operation, of all threads, background work included.
    pub cpu_ns_per_op: Option<f64>,
    /// Latencies of single operations; of every operation or of every n-th.
    pub latencies_ns: Vec<u64>,
}

impl Sample {
    /// A result that is not a rate.
    pub fn of(work: Work, value: f64) -> Sample {
        Sample { work, value, cpu_ns_per_op: None, latencies_ns: Vec::new() }
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
    ns: Vec<u64>,
}

impl Latencies {
    fn new(stride: u32) -> Latencies {
        Latencies { stride, left: 1, ns: Vec::new() }
    }

    /// For work nobody wants timed.
    pub fn untimed() -> Latencies {
        Latencies { stride: u32::MAX, left: u32::MAX, ns: Vec::new() }
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
        self.ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        result
    }
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

/// Runs `body` on this many threads at once and makes `ops` operations of it in total.
/// The time goes from the moment all threads are ready to the end of the last.
pub fn rate(
    work: Work,
    ops: u64,
    threads: u32,
    timed: Timed,
    body: impl Fn(u32, &mut Latencies) -> Result<()> + Sync,
) -> Result<Sample> {
    let ready = Barrier::new(usize::try_from(threads)? + 1);
    let run = |thread| {
        let mut latencies = Latencies::new(timed.stride());
        ready.wait();
        body(thread, &mut latencies).map(|()| latencies.ns)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|t| scope.spawn(move || run(t))).collect();
        let (start, cpu) = (Instant::now(), cpu_time());
        ready.wait();
        let results: Vec<_> = threads.into_iter().map(|t| t.join()).collect();
        let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let mut latencies_ns = Vec::new();
        for result in results {
            latencies_ns.extend(result.map_err(|_| "a measuring thread panicked")??);
        }
        let value = ops as f64 / wall.as_secs_f64().max(1e-9);
        let cpu_ns_per_op = Some(cpu.as_secs_f64() * 1e9 / ops.max(1) as f64);
        Ok(Sample { work, value, cpu_ns_per_op, latencies_ns })
    })
}

/// Processor time this process has used so far, user and system, all threads.
#[cfg(unix)]
fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// Not known here.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}

/// Writes back all dirty pages, so that one engine's do not become another's work.
pub fn settle_disk() {
    #[cfg(unix)]
    rustix::fs::sync();
}

/// Bytes the files below `dir` occupy; holes do not count, space reserved ahead does.
pub fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() { disk_bytes(&entry.path())? } else { allocated(&meta) };
    }
    Ok(total)
}

#[cfg(unix)]
fn allocated(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn allocated(meta: &fs::Metadata) -> u64 {
    meta.len()
}

/// Memory of this process that no file backs, in bytes. Only Linux says.
pub fn anonymous_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib: u64 = line.and_then(|l| l.split_whitespace().next()).ok_or("no RssAnon")?.parse()?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_runs_every_thread_and_times_what_it_is_told() {
        let hits = std::sync::atomic::AtomicU32::new(0);
        let sample = rate(Work::Get, 32, 2, Timed::Sometimes, |_, latencies| {
            for _ in 0..16 {
                latencies.time(|| hits.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(hits.into_inner(), 32);
        assert_eq!(sample.latencies_ns.len(), 2, "one in sixteen, per thread");
        assert!(sample.value > 0.0);
    }

    #[test]
    fn rate_reports_the_error_of_a_thread() {
        let result = rate(Work::Get, 1, 2, Timed::Always, |thread, _| {
            if thread == 1 { Err("no".into()) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
