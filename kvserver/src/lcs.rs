//! The longest common subsequence of two byte strings: its length, itself, or where it lies.
//!
//! Knows bytes only. The caller bounds the work first, with [`work_bytes`].
//!
//! # Invariants
//!
//! S1. Time is `a.len() * b.len()`; memory is one row of `u32` plus, for everything but the length,
//!     one bit per cell. (A table of `u32`, as the reference server keeps, takes 32 times that.)
//! S2. Where several subsequences are longest, the walk from the end steps back in `a` only if that
//!     keeps strictly more, so the answer is the reference server's.

/// A common run: `a[a_start..=a_end]` equals `b[b_start..=b_end]`, ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First byte in the first string.
    pub(crate) a_start: usize,
    /// Last byte in the first string.
    pub(crate) a_end: usize,
    /// First byte in the second string.
    pub(crate) b_start: usize,
    /// Last byte in the second string.
    pub(crate) b_end: usize,
}

impl Run {
    /// Bytes in the run.
    pub(crate) fn len(&self) -> usize {
        self.a_end - self.a_start + 1
    }
}

/// Bytes a table of one `u32` per cell would take: the measure the work is limited by.
///
/// Saturates: whatever does not fit is over every limit.
pub(crate) fn work_bytes(a: &[u8], b: &[u8]) -> u64 {
    let cells = |text: &[u8]| u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(1);
    cells(a).saturating_mul(cells(b)).saturating_mul(4)
}

/// The length of the longest common subsequence.
pub(crate) fn length(a: &[u8], b: &[u8]) -> usize {
    rows(a, b, |_, _| {})
}

/// The common runs, last first, as the walk from the end meets them. Their lengths add up to
/// [`length`], and their bytes in reverse order of runs are the subsequence.
pub(crate) fn runs(a: &[u8], b: &[u8]) -> Vec<Run> {
    let mut up = Bits::new(a.len() * b.len());
    rows(a, b, |cell, steps_up| {
        if steps_up {
            up.set(cell);
        }
    });
    let mut runs: Vec<Run> = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            match runs.last_mut() {
                Some(run) if run.a_start == i + 1 && run.b_start == j + 1 => {
                    (run.a_start, run.b_start) = (i, j);
                }
                _ => runs.push(Run { a_start: i, a_end: i, b_start: j, b_end: j }),
            }
        } else if up.get((i - 1) * b.len() + (j - 1)) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    runs
}

/// The longest common subsequence itself.
pub(crate) fn subsequence(a: &[u8], b: &[u8]) -> Vec<u8> {
    let runs = runs(a, b);
    runs.iter().rev().flat_map(|run| &a[run.a_start..=run.a_end]).copied().collect()
}

/// Fills the table row by row and returns its last cell. `visit` is told, for each cell,
/// whether the walk steps back in `a` there (S2).
fn rows(a: &[u8], b: &[u8], mut visit: impl FnMut(usize, bool)) -> usize {
    // row[j] is the length for (this a, b[..j]) left of the cell and for the previous a from it on.
    let mut row = vec![0u32; b.len() + 1];
    for (i, &x) in a.iter().enumerate() {
        let mut diagonal = 0;
        for (j, &y) in b.iter().enumerate() {
            let (above, left) = (row[j + 1], row[j]);
            visit(i * b.len() + j, above > left);
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(left) };
            diagonal = above;
        }
    }
    usize::try_from(row[b.len()]).expect("a length of strings in memory fits usize")
}

struct Bits(Vec<u64>);

impl Bits {
    fn new(len: usize) -> Self {
        Bits(vec![0; len.div_ceil(64)])
    }

    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn get(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_example_gives_subsequence_length_and_runs() {
        let (a, b) = (b"ohmytext", b"mynewtext");
        assert_eq!(subsequence(a, b), b"mytext");
        assert_eq!(length(a, b), 6);
        assert_eq!(
            runs(a, b),
            [
                Run { a_start: 4, a_end: 7, b_start: 5, b_end: 8 },
                Run { a_start: 2, a_end: 3, b_start: 0, b_end: 1 },
            ]
        );
        assert_eq!(runs(a, b)[0].len(), 4);
    }

    #[test]
    fn empty_or_disjoint_strings_share_nothing() {
        for (a, b) in [(&b""[..], &b""[..]), (b"", b"abc"), (b"abc", b""), (b"abc", b"xyz")] {
            assert_eq!(length(a, b), 0);
            assert_eq!(runs(a, b), []);
            assert_eq!(subsequence(a, b), b"");
        }
    }

    #[test]
    fn work_is_measured_without_overflow() {
        assert_eq!(work_bytes(b"", b""), 4);
        assert_eq!(work_bytes(b"abc", b"a"), 32);
    }

    fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|byte| rest.any(|other| other == byte))
    }

    #[test]
    fn runs_lie_in_both_strings_and_add_up_to_the_length() {
        let seed = 0x5eed_01c5;
        println!("seed {seed:#x}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let mut text = || (0..rng.usize(..20)).map(|_| rng.u8(b'a'..=b'c')).collect::<Vec<_>>();
            let (a, b) = (text(), text());
            let found = subsequence(&a, &b);
            assert!(is_subsequence(&found, &a) && is_subsequence(&found, &b), "{a:?} {b:?}");
            assert_eq!(found.len(), length(&a, &b), "{a:?} {b:?}");
            assert_eq!(runs(&a, &b).iter().map(Run::len).sum::<usize>(), found.len());
            for run in runs(&a, &b) {
                assert_eq!(a[run.a_start..=run.a_end], b[run.b_start..=run.b_end]);
            }
        }
    }
}
