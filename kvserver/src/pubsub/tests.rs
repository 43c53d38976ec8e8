//! The directory and the rosters, without sockets.

use super::*;

fn seat(worker: usize, slot: usize) -> Seat {
    Seat { worker, slot, client: u64::try_from(worker * 100 + slot).unwrap() }
}

/// The slots of a worker that hear what `outgoing` carries, and the words they are told.
fn heard(pubsub: &PubSub, outgoing: &Outgoing, worker: usize) -> Vec<(usize, String)> {
    let Letter::Message(message) = outgoing.letter();
    let mut heard = Vec::new();
    pubsub.hand_out(worker, message, |slot, _, frame| {
        let text = String::from_utf8_lossy(frame.rest()).into_owned();
        heard.push((slot, text.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ")));
    });
    heard
}

#[test]
fn b1_a_subscription_hears_what_is_published_after_it() {
    let pubsub = PubSub::new(2);
    let (mut early, mut late) = (Subscriptions::default(), Subscriptions::default());
    pubsub.subscribe(seat(0, 3), &mut early, Kind::Channel, b"news");
    let outgoing = pubsub.publish(Kind::Channel, b"news", b"1").unwrap();
    // It comes before the message is handed out, and still must not hear it.
    pubsub.subscribe(seat(0, 1), &mut late, Kind::Channel, b"news");
    pubsub.subscribe(seat(0, 1), &mut late, Kind::Pattern, b"n*");
    assert_eq!(heard(&pubsub, &outgoing, 0), [(3, "message news 1".to_owned())]);
    let outgoing = pubsub.publish(Kind::Channel, b"news", b"2").unwrap();
    assert_eq!(outgoing.receivers(), 3);
    let expected = [(1, "message news 2"), (3, "message news 2"), (1, "pmessage n* news 2")];
    assert_eq!(heard(&pubsub, &outgoing, 0), expected.map(|(slot, text)| (slot, text.to_owned())));
    assert_eq!(heard(&pubsub, &outgoing, 1), []);
}

#[test]
fn b2_who_has_unsubscribed_hears_nothing_that_is_still_on_its_way() {
    let pubsub = PubSub::new(1);
    let mut mine = Subscriptions::default();
    pubsub.subscribe(seat(0, 0), &mut mine, Kind::Channel, b"a");
    let outgoing = pubsub.publish(Kind::Channel, b"a", b"x").unwrap();
    assert!(pubsub.unsubscribe(seat(0, 0), &mut mine, Kind::Channel, b"a"));
    assert!(!pubsub.unsubscribe(seat(0, 0), &mut mine, Kind::Channel, b"a"));
    assert_eq!(heard(&pubsub, &outgoing, 0), []);
}

#[test]
fn b4_what_nobody_hears_goes_nowhere() {
    let pubsub = PubSub::new(1);
    assert!(pubsub.publish(Kind::Channel, b"a", b"x").is_none());
    let mut mine = Subscriptions::default();
    pubsub.subscribe(seat(0, 0), &mut mine, Kind::Shard, b"a");
    pubsub.subscribe(seat(0, 0), &mut mine, Kind::Pattern, b"b*");
    assert!(pubsub.publish(Kind::Channel, b"a", b"x").is_none());
    assert!(pubsub.publish(Kind::Shard, b"b", b"x").is_none(), "patterns hear no shard channels");
    assert_eq!(pubsub.publish(Kind::Shard, b"a", b"x").unwrap().receivers(), 1);
    pubsub.forget(seat(0, 0), &mut mine);
    assert!(pubsub.is_empty() && mine.is_empty());
    assert_eq!((pubsub.clients(), pubsub.names(Kind::Pattern)), (0, 0));
}

#[test]
fn subscriptions_of_a_request_that_is_taken_back_are_as_before() {
    let pubsub = PubSub::new(1);
    let mut mine = Subscriptions::default();
    for name in [b"a", b"b"] {
        pubsub.subscribe(seat(0, 0), &mut mine, Kind::Channel, name);
    }
    mine.keep();
    pubsub.unsubscribe(seat(0, 0), &mut mine, Kind::Channel, b"a");
    pubsub.subscribe(seat(0, 0), &mut mine, Kind::Channel, b"c");
    pubsub.unsubscribe(seat(0, 0), &mut mine, Kind::Channel, b"c");
    pubsub.subscribe(seat(0, 0), &mut mine, Kind::Pattern, b"d");
    pubsub.take_back(seat(0, 0), &mut mine);
    let names: Vec<Vec<u8>> = mine.names(Kind::Channel).iter().map(|name| name.to_vec()).collect();
    assert_eq!(names, [b"a", b"b"]);
    assert_eq!(mine.len(Kind::Pattern), 0);
    assert_eq!(pubsub.matching(Kind::Channel, None).len(), 2);
}

#[test]
fn random_subscriptions_and_ends_leave_directory_and_rosters_in_step() {
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let pubsub = PubSub::new(3);
        let seats: Vec<Seat> = (0..6).map(|n| seat(n % 3, n / 3)).collect();
        let mut all: Vec<Subscriptions> = seats.iter().map(|_| Subscriptions::default()).collect();
        for _ in 0..200 {
            let at = rng.usize(..seats.len());
            let (kind, name) = (Kind::ALL[rng.usize(..3)], [b'a' + rng.u8(..4)]);
            match rng.u8(..10) {
                0 => pubsub.forget(seats[at], &mut all[at]),
                1..4 => drop(pubsub.unsubscribe(seats[at], &mut all[at], kind, &name)),
                _ => pubsub.subscribe(seats[at], &mut all[at], kind, &name),
            }
            let name = [b'a' + rng.u8(..4)];
            let wanted: usize = Kind::ALL[..2]
                .iter()
                .map(|kind| all.iter().filter(|mine| mine.contains(*kind, &name)).count())
                .sum();
            let outgoing = pubsub.publish(Kind::Channel, &name, b"x");
            assert_eq!(outgoing.as_ref().map_or(0, Outgoing::receivers), wanted, "seed {seed}");
            let got: usize =
                outgoing.iter().flat_map(|o| (0..3).map(|w| heard(&pubsub, o, w).len())).sum();
            assert_eq!(got, wanted, "seed {seed}");
        }
        let subscribed = all.iter().filter(|mine| !mine.is_empty()).count();
        assert_eq!(pubsub.clients(), subscribed, "seed {seed}");
    }
}
