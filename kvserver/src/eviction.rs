//! Keeps the memory for keys below `maxmemory`, as `maxmemory-policy` says.
//!
//! As in Redis, a few keys are drawn at random, the best candidates are kept in a pool over draws,
//! and the best of the pool goes. Memory is counted, not measured: keys, elements, their order and
//! all that is known of each, which is what this server keeps in memory; values are on the disk.
//!
//! Knows policies and candidates. Does not know sockets or commands.
//!
//! # Laws
//!
//! V1. A key goes by a commit of its own, before the command that asked for room runs, and is told
//!     as `evicted` like any change.
//! V2. One command evicts a bounded number of keys; what is left to do is the background's.
//! V3. What has been deleted and is still being freed counts as free.

mod pool;
mod timeline;

use std::sync::atomic::Ordering::Relaxed;

use kvcore::UsesRemembered;
use parking_lot::Mutex;

use crate::background::Job;
use crate::data::{Among, Data, LastUse, MemoryHeld, Round, StoreError};
use crate::executor::{Executor, Turn};
use crate::parameters::Live;
use crate::pubsub::Outbox;
use crate::shared::Shared;
use crate::stats::Tally;
use pool::{Candidate, Pool};
use timeline::Timeline;

/// Keys evicted for one command.
const VICTIMS_MAX: usize = 64;
/// Draws without any key that may go, before nothing may.
const TRIES_MAX: usize = 4;
/// More keys than this are not walked through while clients wait.
const WALKED_AT_ONCE_MAX: u64 = 200_000;
/// Length of a tick of the clock that uses are timed by.
const TICK_MS: u64 = 100;
const MINUTE_TICKS: u32 = 600;

/// What gives way, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    NoEviction,
    Evict(Among, Order),
}

/// Which of the keys drawn is the best candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The one not used for longest.
    Lru,
    /// The one least often used.
    Lfu,
    /// Any.
    Random,
    /// The one that expires first.
    Ttl,
}

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// Not yet, but keys are being evicted.
    Soon,
    None,
}

/// What eviction remembers between commands.
#[derive(Debug, Default)]
pub(crate) struct Eviction {
    pool: Mutex<Pool>,
    timeline: Mutex<Timeline>,
}

impl Policy {
    /// By its place in the list of the parameter.
    fn current(shared: &Shared) -> Policy {
        use Among::{AllKeys, Volatile};
        match shared.parameters.number(Live::MaxMemoryPolicy) {
            0 => Policy::Evict(Volatile, Order::Lru),
            1 => Policy::Evict(Volatile, Order::Lfu),
            2 => Policy::Evict(Volatile, Order::Random),
            3 => Policy::Evict(Volatile, Order::Ttl),
            4 => Policy::Evict(AllKeys, Order::Lru),
            5 => Policy::Evict(AllKeys, Order::Lfu),
            6 => Policy::Evict(AllKeys, Order::Random),
            _ => Policy::NoEviction,
        }
    }
    pub(crate) fn order(self) -> Option<Order> {
        match self {
            Policy::NoEviction => None,
            Policy::Evict(_, order) => Some(order),
        }
    }
}

impl Order {
    /// How good a candidate is; the highest goes first.
    fn score(self, last_use: &LastUse, expires_at_ms: Option<u64>) -> u64 {
        match self {
            Order::Lru => u64::from(last_use.idle_ticks.unwrap_or(u32::MAX)),
            Order::Lfu => u64::from(u8::MAX - last_use.frequency.unwrap_or(0)),
            Order::Ttl => u64::MAX - expires_at_ms.unwrap_or(u64::MAX),
            Order::Random => 0,
        }
    }
}

/// The policy that is set.
pub(crate) fn policy(shared: &Shared) -> Policy {
    Policy::current(shared)
}

/// `maxmemory` in bytes; 0: no bound.
pub(crate) fn bound(shared: &Shared) -> u64 {
    u64::try_from(shared.parameters.number(Live::MaxMemory)).unwrap_or(0)
}

/// Memory beyond the bound, what is being freed not counted.
fn is_over(shared: &Shared, memory: &MemoryHeld) -> bool {
    let bound = bound(shared);
    bound > 0 && memory.staying() > bound
}

/// Makes the store remember the uses that the policy asks for; called when it has been set.
pub(crate) fn policy_changed(shared: &Shared) {
    if shared.engine.keys() <= WALKED_AT_ONCE_MAX {
        remember_uses(shared);
    } else {
        shared.ask_background(Job::RememberUses);
    }
}

/// The same, whatever it costs.
pub(crate) fn remember_uses(shared: &Shared) {
    let number = |live| u32::try_from(shared.parameters.number(live)).unwrap_or(u32::MAX);
    let what = match policy(shared).order() {
        Some(Order::Lru) => UsesRemembered::LastUse,
        Some(Order::Lfu) => UsesRemembered::Frequency {
            log_factor: number(Live::LfuLogFactor),
            decay_ticks: number(Live::LfuDecayTime).saturating_mul(MINUTE_TICKS),
        },
        _ => UsesRemembered::Nothing,
    };
    if let Err(error) = shared.engine.remember_uses(what) {
        tracing::warn!(%error, "uses of keys are not remembered");
    }
}

/// Moves the clock of uses on.
pub(crate) fn tick(shared: &Shared, now_ms: u64) {
    // The low bits: a tick wraps, after thirteen years.
    let tick = (now_ms / TICK_MS) & u64::from(u32::MAX);
    shared.engine.set_use_tick(u32::try_from(tick).unwrap_or(0));
    shared.eviction.timeline.lock().note(shared.engine.tip().get(), now_ms);
    shared.stats.memory_peak.fetch_max(shared.engine.memory().held, Relaxed);
}

/// For how long a key has not been used, in milliseconds. Where the policy remembers no uses: since
/// its record was written or TOUCHed, as far as is known since the start.
pub(crate) fn idle_ms(shared: &Shared, last_use: &LastUse, now_ms: u64) -> u64 {
    match last_use.idle_ticks {
        Some(ticks) => u64::from(ticks) * TICK_MS,
        None => {
            let since = shared.eviction.timeline.lock().time_of(last_use.written.get());
            now_ms.saturating_sub(since.unwrap_or(now_ms))
        }
    }
}

impl Executor<'_> {
    /// Evicts keys until there is room, up to a bound; without a round, none.
    pub(crate) fn make_room(
        &mut self,
        mut round: Option<&mut Round<'_, '_>>,
    ) -> Result<Room, StoreError> {
        for _ in 0..VICTIMS_MAX {
            if !is_over(self.shared, &self.shared.engine.memory()) {
                return Ok(Room::Enough);
            }
            let Policy::Evict(among, order) = policy(self.shared) else { return Ok(Room::None) };
            let Some(round) = round.as_deref_mut() else { return Ok(Room::Soon) };
            let Some((db, key)) = self.victim(among, order)? else { return Ok(Room::None) };
            self.data.set_heard(self.shared.is_listening());
            self.data.set_notified(self.shared.notified());
            self.data.evict(db, &key)?;
            self.commit(Some(round), Vec::new())?;
            self.shared.stats.evicted.fetch_add(1, Relaxed);
        }
        Ok(Room::Soon)
    }

    /// The best candidate that is still as good as it was when it was drawn.
    fn victim(
        &mut self,
        among: Among,
        order: Order,
    ) -> Result<Option<(usize, Vec<u8>)>, StoreError> {
        let shared = self.shared;
        let mut pool = shared.eviction.pool.lock();
        pool.serve(among, order);
        for _ in 0..TRIES_MAX {
            self.draw_into(&mut pool, among, order)?;
            while let Some(candidate) = pool.take_best() {
                if self.is_still(among, order, &candidate)? {
                    return Ok(Some((candidate.db, candidate.key)));
                }
            }
        }
        Ok(None)
    }

    /// The key is there, may go, and has not been used since it was drawn.
    fn is_still(
        &mut self,
        among: Among,
        order: Order,
        Candidate { score, db, key }: &Candidate,
    ) -> Result<bool, StoreError> {
        if !self.data.is_stored_expired_too(*db, key)? {
            return Ok(false);
        }
        let expires_at_ms = self.data.db(*db).expires_at_ms(key)?;
        if among == Among::Volatile && expires_at_ms == Some(None) {
            return Ok(false);
        }
        let last_use = self.data.db(*db).last_use(key)?;
        // One past its time is as good as any, and is not seen here.
        let now = last_use.map(|last_use| order.score(&last_use, expires_at_ms.flatten()));
        Ok(now.is_none_or(|now| now >= *score))
    }

    fn draw_into(&mut self, pool: &mut Pool, among: Among, order: Order) -> Result<(), StoreError> {
        let samples = match order {
            // The first one is as good as any.
            Order::Random => 1,
            _ => self.shared.parameters.size(Live::MaxMemorySamples),
        };
        let count = self.data.count();
        let first = self.rng.usize(..count);
        for db in (0..count).map(|n| (first + n) % count) {
            for drawn in self.data.draw(db, among, samples, self.rng.u64(..))? {
                let score = order.score(&drawn.last_use, drawn.expires_at_ms);
                let fits = among == Among::AllKeys || drawn.expires_at_ms.is_some();
                if fits {
                    pool.add(Candidate { score, db, key: drawn.key });
                }
            }
            if order == Order::Random && !pool.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Evicts some keys, if that is due; true if there is more to do.
pub(crate) fn evict_step(shared: &Shared, data: &mut Data) -> Result<bool, StoreError> {
    if bound(shared) == 0 || !is_over(shared, &shared.engine.memory()) {
        return Ok(false);
    }
    let _gate = shared.gate.write();
    let time = shared.engine.hold_time();
    data.set_now_ms(time.now_ms());
    let (mut rng, mut tally) = (fastrand::Rng::new(), Tally::new());
    let mut outbox = Outbox::default();
    let room = shared.engine.round(shared.parameters.appendfsync(), |round| {
        let mut executor = Executor {
            shared,
            data,
            rng: &mut rng,
            tally: &mut tally,
            outbox: &mut outbox,
            time,
            // Keys that go give nothing to those who wait.
            turn: Turn::default(),
        };
        executor.make_room(Some(round))
    })??;
    outbox.post(shared, None);
    Ok(room == Room::Soon)
}

#[cfg(test)]
mod tests;
