//! What every command tells by keyspace events, of keys that are there, missing, and of another
//! type: the same as the reference server, in the same order.

use super::super::differential::Hearer;
use super::{Both, entry_of, examples, keys_of, show, words};

/// All classes, and those that `A` leaves out.
const CLASSES: &str = "EAmn";
/// A key that nobody makes.
const MISSING: &[u8] = b"missing";

/// More ways to ask than the examples have.
pub(super) const MORE: &[&str] = &[
    "bitfield none get u8 0",
    "bitfield none set u8 0 0",
    "bitfield none get u8 0 incrby u8 0 1",
    "bitfield s get u8 0",
    "getex s",
    "getex none ex 10",
    "set none v get",
    "set s v get",
    "set none v xx",
    "set s v nx",
    "set s v pxat 1",
    "getset none v",
    "append none x",
    "append s \"\"",
    "append none \"\"",
    "setrange none 0 \"\"",
    "setrange none 3 x",
    "setbit none 7 0",
    "incrbyfloat none 1",
    "msetnx s 1 none 2",
    "expire s 0",
    "expire none 10",
    "pexpireat s 1",
    "persist none",
    "del s s none",
    "touch none s none",
    "exists none none",
    "copy s h",
    "copy s h replace",
    "rename s s",
    "rename s h",
    "renamenx s h",
    "move none 1",
    "sort none",
    "sort l by none_* get none_* get h->a alpha",
    "sort none store l",
    "sort l store none alpha",
    "sort_ro none",
    "hset h a 1",
    "hsetnx h a 1",
    "hdel h a b",
    "hdel h none",
    "hincrby none f 1",
    "hincrbyfloat none f 1",
    "lpush none a b",
    "lpop l 0",
    "lpop l 100",
    "lpop none",
    "lpop none 2",
    "ltrim l 5 9",
    "ltrim l 0 -1",
    "lrem l 0 none",
    "lrem l 0 a",
    "lset l 0 a",
    "linsert l before none x",
    "linsert none before none x",
    "lmove l l left right",
    "rpoplpush l l",
    "lmove none l left right",
    "lpos none a",
    "sadd t a",
    "srem t none",
    "srem t a b 3",
    "spop t 100",
    "spop t 0",
    "spop none",
    "smove t t a",
    "smove t y2 none",
    "smove none t a",
    "sinterstore none t t",
    "sinterstore t t none",
    "sunionstore t none none",
    "sdiffstore t none t",
    "sdiff t none none",
    "sinter none t",
    "sintercard 2 none t",
    "sunion none none",
    "zadd z 1 a",
    "zadd z 7 a",
    "zadd z xx 7 none",
    "zadd none xx 7 none",
    "zadd z incr 1 a",
    "zadd z nx incr 1 a",
    "zincrby none 1 a",
    "zrem z a b c",
    "zpopmin z 100",
    "zpopmin z 0",
    "zpopmin none",
    "zmpop 2 none none2 min",
    "lmpop 2 none none2 left",
    "zremrangebyrank z 0 -1",
    "zremrangebyscore z 100 200",
    "zremrangebylex y - +",
    "zunionstore z 2 none none2",
    "zunionstore none 2 none z",
    "zinterstore z 2 z none",
    "zdiffstore z 1 none",
    "zrangestore z z 5 9",
    "zrangestore z none 0 -1",
    "zrangestore none z 0 -1",
    "zunion 2 none none2",
    "zinter 2 none z",
    "zdiff 2 none z",
    "zintercard 2 none z",
    "zdiff 2 z none",
    "pfadd none",
    "pfadd p x",
    "pfadd p new",
    "pfcount none",
    "pfcount none p none2",
    "pfmerge none",
    "pfmerge none none2 p",
    "pfmerge p none",
    "bitop and none none2 none3",
    "bitop not s none",
    "bitop or s none none2",
    "bitop or none s none2",
    "flushdb",
    "flushall",
    "swapdb 0 1",
    "blpop none none2 0.1",
    "blmove none l left right 0.1",
    "bzpopmin none none2 0.1",
    "bzmpop 0.1 2 none none2 min",
    "blmpop 0.1 2 none none2 left",
    "dump none",
    "keys none",
    "randomkey",
    "scan 0",
    "dbsize",
    "type none",
    "ttl none",
    "expiretime none",
    "object freq none",
    "object encoding none",
    "object refcount none",
    "memory usage none",
    "debug object none",
    "watch none",
    "lcs none none2",
    "mget none s none",
    "strlen none",
    "substr none 0 1",
];

/// The example, and what it becomes with other keys.
fn variants(example: &str) -> Vec<super::Words> {
    let base = words(example);
    let mut all = vec![base.clone()];
    let places = keys_of(&base);
    let others: [&[u8]; 7] = [MISSING, b"s", b"h", b"l", b"t", b"z", b"p"];
    for place in &places {
        for other in others {
            let mut request = base.clone();
            request[*place] = other.to_vec();
            all.push(request);
        }
    }
    for other in others {
        let mut request = base.clone();
        places.iter().for_each(|place| request[*place] = other.to_vec());
        all.push(request);
    }
    all.sort();
    all.dedup();
    all
}

/// What has been told since this was asked last, here and there, without where it was told.
fn told(both: &mut Both, hearer: &mut Hearer) -> (Vec<String>, Vec<String>) {
    let show = |(channel, message): (String, String)| {
        format!("{} {message}", channel.trim_start_matches("__keyevent@"))
    };
    let ours = both.fixture.told().into_iter().map(show).collect();
    both.reference.as_mut().expect("it was there").call(&[b"publish", b"end", b""]);
    let mut theirs = Vec::new();
    loop {
        match hearer.next() {
            (channel, _) if channel == "end" => return (ours, theirs),
            message => theirs.push(show(message)),
        }
    }
}

#[test]
fn every_command_tells_the_events_of_the_reference_server() {
    let mut both = Both::new();
    let Some(reference) = &mut both.reference else { return };
    let mut hearer = reference.hearer();
    both.ask(&words(&format!("config set notify-keyspace-events {CLASSES}")));
    both.fixture.be(2).run("psubscribe *");
    both.fixture.be(1);
    let (mut differences, mut compared) = (Vec::new(), 0);
    let more = MORE.iter().copied().filter(|request| entry_of(&words(request)).is_some());
    // Who listens may not go on; and elements that compare equal come in an order of each server.
    let listens = |request: &&str| request.starts_with("ssub") || request.starts_with("sunsub");
    let orders = [words("sort z by"), words("sort t by")];
    let is_unordered = |request: &super::Words| orders.iter().any(|o| request.starts_with(o));
    let all = examples().chain(more).filter(|request| !listens(request));
    for request in all.flat_map(variants).filter(|request| !is_unordered(request)) {
        both.is_set_up = false;
        both.set_up();
        both.ask(&words("select 0"));
        told(&mut both, &mut hearer);
        both.ask(&request);
        both.ask(&words("unwatch"));
        let (mut ours, theirs) = told(&mut both, &mut hearer);
        if request.ends_with(&words("pxat 1")) {
            // There, the end of a key that never was is told when somebody asks for it.
            ours.retain(|event| !event.contains("expired"));
        }
        compared += ours.len();
        if ours != theirs {
            differences.push(format!("{}\n  ours: {ours:?}\ntheirs: {theirs:?}", show(&request)));
        }
    }
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 2_000, "{compared}");
}
