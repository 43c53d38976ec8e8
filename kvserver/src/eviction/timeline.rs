//! When commits were made: a few marks in the order of commits, so that the time of a key's last
//! write is known without a byte per key.
//!
//! Pure.

/// Marks kept; the one goes that is missed least: its neighbours are close, for their age.
const MARKS_MAX: usize = 1_024;
/// Time between two marks.
const MARK_EVERY_MS: u64 = 500;

/// Sequences and times, both ascending: all up to the sequence was written by then.
#[derive(Debug, Default)]
pub(super) struct Timeline(Vec<(u64, u64)>);

impl Timeline {
    /// The last commit so far is this one, at this time.
    pub(super) fn note(&mut self, tip: u64, now_ms: u64) {
        if let Some((sequence, at_ms)) = self.0.last()
            && (*sequence >= tip || now_ms < at_ms + MARK_EVERY_MS)
        {
            return;
        }
        self.0.push((tip, now_ms));
        if self.0.len() > MARKS_MAX {
            let gap = |at: &usize| {
                let [(_, before), (_, here), (_, behind)] =
                    [self.0[at - 1], self.0[*at], self.0[at + 1]];
                (behind - before) * 1_000_000 / (now_ms - here).max(1)
            };
            if let Some(least) = (1..self.0.len() - 1).min_by_key(gap) {
                self.0.remove(least);
            }
        }
    }
    /// By when this commit had been made; `None` if it is later than all marks.
    pub(super) fn time_of(&self, sequence: u64) -> Option<u64> {
        let at = self.0.partition_point(|(tip, _)| *tip < sequence);
        self.0.get(at).map(|(_, at_ms)| *at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_to_a_second_lately_and_roughly_long_ago() {
        let mut timeline = Timeline::default();
        (0..20_000).for_each(|n| timeline.note(n * 10, n * 500));
        assert!(timeline.0.len() <= MARKS_MAX);
        for sequence in [10_005, 100_005, 190_005, 199_905, 199_985] {
            let (at_ms, now_ms) = (sequence * 50, 10_000_000);
            let seen_ms = timeline.time_of(sequence).unwrap();
            let error_max = 500 + (now_ms - at_ms) / 50;
            assert!((at_ms..=at_ms + error_max).contains(&seen_ms), "{sequence}: {seen_ms}");
        }
        assert_eq!(timeline.time_of(200_000), None, "it is later than the last mark");
        assert_eq!(timeline.time_of(0), Some(0));
    }
}
