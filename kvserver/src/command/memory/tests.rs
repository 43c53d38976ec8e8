//! Dialogues with MEMORY.

use crate::command::testing::Fixture;
use crate::resp::Protocol;

fn usage(fixture: &mut Fixture, request: &str) -> u64 {
    let reply = fixture.run(request);
    let number = reply.strip_prefix(':').and_then(|reply| reply.strip_suffix("\r\n"));
    number.unwrap_or_else(|| panic!("{request}: {reply}")).parse().unwrap()
}

#[test]
fn usage_counts_keys_and_elements_and_not_values() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("MEMORY USAGE nosuch", "$-1"),
        ("MEMORY USAGE a SAMPLES", "-ERR syntax error"),
        ("MEMORY USAGE a SAMPLES -1", "-ERR syntax error"),
        ("MEMORY USAGE a WHAT 1", "-ERR syntax error"),
        ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
        ("SET a 1", "+OK"),
        ("APPEND a 234567890", ":10"),
        ("HSET h field value", ":1"),
    ]);
    let string = usage(&mut fixture, "MEMORY USAGE a");
    assert!((30..100).contains(&string), "{string}");
    fixture.check(&[("SETRANGE a 100000 x", ":100001"), ("EXPIRE a 100", ":1")]);
    let expiring = usage(&mut fixture, "MEMORY USAGE a");
    assert!((string + 1..string + 100).contains(&expiring), "{expiring}");
    let one = usage(&mut fixture, "MEMORY USAGE h");
    for n in 0..100 {
        fixture.run(&format!("HSET h field:{n} value"));
    }
    for samples in ["", " SAMPLES 1", " SAMPLES 0", " SAMPLES 1000"] {
        let all = usage(&mut fixture, &format!("MEMORY USAGE h{samples}"));
        assert!((50 * one..110 * one).contains(&all), "{samples}: {one} and {all}");
    }
}

#[test]
fn figures_add_up_to_what_info_says() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SET a 1", "+OK"), ("SADD s 1 2 3", ":3")]);
    let used = fixture.info("used_memory");
    let stats = fixture.run("MEMORY STATS");
    assert!(stats.contains(&format!("total.allocated\r\n:{used}\r\n")), "{stats}");
    assert!(stats.contains("keys.count\r\n:2\r\n") && stats.contains("db.0\r\n*4\r\n"), "{stats}");
    let count: usize = stats.split("\r\n").next().unwrap()[1..].parse().unwrap();
    assert_eq!(count % 2, 0, "names and figures");
    fixture.client.protocol = Protocol::Resp3;
    assert!(fixture.run("MEMORY STATS").starts_with(&format!("%{}\r\n", count / 2)));
    fixture.client.protocol = Protocol::Resp2;
    let before = fixture.info("used_memory");
    let members: String = (0..300).map(|n| format!(" m{n}")).collect();
    fixture.run(&format!("SADD s{members}"));
    assert!(fixture.info("used_memory") > before + 300 * 60);
    fixture.check(&[("DEL s", ":1")]);
    let (used, leaving) = (fixture.info("used_memory"), fixture.info("mem_not_counted_for_evict"));
    assert!(used - leaving < before, "what is being freed is told apart");
    assert_eq!(fixture.info("lazyfree_pending_objects"), 303);
}

#[test]
fn the_other_subcommands_answer() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("MEMORY PURGE", "+OK"),
        ("MEMORY MALLOC-STATS", "$45 Stats not supported for the current allocator"),
        ("MEMORY WHAT", "-ERR unknown subcommand 'WHAT'. Try MEMORY HELP."),
    ]);
    assert!(fixture.run("MEMORY DOCTOR").contains("nothing to find"));
    assert!(fixture.run("MEMORY HELP").starts_with("*13\r\n"));
}
