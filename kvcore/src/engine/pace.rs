//! How fast the background goes on with work that others may have to wait for.
//!
//! Pure: knows times that it is told.
//!
//! A scheduler takes those off a processor first who have had more than their share of it. How much
//! the share is nobody says; but a step that took much longer than it can was interrupted. So the
//! pauses between turns double then, and otherwise become shorter little by little.

use std::time::Duration;

/// No step takes this long by itself.
const INTERRUPTED: Duration = Duration::from_micros(250);
/// Shorter pauses are none.
const PAUSE_MIN: Duration = Duration::from_micros(30);
/// With a turn of fifty microseconds a fortieth of a processor is used.
const PAUSE_MAX: Duration = Duration::from_millis(2);
/// Before it is known how busy the machine is; right after a delete commands on the same key are
/// more likely than later.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
/// A pause becomes shorter by this part of it each time.
const RECOVERY: u32 = 256;

/// The pauses of one piece of work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pause: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { pause: PAUSE_FIRST }
    }
}

impl Pace {
    /// How long to pause after a turn whose longest step took so long.
    pub(super) fn pause_after(&mut self, longest: Duration) -> Duration {
        self.pause = if longest > INTERRUPTED {
            (self.pause * 2).clamp(PAUSE_MIN * 2, PAUSE_MAX)
        } else {
            self.pause - self.pause / RECOVERY
        };
        if self.pause < PAUSE_MIN { Duration::ZERO } else { self.pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_micros(8);
    const INTERRUPTED_STEP: Duration = Duration::from_millis(4);

    #[test]
    fn p3_pauses_grow_to_a_bound_while_steps_are_interrupted_and_end_when_none_is() {
        let mut pace = Pace::default();
        let pauses: Vec<Duration> = (0..4).map(|_| pace.pause_after(INTERRUPTED_STEP)).collect();
        assert_eq!(pauses, [PAUSE_FIRST * 2, PAUSE_MAX, PAUSE_MAX, PAUSE_MAX]);
        let turns = (0..).take_while(|_| !pace.pause_after(QUICK).is_zero()).count();
        assert!((1_000..1_200).contains(&turns), "{turns} turns until it goes at full speed");
        assert_eq!(pace.pause_after(QUICK), Duration::ZERO);
        assert_eq!(pace.pause_after(INTERRUPTED_STEP), PAUSE_MIN * 2);
    }
}
