//! Is a history of transactions serializable? Every value is a list, every write appends a number
//! that is written once, so a read shows the order of all writes before it.
//!
//! From that follow the edges of the dependency graph: who wrote before whom (ww), who read whose
//! write (wr), and whose read a write made old (rw). A history is serializable if no read is
//! impossible and no cycle is found.

use std::collections::{BTreeMap, HashMap, HashSet};

/// What one committed transaction did, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The list a key had; of an absent key the empty one.
    Read(u64, Vec<u64>),
    Append(u64, u64),
}

/// What is wrong with a history.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Anomaly {
    /// A read that no order of the committed writes explains.
    Impossible(String),
    /// Transactions that each must come before the next, round and round.
    Cycle(Vec<usize>),
}

/// Looks for an anomaly. `last` is what every key held in the end.
pub(super) fn check(
    history: &[Committed],
    last: &BTreeMap<u64, Vec<u64>>,
) -> Result<usize, Anomaly> {
    let mut writer: HashMap<u64, usize> = HashMap::new();
    for (tx, committed) in history.iter().enumerate() {
        for step in &committed.steps {
            if let Step::Append(_, n) = step {
                writer.insert(*n, tx);
            }
        }
    }
    let mut edges: Vec<HashSet<usize>> = vec![HashSet::new(); history.len()];
    let mut count = 0;
    let mut add = |from: usize, to: usize| {
        if from != to && edges[from].insert(to) {
            count += 1;
        }
    };
    let impossible = |text: String| Err(Anomaly::Impossible(text));
    for (key, list) in last {
        for n in list {
            if !writer.contains_key(n) {
                return impossible(format!("{n} of key {key} was written by nobody who committed"));
            }
        }
        for pair in list.windows(2) {
            add(writer[&pair[0]], writer[&pair[1]]);
        }
    }
    let none = Vec::new();
    for (tx, committed) in history.iter().enumerate() {
        let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
        for step in &committed.steps {
            match step {
                Step::Append(key, n) => own.entry(*key).or_default().push(*n),
                Step::Read(key, list) => {
                    let own = own.get(key).unwrap_or(&none);
                    let Some(others) = list.strip_suffix(own.as_slice()) else {
                        return impossible(format!("{tx} does not see its own writes of {key}"));
                    };
                    let all = last.get(key).unwrap_or(&none);
                    if !all.starts_with(others) {
                        return impossible(format!("{tx} read {others:?} of {key}, not {all:?}"));
                    }
                    if let Some(n) = others.last() {
                        add(writer[n], tx);
                    }
                    if let Some(n) = all.get(others.len()) {
                        add(tx, writer[n]);
                    }
                }
            }
        }
    }
    match cycle(&edges) {
        Some(cycle) => Err(Anomaly::Cycle(cycle)),
        None => Ok(count),
    }
}

/// A strongly connected part of more than one node, by Tarjan's algorithm without recursion.
fn cycle(edges: &[HashSet<usize>]) -> Option<Vec<usize>> {
    let edges: Vec<Vec<usize>> = edges.iter().map(|to| to.iter().copied().collect()).collect();
    let nodes = edges.len();
    let (mut number, mut low) = (vec![usize::MAX; nodes], vec![0; nodes]);
    let (mut on_stack, mut stack, mut next) = (vec![false; nodes], Vec::new(), 0);
    for root in 0..nodes {
        if number[root] != usize::MAX {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((node, at)) = path.pop() {
            if at == 0 {
                (number[node], low[node]) = (next, next);
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some(&to) = edges[node].get(at) {
                path.push((node, at + 1));
                if number[to] == usize::MAX {
                    path.push((to, 0));
                } else if on_stack[to] {
                    low[node] = low[node].min(number[to]);
                }
                continue;
            }
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == number[node] {
                let start = stack.iter().rposition(|n| *n == node).unwrap();
                let part = stack.split_off(start);
                part.iter().for_each(|n| on_stack[*n] = false);
                if part.len() > 1 {
                    return Some(part);
                }
            }
        }
    }
    None
}

fn history(transactions: &[&[Step]]) -> Vec<Committed> {
    transactions.iter().map(|steps| Committed { steps: steps.to_vec() }).collect()
}

#[test]
fn the_checker_accepts_what_is_serial() {
    use Step::{Append, Read};
    let serial = history(&[
        &[Read(1, vec![]), Append(1, 10), Read(1, vec![10])],
        &[Read(1, vec![10]), Append(2, 20)],
        &[Read(2, vec![20]), Append(1, 11)],
    ]);
    let last = BTreeMap::from([(1, vec![10, 11]), (2, vec![20])]);
    assert_eq!(check(&serial, &last), Ok(3));
}

#[test]
fn the_checker_finds_planted_anomalies() {
    use Step::{Append, Read};
    let write_skew = history(&[
        &[Read(1, vec![]), Read(2, vec![]), Append(1, 10)],
        &[Read(1, vec![]), Read(2, vec![]), Append(2, 20)],
    ]);
    let last = BTreeMap::from([(1, vec![10]), (2, vec![20])]);
    assert!(matches!(check(&write_skew, &last), Err(Anomaly::Cycle(c)) if c.len() == 2));

    let lost_update =
        history(&[&[Read(1, vec![]), Append(1, 10)], &[Read(1, vec![]), Append(1, 11)]]);
    let last = BTreeMap::from([(1, vec![10, 11])]);
    assert!(matches!(check(&lost_update, &last), Err(Anomaly::Cycle(_))));

    let half_seen =
        history(&[&[Append(1, 10), Append(2, 20)], &[Read(1, vec![10]), Read(2, vec![])]]);
    let last = BTreeMap::from([(1, vec![10]), (2, vec![20])]);
    assert!(matches!(check(&half_seen, &last), Err(Anomaly::Cycle(_))));

    let in_a_ring = history(&[
        &[Read(1, vec![]), Append(2, 20)],
        &[Read(2, vec![]), Append(3, 30)],
        &[Read(3, vec![]), Append(1, 10)],
        &[Read(1, vec![10])],
    ]);
    let last = BTreeMap::from([(1, vec![10]), (2, vec![20]), (3, vec![30])]);
    assert!(matches!(check(&in_a_ring, &last), Err(Anomaly::Cycle(c)) if c.len() == 3));

    let dirty_read = history(&[&[Read(1, vec![99])]]);
    assert!(matches!(check(&dirty_read, &BTreeMap::new()), Err(Anomaly::Impossible(_))));
    let aborted_write_stayed = BTreeMap::from([(1, vec![99])]);
    assert!(matches!(check(&[], &aborted_write_stayed), Err(Anomaly::Impossible(_))));
    let own_write_unseen = history(&[&[Append(1, 10), Read(1, vec![])]]);
    let last = BTreeMap::from([(1, vec![10])]);
    assert!(matches!(check(&own_write_unseen, &last), Err(Anomaly::Impossible(_))));
}
