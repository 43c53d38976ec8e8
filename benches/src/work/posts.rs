//! A social feed: profiles, and the newest posts by prefix.

use std::time::Instant;

use super::{Work, read::read};
use crate::{
    Result,
    engine::{Engine, Reader},
    key::POST_SLOTS,
    measure::{Done, Job, Sample, Timed},
    plan::Plan,
};

/// Entries loaded per user: a profile and 50 posts.
const LOADED_SLOTS: u32 = 51;
/// Posts read after a profile.
const NEWEST: usize = 20;

/// The index of the pair that is loaded at this place.
pub(super) fn index_at(place: u32) -> u32 {
    place / LOADED_SLOTS * POST_SLOTS + place % LOADED_SLOTS
}

/// Four times in five a profile and its newest posts, else a new post.
pub(super) fn posts<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let users = (plan.keys / LOADED_SLOTS).max(1);
    let job = Job { work: Work::Fjall5, threads: 1, timed: Timed::Sometimes };
    job.run(|_, latencies| {
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let mut slots = vec![LOADED_SLOTS; usize::try_from(users)?];
        let mut buffer = Vec::new();
        let mut done = Done::default();
        let start = Instant::now();
        while done.ops < u64::from(plan.keys) && start.elapsed() < plan.time_max() {
            let user = rng.u32(..users);
            latencies.time(|| {
                if rng.u32(..100) < 80 {
                    return show(&engine.reader()?, plan, user);
                }
                let slot = &mut slots[usize::try_from(user)?];
                // A user with all posts there is room for edits the last one.
                *slot = (*slot + 1).min(POST_SLOTS);
                let index = user * POST_SLOTS + *slot - 1;
                let (key, value) = (plan.data.key(index), plan.data.value(index, 0, &mut buffer));
                done.written_bytes += (key.len() + value.len()) as u64;
                engine.put(&key, value)
            })?;
            done.ops += 1;
        }
        Ok(done)
    })
}

fn show(reader: &impl Reader, plan: &Plan, user: u32) -> Result<()> {
    let profile = user * POST_SLOTS;
    read(reader, plan, profile)?;
    let front = plan.data.key(profile);
    let (front, _) = front.split_at(size_of::<u64>());
    let newest = plan.data.key(profile + POST_SLOTS - 1);
    let seen = reader.scan(Some(&newest), NEWEST, |key, value| {
        if !key.starts_with(front) {
            return Err("a post of another user".into());
        }
        plan.data.check_pair(key, value)
    })?;
    if seen == NEWEST { Ok(()) } else { Err(format!("user {user} has {seen} posts").into()) }
}
