//! What gives way under each policy, what is refused, and what is told.

use crate::command::testing::Fixture;

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

/// Sets `maxmemory` to what is in use and this much more.
fn bound(fixture: &mut Fixture, more: u64) -> u64 {
    let bound = fixture.info("used_memory") + more;
    fixture.check(&[(&format!("CONFIG SET maxmemory {bound}"), "+OK")]);
    bound
}

fn with_policy(policy: &str) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.check(&[(&format!("CONFIG SET maxmemory-policy {policy}"), "+OK")]);
    fixture
}

fn used(fixture: &mut Fixture) -> u64 {
    fixture.info("used_memory") - fixture.info("mem_not_counted_for_evict")
}

#[test]
fn without_eviction_what_may_need_memory_is_refused_and_the_rest_goes_on() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SET a 1", "+OK"), ("CONFIG SET maxmemory 1", "+OK")]);
    fixture.check(&[
        ("SET b 1", OOM),
        ("SADD s 1", OOM),
        ("INCR a", OOM),
        ("GET a", "$1 1"),
        ("DEL nosuch", ":0"),
        ("EXPIRE a 100", ":1"),
        ("GET b", "$-1"),
        ("CONFIG SET maxmemory 0", "+OK"),
        ("SET b 1", "+OK"),
    ]);
}

#[test]
fn transactions_are_refused_while_queueing_or_as_a_whole() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SET a 1", "+OK"),
        ("MULTI", "+OK"),
        ("SET b 1", "+QUEUED"),
        ("GET b", "+QUEUED"),
    ]);
    fixture.shared_config_set("maxmemory", "1");
    fixture.check(&[
        ("EXEC", &format!("-EXECABORT Transaction discarded because of: {}", &OOM[1..])),
        ("GET b", "$-1"),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("MULTI", "+OK"),
        ("GET a", OOM),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("MULTI", "+OK"),
        ("DISCARD", "+OK"),
        ("CONFIG SET maxmemory 0", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
    ]);
    fixture.shared_config_set("maxmemory", "1");
    fixture.check(&[("EXEC", "*1 $1 1")]);
}

#[test]
fn every_policy_honours_the_bound() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let mut fixture = with_policy(policy);
        let bound = bound(&mut fixture, 40_000);
        for n in 0..1_500 {
            fixture.check(&[(&format!("SETEX key:{n} {} x", 1_000 + n % 7), "+OK")]);
            fixture.now_ms += 50;
        }
        // The last command adds a key behind the check.
        let used = used(&mut fixture);
        assert!(used < bound + 200, "{policy}: {used} of {bound}");
        let evicted = fixture.info("evicted_keys");
        assert!(evicted > 500, "{policy}: {evicted}");
    }
}

#[test]
fn volatile_policies_leave_other_keys_alone_and_refuse_when_only_those_are_left() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let mut fixture = with_policy(policy);
        for n in 0..300 {
            fixture.run(&format!("SET stays:{n} x"));
        }
        bound(&mut fixture, 20_000);
        for n in 0..600 {
            fixture.check(&[(&format!("SETEX goes:{n} 1000 x"), "+OK")]);
        }
        assert!(fixture.info("evicted_keys") > 200, "{policy}");
        for n in 0..300 {
            assert_eq!(fixture.run(&format!("EXISTS stays:{n}")), ":1\r\n", "{policy}");
        }
        let mut refused = false;
        for n in 0..600 {
            refused |= fixture.run(&format!("SET more:{n} x")).starts_with("-OOM");
        }
        assert!(refused, "{policy}");
        assert_eq!(fixture.run("KEYS goes:*"), "*0\r\n", "{policy}");
    }
}

/// How many of the keys that were used are left, of 50 each used and unused.
fn survivors(fixture: &mut Fixture, use_key: impl Fn(&mut Fixture, &str)) -> (usize, usize) {
    for n in 0..50 {
        fixture.check(&[(&format!("SETEX used:{n} {} x", 5_000 + n), "+OK")]);
        fixture.check(&[(&format!("SETEX idle:{n} {} x", 50 + n), "+OK")]);
    }
    for _ in 0..30 {
        fixture.now_ms += 1_000;
        for n in 0..50 {
            use_key(fixture, &format!("used:{n}"));
        }
    }
    fixture.check(&[("CONFIG SET maxmemory-samples 10", "+OK")]);
    // Room for about half of the keys.
    let bytes = fixture.info("used_memory") - fixture.info("used_memory_startup");
    let bound = fixture.info("used_memory") - bytes * 45 / 100;
    fixture.shared_config_set("maxmemory", &bound.to_string());
    while fixture.evict_step() {}
    let count = |reply: String| reply.matches("\r\n$").count();
    (count(fixture.run("KEYS used:*")), count(fixture.run("KEYS idle:*")))
}

#[test]
fn what_is_used_lately_or_often_or_expires_late_stays() {
    let get = |fixture: &mut Fixture, key: &str| drop(fixture.run(&format!("GET {key}")));
    let touch = |fixture: &mut Fixture, key: &str| drop(fixture.run(&format!("TOUCH {key}")));
    for policy in ["allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-lfu"] {
        let (used, idle) = survivors(&mut with_policy(policy), get);
        assert!(used >= 45 && idle <= 12, "{policy}: {used} used and {idle} idle keys are left");
        let (used, idle) = survivors(&mut with_policy(policy), touch);
        assert!(used >= 45 && idle <= 12, "{policy}: {used} used and {idle} idle keys are left");
    }
    let (late, early) = survivors(&mut with_policy("volatile-ttl"), |_, _| {});
    assert!(late >= 45 && early <= 12, "{late} late and {early} early ones are left");
}

#[test]
fn an_evicted_key_is_told_and_takes_its_elements_along() {
    let mut fixture = with_policy("allkeys-random");
    let members: String = (0..500).map(|n| format!(" member:{n}")).collect();
    fixture.run(&format!("SADD set{members}"));
    fixture.run(&format!("RPUSH list{members}"));
    fixture.check(&[("WATCH set list", "+OK"), ("CONFIG SET maxmemory 1", "+OK")]);
    fixture.check(&[("SET a 1", OOM), ("DBSIZE", ":0")]);
    assert_eq!((fixture.orphans(), fixture.info("evicted_keys")), (0, 2));
    fixture.check(&[
        ("CONFIG SET maxmemory 0", "+OK"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*-1"),
    ]);
}

#[test]
fn keys_past_their_time_are_candidates_like_others() {
    let mut fixture = with_policy("volatile-ttl");
    fixture.check(&[("SADD s 1 2 3", ":3"), ("PEXPIRE s 10", ":1")]);
    fixture.now_ms += 11;
    fixture.shared_config_set("maxmemory", "1");
    fixture.check(&[("SET a 1", OOM)]);
    assert_eq!((fixture.info("evicted_keys"), fixture.orphans()), (1, 0));
}

#[test]
fn uses_are_shown_as_the_policy_remembers_them() {
    let mut fixture = with_policy("allkeys-lru");
    fixture.check(&[("SET foo bar", "+OK")]);
    fixture.now_ms += 3_000;
    fixture.check(&[
        ("TTL foo", ":-1"),
        ("TYPE foo", "+string"),
        ("EXISTS foo", ":1"),
        ("OBJECT ENCODING foo", "$6 embstr"),
        ("MEMORY USAGE foo", ":55"),
        ("OBJECT IDLETIME foo", ":3"),
        ("CLIENT NO-TOUCH on", "+OK"),
        ("GET foo", "$3 bar"),
        ("OBJECT IDLETIME foo", ":3"),
        ("TOUCH foo nosuch", ":1"),
        ("OBJECT IDLETIME foo", ":0"),
    ]);
    fixture.now_ms += 2_000;
    fixture.check(&[
        ("CLIENT NO-TOUCH off", "+OK"),
        ("OBJECT IDLETIME foo", ":2"),
        ("GET foo", "$3 bar"),
        ("OBJECT IDLETIME foo", ":0"),
        ("OBJECT IDLETIME nosuch", "$-1"),
        ("OBJECT FREQ nosuch", "$-1"),
        ("SET n 5", "+OK"),
        ("OBJECT REFCOUNT n", ":2147483647"),
        ("CONFIG SET maxmemory 1gb", "+OK"),
        ("OBJECT REFCOUNT n", ":1"),
        ("CONFIG SET maxmemory 0 maxmemory-policy allkeys-lfu", "+OK"),
        ("SET new a", "+OK"),
        ("OBJECT FREQ new", ":5"),
        ("GET new", "$1 a"),
        ("OBJECT FREQ new", ":6"),
    ]);
    let error = fixture.run("OBJECT IDLETIME foo");
    assert!(error.starts_with("-ERR An LFU maxmemory policy is selected, idle time"), "{error}");
    fixture.check(&[("CONFIG SET maxmemory-policy noeviction", "+OK")]);
    let error = fixture.run("OBJECT FREQ foo");
    assert!(error.starts_with("-ERR An LFU maxmemory policy is not selected, access"), "{error}");
}

#[test]
fn without_a_policy_idle_time_counts_from_the_last_write_or_touch() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SET foo bar", "+OK")]);
    for _ in 0..30 {
        fixture.now_ms += 100;
        fixture.check(&[("GET foo", "$3 bar")]);
    }
    fixture.check(&[("OBJECT IDLETIME foo", ":2"), ("TOUCH foo", ":1")]);
    fixture.check(&[("OBJECT IDLETIME foo", ":0")]);
    fixture.now_ms += 5_000;
    fixture.check(&[("OBJECT IDLETIME foo", ":5"), ("SET foo baz", "+OK")]);
    fixture.check(&[("OBJECT IDLETIME foo", ":0")]);
}

#[test]
fn reading_a_collection_that_is_remembered_is_a_use_of_its_key() {
    let mut fixture = with_policy("allkeys-lru");
    fixture.check(&[("HSET h a 1", ":1"), ("HGET h a", "$1 1"), ("HGET h a", "$1 1")]);
    fixture.now_ms += 100_000;
    fixture.check(&[("OBJECT IDLETIME h", ":100"), ("HGET h a", "$1 1")]);
    fixture.check(&[("OBJECT IDLETIME h", ":0")]);
}
