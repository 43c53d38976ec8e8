//! Which operations a power cut keeps: the candidates, likely troublemakers first.
//!
//! Pure: knows how many operations are undecided, in which file or directory each is and what
//! shape it has. Does not know what they contain.

use super::pending::Keep;

/// An undecided operation. Slots are in the order in which the operations were done.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Number of the file or directory.
    pub(super) site: usize,
    /// Bytes of a write; 0 for everything else, which is kept or lost whole.
    pub(super) data_len: usize,
    /// Where the write crosses from one sector to the next.
    pub(super) boundaries: Vec<usize>,
}

/// One state to try, cheap to hold by the thousand.
#[derive(Clone, Copy, Debug)]
enum Candidate {
    /// The first so many operations, in the order they were done.
    History(usize),
    /// These of a site's operations (or of all), the others all kept or all lost.
    Subset {
        site: Option<usize>,
        mask: u64,
        others: Keep,
    },
    /// A site's operations up to a slot, which is kept in this way, the others kept or lost.
    Prefix {
        last: usize,
        keep: Keep,
        others: Keep,
    },
    /// All alike but one.
    Except {
        slot: usize,
        keep: Keep,
        others: Keep,
    },
    Random(u64),
}

/// The candidates for one set of slots; without end if writes are among them.
#[derive(Debug)]
pub(super) struct Plans {
    slots: Vec<Slot>,
    systematic: std::vec::IntoIter<Candidate>,
    /// Take a random one next, though systematic ones are left.
    interleave: Option<u8>,
    /// Whether the systematic ones are all there can be.
    complete: bool,
    random: fastrand::Rng,
}

/// Up to so many operations every subset is tried: 64 of them.
const EXHAUSTIVE_MAX: usize = 6;
/// Tears at every byte of a write up to this length, at evenly spread ones of a longer write.
const BYTE_TEARS_MAX: usize = 4096;

impl Plans {
    /// Candidates for about `limit` images.
    pub(super) fn new(slots: Vec<Slot>, limit: usize, seed: u64) -> Plans {
        let mut random = fastrand::Rng::with_seed(seed);
        let n = slots.len();
        let mut rest = systematic(&slots);
        let interleave = (rest.len() > limit).then_some(0);
        if interleave.is_some() {
            random.shuffle(&mut rest);
        }
        let complete = n <= EXHAUSTIVE_MAX && slots.iter().all(|slot| slot.data_len == 0);
        let mut all = vec![Candidate::History(0), Candidate::History(n)];
        all.append(&mut rest);
        Plans { slots, systematic: all.into_iter(), interleave, complete, random }
    }

    /// What to keep of each slot; `None` if there is certainly nothing new any more.
    pub(super) fn next(&mut self) -> Option<Vec<Keep>> {
        let candidate = self.next_candidate()?;
        Some(self.expand(candidate))
    }

    fn next_candidate(&mut self) -> Option<Candidate> {
        if let Some(turn) = &mut self.interleave {
            *turn = (*turn + 1) % 4;
            // Two of a kind first, so that "nothing" and "everything" lead.
            if *turn == 3 {
                return Some(Candidate::Random(self.random.u64(..)));
            }
        }
        let next = self.systematic.next();
        if next.is_none() && !self.complete {
            return Some(Candidate::Random(self.random.u64(..)));
        }
        next
    }

    fn expand(&self, candidate: Candidate) -> Vec<Keep> {
        let kept = |yes| if yes { Keep::Full } else { Keep::Lost };
        let all = 0..self.slots.len();
        match candidate {
            Candidate::History(n) => all.map(|i| kept(i < n)).collect(),
            Candidate::Subset { site, mask, others } => {
                let mut bit = 0;
                let choose = |slot: &Slot| {
                    if site.is_some_and(|site| site != slot.site) {
                        return others;
                    }
                    bit += 1;
                    kept(mask >> (bit - 1) & 1 == 1)
                };
                self.slots.iter().map(choose).collect()
            }
            Candidate::Prefix { last, keep, others } => {
                let site = self.slots[last].site;
                let choose = |i: usize| match i {
                    _ if self.slots[i].site != site => others,
                    _ if i == last => keep,
                    _ => kept(i < last),
                };
                all.map(choose).collect()
            }
            Candidate::Except { slot, keep, others } => {
                all.map(|i| if i == slot { keep } else { others }).collect()
            }
            Candidate::Random(seed) => self.random_plan(seed),
        }
    }

    /// Either every operation on its own, or a prefix per site with a damaged end.
    fn random_plan(&self, seed: u64) -> Vec<Keep> {
        let mut random = fastrand::Rng::with_seed(seed);
        if random.bool() {
            let chance = [0.1, 0.5, 0.9][random.usize(..3)];
            let choose = |slot: &Slot| match random.f64() < chance {
                true if random.u8(..5) == 0 => random_damage(slot, &mut random),
                true => Keep::Full,
                false => Keep::Lost,
            };
            return self.slots.iter().map(choose).collect();
        }
        let sites = self.slots.iter().map(|slot| slot.site + 1).max().unwrap_or(0);
        let mut ends = vec![0; sites];
        for slot in &self.slots {
            ends[slot.site] += 1;
        }
        for end in &mut ends {
            *end = random.usize(..=*end);
        }
        let mut passed = vec![0; sites];
        let choose = |slot: &Slot| {
            passed[slot.site] += 1;
            match passed[slot.site].cmp(&ends[slot.site]) {
                std::cmp::Ordering::Less => Keep::Full,
                std::cmp::Ordering::Equal => random_damage(slot, &mut random),
                std::cmp::Ordering::Greater => Keep::Lost,
            }
        };
        self.slots.iter().map(choose).collect()
    }
}

fn random_damage(slot: &Slot, random: &mut fastrand::Rng) -> Keep {
    match random.u8(..6) {
        0 => Keep::Full,
        1 => Keep::Torn(random.usize(..=slot.data_len)),
        2 => Keep::Sized(random.usize(..=slot.data_len)),
        3 => Keep::Clipped,
        4 => Keep::Sectors(random.u64(..)),
        _ => random.choice(&slot.boundaries).map_or(Keep::Full, |at| Keep::Torn(*at)),
    }
}

fn systematic(slots: &[Slot]) -> Vec<Candidate> {
    const BACKGROUNDS: [Keep; 2] = [Keep::Lost, Keep::Full];
    let n = slots.len();
    let mut list: Vec<_> = (1..n).map(Candidate::History).collect();
    if n <= EXHAUSTIVE_MAX {
        let masks = 0..1_u64 << n;
        list.extend(masks.map(|mask| Candidate::Subset { site: None, mask, others: Keep::Lost }));
    }
    for slot in 0..n {
        list.push(Candidate::Except { slot, keep: Keep::Lost, others: Keep::Full });
        list.push(Candidate::Except { slot, keep: Keep::Full, others: Keep::Lost });
    }
    let sites = slots.iter().map(|slot| slot.site + 1).max().unwrap_or(0);
    for site in 0..sites {
        let count = slots.iter().filter(|slot| slot.site == site).count();
        if count > EXHAUSTIVE_MAX || n <= EXHAUSTIVE_MAX {
            continue;
        }
        for (mask, others) in (0..1_u64 << count).flat_map(|m| BACKGROUNDS.map(|b| (m, b))) {
            list.push(Candidate::Subset { site: Some(site), mask, others });
        }
    }
    for (last, slot) in slots.iter().enumerate() {
        let is_end = slots[last + 1..].iter().all(|later| later.site != slot.site);
        for keep in damages(slot, is_end) {
            list.extend(BACKGROUNDS.map(|others| Candidate::Prefix { last, keep, others }));
        }
    }
    list
}

/// The ways to keep the last operation kept of a site; for its very last write every tear.
fn damages(slot: &Slot, is_end: bool) -> Vec<Keep> {
    let mut keeps = vec![Keep::Full];
    if slot.data_len == 0 {
        return keeps;
    }
    keeps.extend([Keep::Sized(0), Keep::Clipped, Keep::Torn(1), Keep::Torn(slot.data_len - 1)]);
    keeps.extend(slot.boundaries.iter().take(16).map(|at| Keep::Torn(*at)));
    keeps.extend(slot.boundaries.first().map(|_| Keep::Sectors(0)));
    if is_end {
        let step = slot.data_len.div_ceil(BYTE_TEARS_MAX);
        keeps.extend((1..slot.data_len).step_by(step).map(Keep::Torn));
    }
    keeps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn slot(site: usize, data_len: usize) -> Slot {
        Slot { site, data_len, boundaries: Vec::new() }
    }

    fn plans(slots: &[Slot], limit: usize, count: usize) -> HashSet<String> {
        let mut plans = Plans::new(slots.to_vec(), limit, 7);
        (0..count).map_while(|_| plans.next()).map(|plan| format!("{plan:?}")).collect()
    }

    #[test]
    fn nothing_and_everything_come_first_whatever_the_limit() {
        for limit in [2, 1000] {
            let mut plans = Plans::new(vec![slot(0, 9), slot(1, 0)], limit, 1);
            assert_eq!(plans.next().unwrap(), [Keep::Lost, Keep::Lost]);
            assert_eq!(plans.next().unwrap(), [Keep::Full, Keep::Full]);
        }
    }

    #[test]
    fn all_subsets_of_up_to_six_operations_are_tried() {
        let slots: Vec<_> = (0..6).map(|i| slot(i % 3, 0)).collect();
        let seen = plans(&slots, 1000, 200);
        assert_eq!(seen.len(), 64);
    }

    #[test]
    fn every_byte_tear_of_a_last_write_is_tried() {
        let seen = plans(&[slot(0, 4), slot(0, 40)], 1000, 200);
        for at in 1..40 {
            let plan = format!("{:?}", [Keep::Full, Keep::Torn(at)]);
            assert!(seen.contains(&plan), "{plan}");
        }
    }

    #[test]
    fn small_limit_still_mixes_in_random_ones() {
        let slots: Vec<_> = (0..20).map(|i| slot(i % 4, 30)).collect();
        assert!(plans(&slots, 40, 40).len() > 30, "seed 7");
    }
}
