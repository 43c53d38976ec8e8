//! How often an entry was used lately, in 32 bits: a counter that grows with the logarithm of the
//! uses and shrinks with time.
//!
//! ```text
//!  31      8 7       0
//!  when      counter      when: ticks / 64, of the last use
//! ```
//!
//! Pure arithmetic. The shape is that of Redis' LFU: the counter goes from n to n + 1 with a
//! probability of 1 / ((n − 5) · factor + 1), and loses one for each period without a use.

/// The counter of what is new: not the first to go.
const FIRST: u8 = 5;
const COUNTER_BITS: u32 = 8;
/// Ticks are kept in units of this many, so that they wrap late.
const UNIT_TICKS: u32 = 64;
const UNIT_MASK: u32 = u32::MAX >> COUNTER_BITS;

/// How fast a counter grows and shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heat {
    /// The higher, the more uses it takes to reach the top.
    pub(crate) log_factor: u32,
    /// A counter loses one after so long; 0: never.
    pub(crate) decay_ticks: u32,
}

impl Heat {
    /// Of an entry that is written for the first time.
    pub(crate) fn first(tick: u32) -> u32 {
        pack(tick, FIRST)
    }

    /// The counter now.
    pub(crate) fn at(self, number: u32, tick: u32) -> u8 {
        let [counter, ..] = number.to_le_bytes();
        let units = (tick / UNIT_TICKS).wrapping_sub(number >> COUNTER_BITS) & UNIT_MASK;
        let ticks = u64::from(units) * u64::from(UNIT_TICKS);
        let periods = ticks.checked_div(u64::from(self.decay_ticks)).unwrap_or(0);
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// After one more use; `random` is drawn evenly from all numbers.
    pub(crate) fn used(self, number: u32, tick: u32, random: u32) -> u32 {
        let counter = self.at(number, tick);
        let uses = u64::from(counter.saturating_sub(FIRST)) * u64::from(self.log_factor) + 1;
        let grows = u64::from(random) * uses <= u64::from(u32::MAX);
        pack(tick, if grows { counter.saturating_add(1) } else { counter })
    }
}

fn pack(tick: u32, counter: u8) -> u32 {
    ((tick / UNIT_TICKS) & UNIT_MASK) << COUNTER_BITS | u32::from(counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAT: Heat = Heat { log_factor: 10, decay_ticks: 640 };

    #[test]
    fn a_counter_grows_with_the_logarithm_of_the_uses() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut number = Heat::first(0);
        let mut after = |uses: u32| {
            (0..uses).for_each(|_| number = HEAT.used(number, 0, random.u32(..)));
            HEAT.at(number, 0)
        };
        assert_eq!(after(0), 5);
        let (some, more, most) = (after(100), after(9_900), after(2_000_000));
        assert!((6..=20).contains(&some), "{some}");
        assert!((30..=70).contains(&more), "{more}");
        assert_eq!(most, 255, "and stays there");
    }

    #[test]
    fn a_counter_shrinks_with_time_and_ticks_may_wrap() {
        let hot = pack(u32::MAX - 6_399, 100);
        assert_eq!(HEAT.at(hot, u32::MAX - 6_399), 100);
        assert_eq!(HEAT.at(hot, u32::MAX), 91);
        let still = Heat { decay_ticks: 0, ..HEAT };
        assert_eq!(still.at(hot, u32::MAX), 100);
        assert_eq!(HEAT.at(pack(0, 100), 640 * 300), 0);
    }
}
