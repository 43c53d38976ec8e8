//! How many workers share the clients that speak: as few as can carry them.
//!
//! A worker finds more requests each time it looks the more clients it has, and then shares the
//! wait, the gate and the write to the log among them: at one request in flight for each of 50
//! clients, two workers spend a fifth more of the processor than one. So clients gather at the
//! first workers, and spread when these are busy.
//!
//! Knows how busy workers are. Does not know clients, threads or clocks.
//!
//! # Laws
//!
//! B1. The first `active` workers carry the load; another one gives its speaking clients away, or
//!     becomes active if nobody has room for them.
//! B2. What makes a worker active leaves more of a load than what ends that: it does not flicker.

use std::time::{Duration, Instant};

/// How often a worker that is at work says how busy it was.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(100);
/// What is older says nothing.
const REPORT_KEPT: Duration = Duration::from_millis(250);
/// The load must be low for so long before a worker becomes idle.
const CALM: Duration = Duration::from_millis(500);
/// After so long without a report everything begins with one worker.
const QUIET: Duration = Duration::from_secs(1);

/// Thousandths of a processor.
pub(crate) type Permille = u64;

/// Above this a worker wants to give clients away.
const BUSY: Permille = 850;
/// Up to this a worker may be given clients.
const ROOM: Permille = 750;
/// A worker gives nothing to one that is only so much less busy.
const ALIKE: Permille = 200;

/// What a worker is to do: pass on a part of the clients that spoke since its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gift {
    pub(crate) to: usize,
    pub(crate) part: Permille,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    load: Permille,
    at: Instant,
}

/// The loads of all workers, as they last said.
#[derive(Debug)]
pub(crate) struct Balance {
    reports: Vec<Option<Report>>,
    active: usize,
    calm_since: Option<Instant>,
    reported: Option<Instant>,
}

impl Balance {
    pub(crate) fn new(workers: usize) -> Self {
        Balance { reports: vec![None; workers], active: 1, calm_since: None, reported: None }
    }

    /// The worker `index` was busy that much until `now`: what it should give away.
    pub(crate) fn report(&mut self, index: usize, load: Permille, now: Instant) -> Option<Gift> {
        let is_new = |at: Instant| now.saturating_duration_since(at) <= QUIET;
        if !self.reported.is_some_and(is_new) {
            self.active = 1;
            self.calm_since = None;
        }
        self.reported = Some(now);
        self.reports[index] = Some(Report { load, at: now });
        self.calm_down(now);
        let part = self.part(index, load, now)?;
        let (to, least) = self.least_busy(index, now)?;
        let given = load * part / 1000;
        self.reports[index] = Some(Report { load: load - given, at: now });
        self.reports[to] = Some(Report { load: least + given, at: now });
        Some(Gift { to, part })
    }

    /// How much of its load a worker should give to the least busy one.
    fn part(&mut self, index: usize, load: Permille, now: Instant) -> Option<Permille> {
        if index >= self.active {
            let (_, least) = self.least_busy(index, now)?;
            if least + load <= ROOM {
                return Some(1000);
            }
            self.active = index + 1;
            return None;
        }
        if load <= BUSY {
            return None;
        }
        let least = self.least_busy(index, now);
        if self.active < self.reports.len() && least.is_none_or(|(_, least)| least > ROOM) {
            self.active += 1;
        }
        let (_, least) = self.least_busy(index, now)?;
        (least + ALIKE <= load).then(|| (load - least) * 500 / load)
    }

    /// The active worker with the lowest load, but for this one.
    fn least_busy(&self, except: usize, now: Instant) -> Option<(usize, Permille)> {
        let others = (0..self.active).filter(|index| *index != except);
        others.map(|index| (index, self.load(index, now))).min_by_key(|(_, load)| *load)
    }

    /// One worker less, if the others have had room for its load for some time.
    fn calm_down(&mut self, now: Instant) {
        let total: Permille = (0..self.reports.len()).map(|index| self.load(index, now)).sum();
        let room = (1..self.active).map(|_| ROOM).sum();
        if self.active == 1 || total > room {
            self.calm_since = None;
            return;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CALM {
            self.active -= 1;
            self.calm_since = None;
        }
    }

    fn load(&self, index: usize, now: Instant) -> Permille {
        let is_kept = |report: &Report| now.saturating_duration_since(report.at) <= REPORT_KEPT;
        self.reports[index].filter(is_kept).map_or(0, |report| report.load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of all workers, round by round; what the last one asks for.
    struct Clocked {
        balance: Balance,
        now: Instant,
    }

    impl Clocked {
        fn new(workers: usize) -> Self {
            Clocked { balance: Balance::new(workers), now: Instant::now() }
        }
        fn round(&mut self, loads: &[Permille]) -> Vec<Option<Gift>> {
            self.now += REPORT_EVERY;
            let reports = loads.iter().enumerate();
            reports.map(|(index, load)| self.balance.report(index, *load, self.now)).collect()
        }
    }

    const fn gift(to: usize, part: Permille) -> Option<Gift> {
        Some(Gift { to, part })
    }

    #[test]
    fn b1_clients_gather_at_the_first_worker_while_it_has_room() {
        let mut clocked = Clocked::new(3);
        assert_eq!(clocked.round(&[300, 300, 0]), [None, gift(0, 1000), gift(0, 1000)]);
        assert_eq!(clocked.round(&[580]), [None]);
        // A worker whose clients nobody has room for keeps them.
        assert_eq!(clocked.round(&[580, 300]), [None, None]);
        assert_eq!(clocked.balance.active, 2);
    }

    #[test]
    fn a_busy_worker_gives_half_of_the_difference_to_another_one() {
        let mut clocked = Clocked::new(2);
        assert_eq!(clocked.round(&[BUSY]), [None]);
        assert_eq!(clocked.round(&[1000]), [gift(1, 500)]);
        // It has been counted as given: nothing more until it shows.
        assert_eq!(clocked.round(&[500, 500]), [None, None]);
        assert_eq!(clocked.round(&[400, 900]), [None, gift(0, 277)]);
        // All are busy: nothing helps.
        assert_eq!(clocked.round(&[840, 840]), [None, None]);
        assert_eq!(clocked.round(&[1000, 990]), [None, None]);
    }

    #[test]
    fn b2_a_worker_becomes_idle_when_the_load_has_been_low_for_some_time() {
        let mut clocked = Clocked::new(2);
        clocked.round(&[900]);
        assert_eq!(clocked.balance.active, 2);
        for _ in 0..20 {
            assert_eq!(clocked.round(&[430, 430]), [None, None]);
        }
        for _ in 0..5 {
            assert_eq!(clocked.round(&[300, 300]), [None, None]);
        }
        assert_eq!(clocked.round(&[300, 300]), [None, gift(0, 1000)]);
        assert_eq!(clocked.balance.active, 1);
    }

    #[test]
    fn after_silence_one_worker_is_enough_again() {
        let mut clocked = Clocked::new(2);
        clocked.round(&[900, 400]);
        clocked.now += QUIET;
        assert_eq!(clocked.round(&[0, 200]), [None, gift(0, 1000)]);
    }

    #[test]
    fn no_sequence_of_loads_breaks_it_and_what_is_given_goes_to_an_active_worker() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for workers in 1..6 {
            let mut clocked = Clocked::new(workers);
            for _ in 0..2_000 {
                let loads: Vec<Permille> = (0..workers).map(|_| rng.u64(..1100)).collect();
                for (index, given) in clocked.round(&loads).into_iter().enumerate() {
                    let Some(Gift { to, part }) = given else { continue };
                    assert!(to != index && to < workers && (1..=1000).contains(&part));
                }
                assert!((1..=workers).contains(&clocked.balance.active));
            }
        }
    }
}
