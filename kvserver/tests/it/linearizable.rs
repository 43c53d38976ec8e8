//! Commands, transactions and clients that wait are linearizable, with kills (-9) in between.
//!
//! Sixteen connections run random commands against a few objects that they share: a register, a
//! counter and two lists each. What each was told, and when, must be explained by one order of all
//! commands in which each takes effect between its request and its reply:
//!
//! N1. A command whose reply has come has taken effect, once, and a kill does not undo it.
//! N2. A command in flight at a kill has taken effect before it, as a whole, or never.
//! N3. A MULTI is one command; one with WATCH that succeeds has seen what it replaced.
//! N4. A command that waits and is served has popped what it got when it got it.
//!
//! The history in `cargo test` is a short one; `KVSERVER_LINEARIZABLE_KILLS=200` makes a long one:
//!
//! ```text
//! KVSERVER_LINEARIZABLE_KILLS=200 cargo test --release -p kvserver --test it linearizable
//! ```

mod checker;
mod client;
mod model;

use std::path::Path;
use std::sync::mpsc::channel;

use self::checker::{History, check};
use self::client::{Recorder, run, say};
use self::model::{Action, Step};
use crate::spawned::Spawned;

const CLIENTS: usize = 16;
const OBJECTS: usize = 4;
/// Replies between two kills, at least.
const REPLIES_MIN: usize = 400;

/// Lets all clients run until a kill; gives what they have recorded.
fn live_and_die(dir: &Path, rng: &mut fastrand::Rng, recorder: &Recorder, appendfsync: &str) {
    let mut server = Spawned::new(
        &dir.join("store"),
        &dir.join("log"),
        &["--appendfsync", appendfsync, "--threads", "4"],
    );
    let addr = server.ready();
    let (replied, replies) = channel();
    let wanted = REPLIES_MIN + rng.usize(..REPLIES_MIN);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (replied, seed) = (replied.clone(), rng.u64(..));
            scope.spawn(move || run(addr, seed, OBJECTS, recorder, &replied));
        }
        drop(replied);
        // Fewer, if they all break: then what they recorded tells why.
        let seen = replies.iter().take(wanted).count();
        server.kill();
        assert_eq!(seen, wanted, "{}", server.log());
    });
    recorder.crash();
}

/// What is there at the end, as one more client sees it.
fn look(dir: &Path, recorder: &Recorder) {
    let mut server = Spawned::new(&dir.join("store"), &dir.join("log"), &[]);
    let mut conn = crate::kill::Conn::new(server.ready()).unwrap();
    for object in 0..OBJECTS {
        for step in [Step::Get, Step::Add(0), Step::Range(0), Step::Range(1)] {
            say(&mut conn, object, Action::One(step), recorder).unwrap();
        }
    }
    server.terminate();
}

fn campaign(appendfsync: &str) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("KVSERVER_LINEARIZABLE_KILLS").unwrap_or(3);
    let seed = number("KVSERVER_LINEARIZABLE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, appendfsync {appendfsync}, KVSERVER_LINEARIZABLE_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut dir = tempfile::TempDir::new().unwrap();
    let recorder = Recorder::default();
    for _ in 0..kills {
        live_and_die(dir.path(), &mut rng, &recorder, appendfsync);
    }
    look(dir.path(), &recorder);
    let history = recorder.into_history();
    println!("{} commands", history.len());
    for object in 0..OBJECTS {
        if let Err(why) = check(&history.of(object)) {
            dir.disable_cleanup(true);
            panic!("object {object}, kept in {}: {why}", dir.path().display());
        }
    }
    let waited = history.served();
    assert!(waited > 0, "no client was served after it had waited");
}

#[test]
fn histories_of_sixteen_clients_with_kills_are_linearizable_with_everysec() {
    campaign("everysec");
}

#[test]
fn histories_of_sixteen_clients_with_kills_are_linearizable_with_always() {
    campaign("always");
}

#[test]
fn the_checker_refuses_what_no_order_explains() {
    use crate::kill::Reply;
    let ok = || Some(Reply::Simple("OK".to_owned()));
    let bulk = |n: u64| Some(Reply::Bulk(Some(n.to_string().into_bytes())));
    let build = |events: &[(Step, Option<Reply>, [usize; 2])], crash: Option<usize>| {
        History::made_of(events, crash)
    };
    // A read that comes after a write sees it.
    let set = (Step::Set(1), ok(), [0, 1]);
    let stale = (Step::Get, Some(Reply::Bulk(None)), [2, 3]);
    assert!(check(&build(&[set.clone(), stale.clone()], None)).is_err());
    // One that runs beside it may see it or not, but not first so and then not.
    let beside = |reply, at| (Step::Get, reply, at);
    let long = (Step::Set(1), ok(), [0, 9]);
    let none = Some(Reply::Bulk(None));
    let fine = [long.clone(), beside(none.clone(), [1, 2]), beside(bulk(1), [3, 4])];
    assert!(check(&build(&fine, None)).is_ok());
    let back = [long, beside(bulk(1), [1, 2]), beside(none.clone(), [3, 4])];
    assert!(check(&build(&back, None)).is_err());
    // An element goes to one client.
    let push = (Step::Push(0, model::End::Right, 5), Some(Reply::Int(1)), [0, 1]);
    let pop = |at| (Step::Pop(0, model::End::Left), bulk(5), at);
    assert!(check(&build(&[push.clone(), pop([2, 5])], None)).is_ok());
    assert!(check(&build(&[push.clone(), pop([2, 5]), pop([3, 6])], None)).is_err());
    // What was acknowledged survives a crash; what was in flight may, or may not, but not later.
    let lost = (Step::Set(1), None, [0, 1]);
    assert!(check(&build(&[lost.clone(), beside(none.clone(), [4, 5])], Some(3))).is_ok());
    assert!(check(&build(&[lost.clone(), beside(bulk(1), [4, 5])], Some(3))).is_ok());
    let late = [lost, beside(none, [4, 5]), beside(bulk(1), [6, 7])];
    assert!(check(&build(&late, Some(3))).is_err());
    assert!(check(&build(&[set, stale.clone()], Some(2))).is_err());
}
