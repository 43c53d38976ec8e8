//! The best candidates of several draws.
//!
//! Pure.

use super::Order;
use crate::data::Among;

/// Candidates kept.
const POOL_MAX: usize = 16;

/// A key that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The highest goes first.
    pub(super) score: u64,
    pub(super) db: usize,
    pub(super) key: Vec<u8>,
}

/// The candidates, the best one last.
#[derive(Debug, Default)]
pub(super) struct Pool {
    serves: Option<(Among, Order)>,
    candidates: Vec<Candidate>,
}

impl Pool {
    /// Scores of another policy mean nothing: they go.
    pub(super) fn serve(&mut self, among: Among, order: Order) {
        if self.serves.replace((among, order)) != Some((among, order)) {
            self.candidates.clear();
        }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }
    /// Keeps a candidate if it is among the best, with its latest score.
    pub(super) fn add(&mut self, candidate: Candidate) {
        let is_same = |old: &Candidate| old.db == candidate.db && old.key == candidate.key;
        self.candidates.retain(|old| !is_same(old));
        let at = self.candidates.partition_point(|old| old.score <= candidate.score);
        self.candidates.insert(at, candidate);
        if self.candidates.len() > POOL_MAX {
            self.candidates.remove(0);
        }
    }
    pub(super) fn take_best(&mut self) -> Option<Candidate> {
        self.candidates.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(score: u64) -> Candidate {
        Candidate { score, db: 0, key: score.to_be_bytes().to_vec() }
    }

    #[test]
    fn the_best_are_kept_whatever_their_order_and_taken_best_first() {
        let mut pool = Pool::default();
        let mut scores: Vec<u64> = (0..100).collect();
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        fastrand::Rng::with_seed(seed).shuffle(&mut scores);
        scores.iter().for_each(|score| pool.add(candidate(*score)));
        scores.iter().for_each(|score| pool.add(candidate(*score)));
        let taken: Vec<u64> =
            std::iter::from_fn(|| pool.take_best()).map(|candidate| candidate.score).collect();
        assert_eq!(taken, (84..100).rev().collect::<Vec<u64>>());
    }

    #[test]
    fn another_policy_begins_with_an_empty_pool() {
        let mut pool = Pool::default();
        pool.serve(Among::AllKeys, Order::Lru);
        pool.add(candidate(1));
        pool.serve(Among::AllKeys, Order::Lru);
        assert!(!pool.is_empty());
        pool.serve(Among::AllKeys, Order::Lfu);
        assert!(pool.is_empty());
    }
}
