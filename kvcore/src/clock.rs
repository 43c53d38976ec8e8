//! The seam to time: what the wall says, and how much time has passed.
//!
//! Knows clocks. Does not know what expires, and puts nothing in order: order is a sequence's.
//!
//! # Invariants
//!
//! C1. The store's time never goes back, whatever the wall clock does, across restarts too as far
//!     as the highest time seen was recorded.
//! C2. It never stands still for good: with the wall clock behind, it goes on at the pace of the
//!     monotonic clock, so what lives for a minute lives for a minute.
//! C3. After a large jump forward nothing is removed for a while, so a wall clock that is mended
//!     at once, or an operator, can still save what a wrong date would have expired.
//! C4. While a thread holds the time of a store, that store shows this thread no other. For all
//!     other threads it goes on.

use std::{
    cell::Cell,
    fmt::Debug,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Where a store gets the time from.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{Options, clock::Clock};
/// use std::{sync::Arc, time::Duration};
///
/// /// A machine whose date was never set.
/// #[derive(Debug)]
/// struct Unset;
///
/// impl Clock for Unset {
///     fn wall_ms(&self) -> u64 {
///         0
///     }
///     fn monotonic(&self) -> Duration {
///         Duration::ZERO
///     }
/// }
///
/// let store = Options::new().clock(Arc::new(Unset)).open_temporary()?;
/// assert_eq!(store.stats().keys, 0);
/// # Ok(())
/// # }
/// ```
pub trait Clock: Send + Sync + Debug + 'static {
    /// Milliseconds since 1970 (UTC, no leap seconds). May jump, either way.
    fn wall_ms(&self) -> u64;

    /// Time since some fixed moment. Never goes back, does not jump.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
///
/// The monotonic one may stop while the machine sleeps; the wall clock then seems to have jumped.
///
/// ```
/// use kvcore::clock::{Clock, SystemClock};
/// let clock = SystemClock::new();
/// let before = clock.monotonic();
/// assert!(clock.monotonic() >= before);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting now.
    ///
    /// ```
    /// use kvcore::clock::{Clock, SystemClock};
    /// assert!(SystemClock::new().wall_ms() > 1_600_000_000_000); // later than 2020
    /// ```
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    /// 0 before 1970.
    fn wall_ms(&self) -> u64 {
        millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that tests set. Clones are the same clock. It moves only when told.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Keyspace, Options, Put, clock::SimClock};
/// use std::{sync::Arc, time::Duration};
/// let clock = SimClock::new(1_000_000);
/// let store = Options::new().clock(Arc::new(clock.clone())).in_memory().open("data")?;
/// let sessions: Keyspace<String, u64> = store.keyspace("sessions")?;
/// sessions.put_with("ada", &36, Put::expires_in(Duration::from_secs(60)))?;
/// clock.advance(Duration::from_secs(59));
/// assert!(sessions.contains("ada")?);
/// clock.advance(Duration::from_secs(1)); // no test has to sleep
/// assert!(!sessions.contains("ada")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    times: Arc<SimTimes>,
}

#[derive(Debug, Default)]
struct SimTimes {
    wall_ms: AtomicU64,
    monotonic_ns: AtomicU64,
}

impl SimClock {
    /// A clock whose wall shows this, and whose monotonic time is zero.
    ///
    /// ```
    /// use kvcore::clock::{Clock, SimClock};
    /// let clock = SimClock::new(5_000);
    /// assert_eq!((clock.wall_ms(), clock.monotonic().as_millis()), (5_000, 0));
    /// ```
    #[must_use]
    pub fn new(wall_ms: u64) -> SimClock {
        let clock = SimClock::default();
        clock.set_wall_ms(wall_ms);
        clock
    }

    /// Sets the wall clock; no time passes.
    ///
    /// ```
    /// use kvcore::clock::{Clock, SimClock};
    /// let clock = SimClock::new(5_000);
    /// clock.set_wall_ms(9_000);
    /// assert_eq!((clock.wall_ms(), clock.monotonic().as_millis()), (9_000, 0));
    /// ```
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.times.wall_ms.store(wall_ms, Ordering::SeqCst);
    }

    /// Lets time pass: both clocks move. The wall clock moves by whole milliseconds of the sum.
    ///
    /// ```
    /// use kvcore::clock::{Clock, SimClock};
    /// let clock = SimClock::new(5_000);
    /// clock.advance(std::time::Duration::from_secs(1));
    /// assert_eq!((clock.wall_ms(), clock.monotonic().as_millis()), (6_000, 1_000));
    /// ```
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let before_ns = self.times.monotonic_ns.fetch_add(by_ns, Ordering::SeqCst);
        let after_ns = before_ns.wrapping_add(by_ns);
        let by_ms = (after_ns / 1_000_000).saturating_sub(before_ns / 1_000_000);
        self.times.wall_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// Lets the wall clock jump, back or forth; no time passes. It stops at 1970.
    ///
    /// ```
    /// use kvcore::clock::{Clock, SimClock};
    /// let clock = SimClock::new(5_000);
    /// clock.jump_wall_ms(-2_000); // somebody mends the date
    /// assert_eq!((clock.wall_ms(), clock.monotonic().as_millis()), (3_000, 0));
    /// ```
    pub fn jump_wall_ms(&self, by_ms: i64) {
        let jump = |ms: u64| ms.saturating_add_signed(by_ms);
        self.times.wall_ms.update(Ordering::SeqCst, Ordering::SeqCst, jump);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.times.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.times.monotonic_ns.load(Ordering::SeqCst))
    }
}

/// The store's time: a clock that never goes back (C1) nor stops (C2).
///
/// Shared between threads without a lock: a reading is one atomic maximum, and usually finds it
/// unchanged. Threads may see readings of each other a little late, never their own going back.
#[derive(Debug)]
pub(crate) struct ClampedClock {
    clock: Arc<dyn Clock>,
    /// The store's time is never below this plus the monotonic time.
    ///
    /// Only grows. Keeping the distance instead of a time and the moment it was read makes it a
    /// single word: whatever the wall clock does, `base + monotonic` goes on at the right pace,
    /// and a wall clock ahead of it just raises it. In microseconds, for the two clocks do not
    /// tick together: the distance of whole milliseconds varies by one, its maximum is too large,
    /// and what lives until a moment would be gone a millisecond before.
    base_us: AtomicU64,
    /// Monotonic milliseconds until which nothing is removed.
    grace_until_ms: AtomicU64,
}

/// A forward jump larger than this is taken for a possible mistake.
const JUMP_MAX_MS: u64 = 60 * 60 * 1000;
/// How long nothing is removed after one, in time that really passes.
const GRACE_MS: u64 = 60 * 1000;

impl ClampedClock {
    /// `highest_ms` is the highest time the store has ever shown, as far as it is recorded; 0 for
    /// a new one. A wall clock far ahead of it is no jump: a store may have been closed for years.
    pub(crate) fn new(clock: Arc<dyn Clock>, highest_ms: u64) -> ClampedClock {
        let start_ms = clock.wall_ms().max(highest_ms);
        let base_us = distance_us(start_ms, clock.monotonic());
        ClampedClock { clock, base_us: base_us.into(), grace_until_ms: 0.into() }
    }

    /// The store's time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        match HELD.get() {
            Some((clock, at_ms)) if clock == self.address() => at_ms,
            _ => self.read_ms(),
        }
    }

    /// Holds the time for this thread; inside another hold, it is the time of that one.
    pub(crate) fn hold(&self) -> HeldTime<'_> {
        let now_ms = self.now_ms();
        let before = HELD.replace(Some((self.address(), now_ms)));
        HeldTime { now_ms, before, of: PhantomData }
    }

    /// What tells this clock from others, as long as it is there.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn read_ms(&self) -> u64 {
        // In this order: a thread that is stopped between the two then takes the wall clock for
        // late, which does nothing, instead of early, which would stay.
        let wall_ms = self.clock.wall_ms();
        let passed = self.clock.monotonic();
        let wall_base_us = distance_us(wall_ms, passed);
        let mut base_us = self.base_us.load(Ordering::Acquire);
        if wall_base_us > base_us {
            if wall_base_us - base_us > JUMP_MAX_MS * 1_000 {
                // Before the new time can be seen, so that whoever sees it finds the grace, too.
                let until_ms = millis(passed).saturating_add(GRACE_MS);
                self.grace_until_ms.fetch_max(until_ms, Ordering::Release);
            }
            base_us = self.base_us.fetch_max(wall_base_us, Ordering::AcqRel).max(wall_base_us);
        }
        base_us.saturating_add(micros(passed)) / 1_000
    }

    /// Time that has really passed since some fixed moment: for pauses.
    pub(crate) fn passed(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Whether what has expired may be removed for good (C3). Reads hide it all the same.
    ///
    /// Ask after [`now_ms`](ClampedClock::now_ms), which is what notices a jump.
    pub(crate) fn removal_allowed(&self) -> bool {
        let until_ms = self.grace_until_ms.load(Ordering::Acquire);
        until_ms == 0 || millis(self.clock.monotonic()) >= until_ms
    }
}

thread_local! {
    /// The clock whose time this thread holds, and that time.
    static HELD: Cell<Option<(usize, u64)>> = const { Cell::new(None) };
}

/// A store's time, standing still for one thread; see
/// [`Store::hold_time`](crate::Store::hold_time).
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// let held: kvcore::clock::HeldTime<'_> = store.hold_time();
/// assert_eq!(store.hold_time().now_ms(), held.now_ms());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HeldTime<'a> {
    now_ms: u64,
    before: Option<(usize, u64)>,
    /// Of a clock that stays where it is; and it must end in the thread where it began.
    of: PhantomData<(&'a ClampedClock, *const ())>,
}

impl HeldTime<'_> {
    /// The time that is held, in milliseconds since 1970.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// assert!(store.hold_time().now_ms() > 1_600_000_000_000); // later than 2020
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

impl Drop for HeldTime<'_> {
    fn drop(&mut self) {
        HELD.set(self.before);
    }
}

/// From 1970 to the start of the monotonic time, rounded so that the sum is never ahead.
fn distance_us(wall_ms: u64, passed: Duration) -> u64 {
    let passed_us = micros(passed.saturating_add(Duration::from_nanos(999)));
    wall_ms.saturating_mul(1_000).saturating_sub(passed_us)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_750_000_000_000;
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn clocks(highest_ms: u64) -> (SimClock, ClampedClock) {
        let clock = SimClock::new(START_MS);
        clock.advance(Duration::from_secs(5));
        clock.set_wall_ms(START_MS);
        (clock.clone(), ClampedClock::new(Arc::new(clock), highest_ms))
    }

    #[test]
    fn time_follows_the_wall_clock_while_it_behaves() {
        let (clock, clamped) = clocks(0);
        assert_eq!(clamped.now_ms(), START_MS);
        clock.advance(Duration::from_millis(1234));
        assert_eq!(clamped.now_ms(), START_MS + 1234);
        assert!(clamped.removal_allowed());
    }

    #[test]
    fn time_is_not_ahead_of_a_wall_clock_that_ticks_between_the_monotonic_one() {
        let (clock, _) = clocks(0);
        clock.advance(Duration::from_micros(950));
        let clamped = ClampedClock::new(Arc::new(clock.clone()), 0);
        clock.jump_wall_ms(1);
        assert_eq!(clamped.now_ms(), START_MS + 1);
        clock.advance(Duration::from_micros(100));
        clock.set_wall_ms(START_MS + 1);
        assert_eq!(clamped.now_ms(), START_MS + 1, "a tenth of a millisecond later");
    }

    #[test]
    fn c1_c2_wall_clock_set_back_changes_nothing() {
        let (clock, clamped) = clocks(0);
        clock.jump_wall_ms(-DAY_MS);
        assert_eq!(clamped.now_ms(), START_MS);
        clock.advance(Duration::from_secs(60));
        assert_eq!(clamped.now_ms(), START_MS + 60_000);
        clock.jump_wall_ms(DAY_MS);
        assert_eq!(clamped.now_ms(), START_MS + 60_000, "mended, it is where it would be");
        assert!(clamped.removal_allowed());
    }

    #[test]
    fn c1_recorded_time_ahead_of_the_wall_clock_counts() {
        let (clock, clamped) = clocks(START_MS + 7_200_000);
        assert_eq!(clamped.now_ms(), START_MS + 7_200_000);
        clock.advance(Duration::from_millis(10));
        assert_eq!(clamped.now_ms(), START_MS + 7_200_010);
    }

    #[test]
    fn c4_time_that_is_held_stands_still_for_its_thread_and_its_clock() {
        let ((clock, clamped), (_, other)) = (clocks(0), clocks(0));
        let held = clamped.hold();
        clock.advance(Duration::from_millis(5));
        assert_eq!((held.now_ms(), clamped.now_ms()), (START_MS, START_MS));
        assert_eq!(clamped.hold().now_ms(), START_MS, "the inner one changes nothing");
        assert_eq!(clamped.now_ms(), START_MS, "nor does its end");
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| clamped.now_ms()).join());
        assert_eq!(elsewhere.expect("it reads a clock"), START_MS + 5);
        {
            let inner = other.hold();
            assert_eq!((inner.now_ms(), other.now_ms()), (START_MS, START_MS));
        }
        assert_eq!(clamped.now_ms(), START_MS);
        drop(held);
        assert_eq!(clamped.now_ms(), START_MS + 5);
    }

    #[test]
    fn c3_large_jump_forward_is_adopted_and_stops_removal_for_a_minute() {
        let (clock, clamped) = clocks(0);
        clock.jump_wall_ms(DAY_MS);
        let jumped_ms = START_MS + DAY_MS.unsigned_abs();
        assert_eq!(clamped.now_ms(), jumped_ms);
        assert!(!clamped.removal_allowed());
        clock.advance(Duration::from_millis(GRACE_MS - 1));
        assert!(!clamped.removal_allowed());
        clock.advance(Duration::from_millis(1));
        assert!(clamped.removal_allowed());
        clock.jump_wall_ms(-DAY_MS);
        assert_eq!(clamped.now_ms(), jumped_ms + GRACE_MS, "and it stays adopted");
    }

    #[test]
    fn c3_small_jump_forward_and_a_long_sleep_between_readings_stop_nothing() {
        let (clock, clamped) = clocks(0);
        clock.jump_wall_ms(3_600_000);
        assert_eq!(clamped.now_ms(), START_MS + 3_600_000);
        assert!(clamped.removal_allowed());
        clock.advance(Duration::from_secs(1_000_000));
        assert_eq!(clamped.now_ms(), START_MS + 1_003_600_000);
        assert!(clamped.removal_allowed());
    }

    #[test]
    fn wall_clock_before_the_start_of_the_monotonic_one_is_survived() {
        let clock = SimClock::new(0);
        clock.advance(Duration::from_secs(5));
        clock.jump_wall_ms(i64::MIN);
        let clamped = ClampedClock::new(Arc::new(clock.clone()), 0);
        let first_ms = clamped.now_ms();
        clock.advance(Duration::from_secs(1));
        assert_eq!(clamped.now_ms(), first_ms + 1000);
        clock.set_wall_ms(u64::MAX);
        assert_eq!(clamped.now_ms(), u64::MAX / 1_000, "the last time it can show");
    }

    #[test]
    fn c1_no_thread_sees_time_go_back_while_the_wall_clock_jumps() {
        let (clock, clamped) = clocks(0);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let times: Vec<_> = (0..20_000).map(|_| clamped.now_ms()).collect();
                        times.is_sorted()
                    })
                })
                .collect();
            let mut random = fastrand::Rng::with_seed(3);
            for _ in 0..2_000 {
                clock.jump_wall_ms(random.i64(-DAY_MS..DAY_MS));
                clock.advance(Duration::from_micros(random.u64(..3000)));
            }
            for reader in readers {
                assert!(reader.join().expect("a reader"), "seed 3");
            }
        });
    }

    #[test]
    fn system_clock_moves_forward() {
        let clock = SystemClock::new();
        let before = (clock.wall_ms(), clock.monotonic());
        assert!(before.0 > 1_700_000_000_000, "after 2023");
        assert!(clock.monotonic() >= before.1);
    }
}
