//! Zipfian overwrites until space and rate have settled, with a reader beside them.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{Work, read::read};
use crate::{
    Result,
    engine::Engine,
    histogram::Histogram,
    measure::{Point, Sample, disk_bytes, nanoseconds, written_bytes},
    plan::Plan,
    zipf::Zipf,
};

/// Overwrites in total, as a multiple of the keys.
const WRITES: u32 = 10;
/// Moments per so many overwrites as there are keys.
const SLICES: u32 = 5;
/// Moments taken for the time before any merge: 0.4 of the keys overwritten at most.
const FIRST_SLICES: usize = 2;
/// The reader rests this long after every read, so that it takes no core from the writer.
const READ_PAUSE: Duration = Duration::from_micros(200);

/// All samples of settled overwrites, on the loaded store in `dir`.
pub(crate) fn steady<E: Engine>(engine: &E, dir: &Path, plan: &Plan) -> Result<Vec<Sample>> {
    let time_max = plan.time_max() * 3;
    let is_over = AtomicBool::new(false);
    let idle = std::thread::scope(|scope| {
        let reads = scope.spawn(|| paced_reads(engine, plan, &is_over));
        std::thread::park_timeout(plan.time_max() / 10);
        is_over.store(true, Ordering::Relaxed);
        reads.join()
    });
    is_over.store(false, Ordering::Relaxed);
    let written = written_bytes();
    let (series, busy) = std::thread::scope(|scope| {
        let reads = scope.spawn(|| paced_reads(engine, plan, &is_over));
        let series = overwrite(engine, dir, plan, time_max);
        is_over.store(true, Ordering::Relaxed);
        (series, reads.join())
    });
    let (series, puts) = series?;
    let written = written_bytes().zip(written).map(|(now, then)| (now - then) as f64);
    let idle = idle.map_err(|_| "the reader panicked")??;
    let busy = busy.map_err(|_| "the reader panicked")??;
    let user_bytes = plan.live_bytes(1) as f64 * puts as f64;
    samples(series, idle, busy, written.map(|w| w / user_bytes))
}

fn samples(
    series: Vec<Point>,
    idle: Histogram,
    busy: Histogram,
    write_amplification: Option<f64>,
) -> Result<Vec<Sample>> {
    let settled = series.get(series.len() / 2..).filter(|s| !s.is_empty()).ok_or("no overwrite")?;
    let rate = mean_rate(settled);
    let first = mean_rate(&series[..FIRST_SLICES.min(series.len())]);
    let space = settled.iter().map(|p| p.space).fold(0.0, f64::max);
    let read = |work, latencies: Histogram| Sample {
        value: latencies.quantile_us(0.999).unwrap_or(f64::NAN),
        latencies,
        ..Sample::of(work, 0.0)
    };
    Ok(vec![
        read(Work::SteadyReadIdle, idle),
        Sample::of(Work::SteadyRatio, rate / first),
        read(Work::SteadyRead, busy),
        Sample::of(Work::SteadySpace, space),
        Sample { series, write_amplification, ..Sample::of(Work::SteadyPut, rate) },
    ])
}

/// Of slices of equally many writes.
fn mean_rate(points: &[Point]) -> f64 {
    points.len() as f64 / points.iter().map(|p| 1.0 / p.rate).sum::<f64>()
}

/// Overwrites in slices; measures space after each. Returns how many puts there were, too.
fn overwrite<E: Engine>(
    engine: &E,
    dir: &Path,
    plan: &Plan,
    time_max: Duration,
) -> Result<(Vec<Point>, u64)> {
    let zipf = Zipf::new(plan.keys.max(2));
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let slice = plan.keys.div_ceil(SLICES);
    let (mut series, mut buffer, mut puts) = (Vec::new(), Vec::new(), 0);
    let start = Instant::now();
    for _ in 0..WRITES * SLICES {
        let slice_start = Instant::now();
        for version in 1..=slice {
            let index = zipf.next(&mut rng);
            let value = plan.data.value(index, version, &mut buffer);
            engine.put(&plan.data.key(index), value)?;
        }
        let wall = slice_start.elapsed().as_secs_f64().max(1e-9);
        puts += u64::from(slice);
        series.push(Point {
            writes: puts as f64 / f64::from(plan.keys),
            rate: f64::from(slice) / wall,
            space: disk_bytes(dir)? as f64 / plan.live_bytes(plan.keys) as f64,
        });
        if start.elapsed() > time_max {
            break;
        }
    }
    Ok((series, puts))
}

/// Reads random keys, one after a pause after the other, until told to stop.
fn paced_reads<E: Engine>(engine: &E, plan: &Plan, is_over: &AtomicBool) -> Result<Histogram> {
    let mut rng = fastrand::Rng::with_seed(plan.seed + 1);
    let mut histogram = Histogram::default();
    loop {
        let index = rng.u32(..plan.keys);
        let start = Instant::now();
        read(&engine.reader()?, plan, index)?;
        histogram.record(nanoseconds(start.elapsed()));
        if is_over.load(Ordering::Relaxed) {
            return Ok(histogram);
        }
        std::thread::park_timeout(READ_PAUSE);
    }
}
