//! Members that are drawn before they are asked for are drawn as if they were not.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::testing::Fixture;

/// The bulk string that a reply is.
fn bulk(reply: &str) -> Option<String> {
    reply.starts_with('$').then(|| reply.lines().nth(1).map(str::to_owned))?
}

fn members(from: usize, to: usize) -> String {
    (from..to).map(|n| format!(" m{n}")).collect()
}

#[test]
fn what_is_popped_was_in_the_set_and_is_gone_whatever_else_happens() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut fixture = Fixture::new();
    let mut model: BTreeSet<String> = BTreeSet::new();
    for _ in 0..8_000 {
        let member = format!("m{}", rng.u16(..400));
        match rng.u16(..400) {
            0..=29 => {
                fixture.run(&format!("SADD s {member}"));
                model.insert(member);
            }
            30..=59 => {
                fixture.run(&format!("SREM s {member}"));
                model.remove(&member);
            }
            60..=62 => {
                fixture.run(&format!("SADD s{}", members(0, 400)));
                model = (0..400).map(|n| format!("m{n}")).collect();
            }
            63 => {
                fixture.run("DEL s");
                model.clear();
            }
            64..=66 => {
                fixture.run("RENAME s t");
                fixture.run("RENAME t s");
            }
            67..=99 => {
                fixture.run("MULTI");
                fixture.run("SPOP s");
                fixture.run(&format!("SADD s {member}"));
                fixture.run("SPOP s");
                let reply = fixture.run("EXEC");
                let popped: Vec<&str> =
                    reply.split("\r\n").filter(|line| line.starts_with('m')).collect();
                if let Some((last, first)) = popped.split_last() {
                    first.iter().for_each(|popped| assert!(model.remove(*popped), "{reply}"));
                    model.insert(member);
                    assert!(model.remove(*last), "{reply}");
                }
            }
            _ => {
                let popped = bulk(&fixture.run("SPOP s"));
                assert_eq!(popped.is_none(), model.is_empty());
                assert!(popped.is_none_or(|popped| model.remove(&popped)));
            }
        }
        assert_eq!(fixture.run("SCARD s"), format!(":{}\r\n", model.len()));
    }
    assert_eq!(super::tests::words(&fixture.run("SMEMBERS s")), model);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn every_member_is_popped_as_often_as_any_other_also_one_that_comes_in_between() {
    const ROUNDS: u32 = 250;
    let mut fixture = Fixture::new();
    let mut popped: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..ROUNDS {
        fixture.run(&format!("SADD s{}", members(0, 160)));
        for taken in 0..60 {
            if taken == 20 {
                fixture.run("SADD s late");
            }
            let member = bulk(&fixture.run("SPOP s")).expect("there are more");
            *popped.entry(member).or_default() += 1;
        }
        fixture.run("DEL s");
    }
    // Of so many rounds; the bounds are more than six standard deviations away.
    let late = popped.remove("late").unwrap_or_default();
    assert!((20..130).contains(&late), "40 of 141 places are taken later: {late}");
    assert_eq!(popped.len(), 160);
    let (least, most) = (popped.values().min(), popped.values().max());
    assert!(least >= Some(&45) && most <= Some(&145), "about 93 each: {least:?} to {most:?}");
}
