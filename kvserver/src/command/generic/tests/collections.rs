//! What the commands for keys of any type do to collections: elements go where their key goes, and
//! go with it.

use crate::command::testing::Fixture;
use crate::data::Class;

const HUNDRED: usize = 100;

/// A hash of more fields than a range delete removes at once, under this key.
fn fill(fixture: &mut Fixture, key: &str) {
    for n in 0..HUNDRED {
        fixture.run(&format!("HSET {key} field:{n} {n}"));
    }
}

#[test]
fn whatever_takes_the_place_of_a_collection_takes_its_elements_away() {
    for (request, reply) in [
        ("DEL h", ":1"),
        ("UNLINK h", ":1"),
        ("SET h v", "+OK"),
        ("MSET h v", "+OK"),
        ("SET h v EX 100", "+OK"),
        ("RENAME other h", "+OK"),
        ("COPY other h REPLACE", ":1"),
        ("EXPIRE h -1", ":1"),
        ("PEXPIREAT h 1", ":1"),
        ("FLUSHDB", "+OK"),
        ("FLUSHALL", "+OK"),
    ] {
        let mut fixture = Fixture::new();
        fill(&mut fixture, "h");
        fixture.run("HSET other a 1");
        fixture.check(&[(request, reply)]);
        assert_eq!(fixture.orphans(), 0, "{request}");
        fixture.run("DEL h");
        fixture.check(&[("HSET h new 1", ":1"), ("HGETALL h", "*2 $3 new $1 1")]);
        assert_eq!(fixture.orphans(), 0, "{request}");
    }
}

#[test]
fn a_renamed_collection_keeps_elements_and_expiry() {
    let mut fixture = Fixture::new();
    fill(&mut fixture, "h");
    fill(&mut fixture, "g");
    fixture.check(&[
        ("EXPIRE h 100", ":1"),
        ("HSET h only 1", ":1"),
        ("RENAMENX h g", ":0"),
        ("RENAME h g", "+OK"),
        ("EXISTS h", ":0"),
        ("HLEN g", ":101"),
        ("TTL g", ":100"),
        ("HSET h a 1", ":1"),
        ("HLEN g", ":101"),
        ("RENAME g g", "+OK"),
        ("HLEN g", ":101"),
        ("SET s v", "+OK"),
        ("RENAME s g", "+OK"),
        ("HLEN h", ":1"),
        ("GET g", "$1 v"),
    ]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn a_copied_collection_has_elements_of_its_own() {
    let mut fixture = Fixture::new();
    fill(&mut fixture, "h");
    fixture.check(&[
        ("EXPIRE h 100", ":1"),
        ("COPY h g", ":1"),
        ("TTL g", ":100"),
        ("HSET g field:1 other", ":0"),
        ("HDEL g field:2", ":1"),
        ("HGET h field:1", "$1 1"),
        ("HLEN h", ":100"),
        ("COPY h g DB 3", ":1"),
        ("DEL h", ":1"),
        ("HLEN g", ":99"),
    ]);
    fixture.client.db = 3;
    fixture.check(&[("HLEN g", ":100"), ("MOVE g 4", ":1"), ("HLEN g", ":0")]);
    fixture.client.db = 4;
    fixture.check(&[("HLEN g", ":100"), ("TTL g", ":100")]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn swapped_databases_take_their_collections_along_also_inside_a_transaction() {
    let mut fixture = Fixture::new();
    fill(&mut fixture, "h");
    fixture.check(&[
        ("SWAPDB 0 1", "+OK"),
        ("HLEN h", ":0"),
        ("HSET h a 1", ":1"),
        ("MULTI", "+OK"),
        ("SWAPDB 0 1", "+QUEUED"),
        ("HLEN h", "+QUEUED"),
        ("HSET h b 1", "+QUEUED"),
        ("SWAPDB 1 2", "+QUEUED"),
        ("HLEN h", "+QUEUED"),
        ("SELECT 2", "+QUEUED"),
        ("HGETALL h", "+QUEUED"),
        ("EXEC", "*7 +OK :100 :1 +OK :101 +OK *2 $1 a $1 1"),
        ("HGETALL h", "*2 $1 a $1 1"),
        ("SELECT 1", "+OK"),
        ("DBSIZE", ":0"),
        ("SELECT 0", "+OK"),
        ("HLEN h", ":101"),
    ]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn an_expired_collection_goes_with_its_elements_whoever_comes_first() {
    for request in ["SET h v", "HSET h new 1", "RENAME other h", "COPY other h", "PING", "FLUSHDB"]
    {
        let mut fixture = Fixture::new();
        fill(&mut fixture, "h");
        fixture.run("HSET other a 1");
        fixture.check(&[("PEXPIRE h 10", ":1")]);
        fixture.now_ms += 10;
        fixture.check(&[("HLEN h", ":0"), ("TYPE h", "+none"), ("DEL h", ":0")]);
        fixture.run(request);
        assert_eq!(fixture.orphans(), 0, "{request}");
        let removed = fixture.expire();
        assert_eq!(removed, usize::from(request == "PING"), "{request}");
        assert_eq!(fixture.orphans(), 0, "{request}");
        assert_eq!(fixture.expire(), 0);
    }
}

#[test]
fn a_database_counts_no_key_that_the_background_has_removed() {
    let mut fixture = Fixture::new();
    for count in [1, 300] {
        for n in 0..count {
            fixture.run(&format!("SET key:{n} v PX 10"));
        }
        fixture.now_ms += 10;
        fixture.check(&[("DBSIZE", &format!(":{count}"))]);
        while fixture.expire() > 0 {}
        fixture.check(&[("DBSIZE", ":0")]);
    }
}

#[test]
fn watchers_notice_changes_of_elements_and_swapped_databases() {
    for (request, is_noticed) in [
        ("HSET h a 1", true),
        ("HSET other a 1", false),
        ("HDEL h field:1", true),
        ("HDEL h nothing", false),
        ("HINCRBY h field:1 1", true),
        ("SWAPDB 0 1", true),
        ("SWAPDB 1 2", false),
        ("RENAME h other", true),
        ("FLUSHALL", true),
    ] {
        let mut fixture = Fixture::new();
        fill(&mut fixture, "h");
        fixture.check(&[("WATCH h", "+OK"), (request, fixture_reply(request))]);
        let expected = if is_noticed { "*-1" } else { "*1 +PONG" };
        fixture.check(&[("MULTI", "+OK"), ("PING", "+QUEUED"), ("EXEC", expected)]);
    }
}

fn fixture_reply(request: &str) -> &'static str {
    match request {
        "HDEL h nothing" => ":0",
        "HINCRBY h field:1 1" => ":2",
        "SWAPDB 0 1" | "SWAPDB 1 2" | "RENAME h other" | "FLUSHALL" => "+OK",
        _ => ":1",
    }
}

#[test]
fn every_change_is_told_with_its_class_in_the_order_of_the_changes() {
    let mut fixture = Fixture::new();
    let events = fixture.events(&[
        "HSET h a 1 b 2",
        "HINCRBY h n 1",
        "HDEL h a b n nothing",
        "SET s 1 EX 10",
        "INCR s",
        "RENAME s t",
        "COPY t u",
        "PERSIST t",
        "MOVE u 1",
        "DEL t nothing",
    ]);
    let told: Vec<(Class, &str, &str)> =
        events.iter().map(|(class, name, key)| (*class, *name, key.as_str())).collect();
    assert_eq!(
        told,
        [
            (Class::Hash, "hset", "h"),
            (Class::Hash, "hincrby", "h"),
            (Class::Hash, "hdel", "h"),
            (Class::Generic, "del", "h"),
            (Class::String, "set", "s"),
            (Class::Generic, "expire", "s"),
            (Class::String, "incrby", "s"),
            (Class::Generic, "rename_from", "s"),
            (Class::Generic, "rename_to", "t"),
            (Class::Generic, "copy_to", "u"),
            (Class::Generic, "persist", "t"),
            (Class::Generic, "move_from", "u"),
            (Class::Generic, "move_to", "u"),
            (Class::Generic, "del", "t"),
        ]
    );
}
