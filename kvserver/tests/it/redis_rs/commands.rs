//! One value at a time, by the client's typed commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::{
    Commands, Direction, ExistenceCheck, Expiry, LposOptions, SetExpiry, SetOptions, Value,
};

use super::in_both;

#[test]
fn strings_and_counters_come_back_as_the_types_asked_for() {
    in_both(|_, con| {
        let (): () = con.set("text", "hello").unwrap();
        let (): () = con.append("text", " world").unwrap();
        assert_eq!(con.get::<_, String>("text").unwrap(), "hello world");
        assert_eq!(con.getrange::<_, String>("text", 0, 4).unwrap(), "hello");
        assert_eq!(con.strlen::<_, usize>("text").unwrap(), 11);
        assert_eq!(con.get::<_, Option<String>>("none").unwrap(), None);
        assert_eq!(con.incr::<_, _, i64>("count", 41).unwrap(), 41);
        assert_eq!(con.incr::<_, _, i64>("count", 1).unwrap(), 42);
        assert_eq!(con.decr::<_, _, i64>("count", 2).unwrap(), 40);
        let sum: f64 = con.incr("count", 0.5).unwrap();
        assert!((sum - 40.5).abs() < f64::EPSILON);
        let bytes: Vec<u8> = (0..=255).collect();
        let (): () = con.set("bytes", &bytes).unwrap();
        assert_eq!(con.get::<_, Vec<u8>>("bytes").unwrap(), bytes);
        let (): () = con.mset(&[("a", 1), ("b", 2)]).unwrap();
        let many: (i64, Option<i64>, i64) = con.mget(&["a", "none", "b"]).unwrap();
        assert_eq!(many, (1, None, 2));
        assert!(!con.mset_nx::<_, _, bool>(&[("b", 3), ("c", 4)]).unwrap());
        assert_eq!(con.getset::<_, _, i64>("a", 7).unwrap(), 1);
        assert_eq!(con.get_del::<_, i64>("a").unwrap(), 7);
        let wrong = con.lpush::<_, _, i64>("b", 1).unwrap_err();
        assert_eq!(wrong.code(), Some("WRONGTYPE"));
    });
}

#[test]
fn options_and_expiry_say_what_they_do() {
    in_both(|_, con| {
        let once = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EX(100));
        assert!(con.set_options::<_, _, bool>("key", "one", once.clone()).unwrap());
        assert!(!con.set_options::<_, _, bool>("key", "two", once).unwrap());
        assert_eq!(con.get::<_, String>("key").unwrap(), "one");
        assert!((90..=100).contains(&con.ttl::<_, i64>("key").unwrap()));
        assert!(con.persist::<_, bool>("key").unwrap());
        assert_eq!(con.ttl::<_, i64>("key").unwrap(), -1);
        assert_eq!(con.ttl::<_, i64>("none").unwrap(), -2);
        assert_eq!(con.get_ex::<_, String>("key", Expiry::EX(50)).unwrap(), "one");
        assert!(con.pexpire_time::<_, i64>("key").unwrap() > 1_700_000_000_000);
        assert!(con.expire::<_, bool>("key", -1).unwrap());
        assert!(!con.exists::<_, bool>("key").unwrap());
    });
}

#[test]
fn keys_are_listed_scanned_renamed_and_removed() {
    in_both(|_, con| {
        let wanted: BTreeSet<String> = (0..500).map(|n| format!("key:{n}")).collect();
        for key in &wanted {
            let (): () = con.set(key, 1).unwrap();
        }
        let scanned: BTreeSet<String> =
            con.scan_match("key:*").unwrap().map(|key| key.unwrap()).collect();
        assert_eq!(scanned, wanted);
        assert_eq!(con.keys::<_, BTreeSet<String>>("key:*").unwrap(), wanted);
        assert!(con.rename_nx::<_, _, bool>("key:0", "other").unwrap());
        assert_eq!(con.key_type::<_, redis::ValueType>("other").unwrap(), redis::ValueType::String);
        assert_eq!(con.del::<_, usize>(&["other", "key:0", "key:1"]).unwrap(), 2);
        assert_eq!(con.unlink::<_, usize>("key:2").unwrap(), 1);
        assert_eq!(redis::cmd("DBSIZE").query::<usize>(con).unwrap(), 497);
    });
}

#[test]
fn hashes_become_maps() {
    in_both(|_, con| {
        let (): () = con.hset_multiple("user", &[("name", "ada"), ("city", "london")]).unwrap();
        assert_eq!(con.hset::<_, _, _, usize>("user", "age", 36).unwrap(), 1);
        assert_eq!(con.hincr::<_, _, _, i64>("user", "age", 1).unwrap(), 37);
        let all: BTreeMap<String, String> = con.hgetall("user").unwrap();
        let wanted = [("age", "37"), ("city", "london"), ("name", "ada")];
        let wanted = wanted.map(|(field, value)| (field.to_owned(), value.to_owned()));
        assert_eq!(all, BTreeMap::from(wanted));
        let some: (String, Option<String>) = con.hmget("user", &["name", "none"]).unwrap();
        assert_eq!(some, ("ada".to_owned(), None));
        assert!(!con.hset_nx::<_, _, _, bool>("user", "name", "bob").unwrap());
        assert!(con.hexists::<_, _, bool>("user", "city").unwrap());
        assert_eq!(con.hlen::<_, usize>("user").unwrap(), 3);
        let fields: HashMap<String, String> =
            con.hscan::<_, (String, String)>("user").unwrap().map(|pair| pair.unwrap()).collect();
        assert_eq!(fields["city"], "london");
        assert_eq!(con.hdel::<_, _, usize>("user", &["age", "none"]).unwrap(), 1);
        assert_eq!(con.hkeys::<_, BTreeSet<String>>("user").unwrap().len(), 2);
    });
}

#[test]
fn lists_have_two_ends_and_places() {
    in_both(|_, con| {
        assert_eq!(con.rpush::<_, _, usize>("list", &["b", "c", "d"]).unwrap(), 3);
        assert_eq!(con.lpush::<_, _, usize>("list", "a").unwrap(), 4);
        assert_eq!(con.lrange::<_, Vec<String>>("list", 0, -1).unwrap().concat(), "abcd");
        assert_eq!(con.lindex::<_, String>("list", -1).unwrap(), "d");
        assert_eq!(con.linsert_before::<_, _, _, isize>("list", "b", "x").unwrap(), 5);
        let place: Option<usize> = con.lpos("list", "c", LposOptions::default()).unwrap();
        assert_eq!(place, Some(3));
        let (): () = con.lset("list", 0, "A").unwrap();
        let moved: String = con.lmove("list", "other", Direction::Left, Direction::Right).unwrap();
        assert_eq!(moved, "A");
        assert_eq!(con.lpop::<_, String>("list", None).unwrap(), "x");
        let two = std::num::NonZeroUsize::new(2);
        assert_eq!(con.rpop::<_, Vec<String>>("list", two).unwrap(), ["d", "c"]);
        assert_eq!(con.lrem::<_, _, usize>("list", 0, "b").unwrap(), 1);
        assert!(!con.exists::<_, bool>("list").unwrap());
        assert_eq!(con.lpop::<_, Option<String>>("list", None).unwrap(), None);
    });
}

#[test]
fn sets_are_sets_and_their_algebra_holds() {
    in_both(|_, con| {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(con.sadd::<_, _, usize>("s", &["a", "b", "c"]).unwrap(), 3);
        assert_eq!(con.sadd::<_, _, usize>("t", &["b", "c", "d"]).unwrap(), 3);
        let members: BTreeSet<String> = con.smembers("s").unwrap();
        assert_eq!(members, set(&["a", "b", "c"]));
        assert_eq!(con.sinter::<_, BTreeSet<String>>(&["s", "t"]).unwrap(), set(&["b", "c"]));
        assert_eq!(con.sdiff::<_, BTreeSet<String>>(&["s", "t"]).unwrap(), set(&["a"]));
        assert_eq!(con.sunionstore::<_, _, usize>("u", &["s", "t"]).unwrap(), 4);
        let are: Vec<bool> = con.smismember("s", &["a", "d"]).unwrap();
        assert_eq!(are, [true, false]);
        assert!(con.smove::<_, _, _, bool>("s", "t", "a").unwrap());
        assert!(members.contains(&con.spop::<_, String>("s").unwrap()));
        assert_eq!(con.scard::<_, usize>("s").unwrap(), 1);
        let scanned: BTreeSet<String> = con.sscan("t").unwrap().map(|name| name.unwrap()).collect();
        assert_eq!(scanned, set(&["a", "b", "c", "d"]));
    });
}

#[test]
fn sorted_sets_keep_order_and_scores() {
    in_both(|_, con| {
        let added: usize =
            con.zadd_multiple("z", &[(1.5, "low"), (2.5, "mid"), (f64::INFINITY, "top")]).unwrap();
        assert_eq!(added, 3);
        let all: Vec<(String, f64)> = con.zrange_withscores("z", 0, -1).unwrap();
        assert_eq!(all[0], ("low".to_owned(), 1.5));
        assert_eq!(all[2], ("top".to_owned(), f64::INFINITY));
        let score: Option<f64> = con.zscore("z", "mid").unwrap();
        assert_eq!(score, Some(2.5));
        assert_eq!(con.zscore::<_, _, Option<f64>>("z", "none").unwrap(), None);
        assert_eq!(con.zrank::<_, _, usize>("z", "top").unwrap(), 2);
        assert_eq!(con.zcount::<_, _, _, usize>("z", "(1.5", "+inf").unwrap(), 2);
        let sum: f64 = con.zincr("z", "low", 5).unwrap();
        assert!((sum - 6.5).abs() < f64::EPSILON);
        let popped: Vec<(String, f64)> = con.zpopmin("z", 1).unwrap();
        assert_eq!(popped, [("mid".to_owned(), 2.5)]);
        let names: Vec<String> = con.zrangebyscore("z", "-inf", "+inf").unwrap();
        assert_eq!(names, ["low", "top"]);
        assert_eq!(con.zrem::<_, _, usize>("z", &["low", "none"]).unwrap(), 1);
        assert_eq!(con.zcard::<_, usize>("z").unwrap(), 1);
    });
}

#[test]
fn what_the_server_says_of_itself_can_be_read() {
    in_both(|_, con| {
        let info: redis::InfoDict = redis::cmd("INFO").query(con).unwrap();
        assert!(info.get::<String>("redis_version").unwrap().starts_with("7."));
        let (): () = con.client_setname("tester").unwrap();
        assert_eq!(con.client_getname::<Option<String>>().unwrap().as_deref(), Some("tester"));
        let config: HashMap<String, String> =
            redis::cmd("CONFIG").arg(&["GET", "maxmemory*"]).query(con).unwrap();
        assert_eq!(config["maxmemory-policy"], "noeviction");
        let commands: Vec<Value> = redis::cmd("COMMAND").query(con).unwrap();
        assert!(commands.len() > 150);
        let encoding: String = con.object_encoding("none").unwrap_or_else(|_| "none".to_owned());
        assert_eq!(encoding, "none");
    });
}
