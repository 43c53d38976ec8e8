//! Channels, and clients that wait.

use std::time::Duration;

use redis::{Commands, Msg, PubSub};

use super::{client, in_both};

fn next(listener: &mut PubSub<'_>) -> (String, String) {
    let message: Msg = listener.get_message().unwrap();
    (message.get_channel_name().to_owned(), message.get_payload().unwrap())
}

#[test]
fn messages_reach_subscribers_of_channels_and_patterns() {
    in_both(|server, con| {
        let mut other = client(server, "resp2").get_connection().unwrap();
        let mut listener = con.as_pubsub();
        listener.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        listener.subscribe("news").unwrap();
        listener.psubscribe("ev*").unwrap();
        assert_eq!(other.publish::<_, _, usize>("news", "hello").unwrap(), 1);
        assert_eq!(other.publish::<_, _, usize>("event", "x").unwrap(), 1);
        assert_eq!(other.publish::<_, _, usize>("nobody", "x").unwrap(), 0);
        assert_eq!(next(&mut listener), ("news".to_owned(), "hello".to_owned()));
        assert_eq!(next(&mut listener), ("event".to_owned(), "x".to_owned()));
        listener.unsubscribe("news").unwrap();
        assert_eq!(other.publish::<_, _, usize>("news", "gone").unwrap(), 0);
    });
}

#[test]
fn a_waiting_client_gets_what_another_one_pushes() {
    in_both(|server, con| {
        let mut other = client(server, "resp2").get_connection().unwrap();
        std::thread::scope(|scope| {
            let popped = scope.spawn(|| con.blpop::<_, (String, String)>("jobs", 20.0).unwrap());
            // It need not wait already: what is pushed before it comes is popped, too.
            assert_eq!(other.rpush::<_, _, usize>("jobs", "first").unwrap(), 1);
            assert_eq!(popped.join().unwrap(), ("jobs".to_owned(), "first".to_owned()));
        });
        let nothing: Option<(String, String)> = con.blpop("jobs", 0.01).unwrap();
        assert_eq!(nothing, None);
    });
}
