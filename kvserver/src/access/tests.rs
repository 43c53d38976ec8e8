//! Users by their rules, and what epochs make of those who know them.

use super::*;
use crate::command::table::table;

fn change(access: &Access, name: &str, rules: &[&str]) -> Result<Changed, SetError> {
    let rules: Vec<&[u8]> = rules.iter().map(|rule| rule.as_bytes()).collect();
    access.change(name.as_bytes(), &rules, ChannelsDefault::None)
}

/// What a new user is with these rules.
fn user(rules: &str) -> Arc<User> {
    let rules: Vec<&str> = rules.split(' ').collect();
    change(&Access::new(""), "u", &rules).unwrap().user
}

fn may(user: &User, request: &str) -> Result<(), Denial> {
    let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    let entry = table().resolve(args[0], args.get(1).copied()).unwrap();
    assert!(entry.command.accepts(args.len()), "{request}");
    user.check(&Request::new(entry, &args))
}

fn commands(user: &User) -> String {
    user.selectors().next().unwrap().describe_commands()
}

#[test]
fn only_a_user_that_is_on_is_admitted_with_its_password() {
    let access = Access::new("secret");
    assert!(!access.is_open());
    for (name, password, is_admitted) in [
        (&b"default"[..], &b"secret"[..], true),
        (b"default", b"secre", false),
        (b"default", b"secret\0", false),
        (b"default", b"", false),
        (b"Default", b"secret", false),
        (b"", b"secret", false),
        (b"other", b"x", false),
    ] {
        assert_eq!(access.admits(name, password).is_some(), is_admitted, "{name:?} {password:?}");
    }
    access.set_password("");
    assert!(access.is_open() && access.admits(b"default", b"anything").is_some());
    let _ = change(&access, "other", &[">x"]).unwrap();
    assert!(access.admits(b"other", b"x").is_none(), "it is off");
    let _ = change(&access, "other", &["on"]).unwrap();
    assert!(access.admits(b"other", b"x").is_some() && access.admits(b"other", b"y").is_none());
}

#[test]
fn a_rule_that_does_not_apply_leaves_the_users_as_they_were() {
    let access = Access::new("");
    let epoch = access.epoch();
    for rules in [&[">a", "<b", "off"][..], &["+get", "+nosuch"], &["(+get", "~a"], &["%~a"]] {
        for name in ["default", "new"] {
            let _ = change(&access, name, rules).unwrap_err();
        }
    }
    assert_eq!(change(&access, "a b", &[]).unwrap_err(), SetError::Name);
    assert!(access.is_open() && access.find(b"new").is_none());
    assert_eq!(access.epoch(), epoch);
    let _ = change(&access, "default", &[">a", ">b", "<a"]).unwrap();
    assert!(!access.is_open() && access.admits(b"default", b"b").is_some());
    let _ = change(&access, "default", &["off"]).unwrap();
    assert!(access.admits(b"default", b"b").is_none());
    let _ = change(&access, "default", &["nopass"]).unwrap();
    assert!(!access.is_open(), "nobody may log in");
    let _ = change(&access, "default", &["on"]).unwrap();
    assert!(access.is_open());
}

#[test]
fn a_password_can_be_given_by_its_digest() {
    // The digest of `abc` in FIPS 180-2.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let access = Access::new("x");
    let _ = change(&access, "default", &[&format!("#{abc}")]).unwrap();
    assert!(access.admits(b"default", b"abc").is_some());
    assert!(access.admits(b"default", abc.as_bytes()).is_none());
    assert_eq!(access.default_user().passwords()[1], abc);
    let _ = change(&access, "default", &[&format!("!{abc}")]).unwrap();
    assert!(access.admits(b"default", b"abc").is_none());
    for rule in [format!("#{}", abc.to_uppercase()), format!("#{}", &abc[1..]), "!".to_owned()] {
        let SetError::Rule { error, .. } = change(&access, "default", &[&rule]).unwrap_err() else {
            panic!("{rule} is a rule");
        };
        assert_eq!(error, RuleError::BadHash, "{rule}");
    }
}

#[test]
fn a3_a_change_is_seen_by_who_knows_the_user_and_a4_a_new_user_is_another_one() {
    let access = Access::new("");
    let made = change(&access, "u", &["on", "nopass", "+@all", "~*", "&*"]).unwrap();
    let mut login = Login::new(made.user);
    assert!(access.look_up(&mut login).unwrap().is_free());
    login.set_free();
    assert!(login.is_free_in(access.epoch()));
    assert_eq!(change(&access, "u", &["-get"]).unwrap().fate, Fate::Stay);
    assert!(!login.is_free_in(access.epoch()));
    assert!(!access.look_up(&mut login).unwrap().is_free());
    assert_eq!(access.delete(b"u").unwrap().fate, Fate::Gone);
    assert!(access.look_up(&mut login).is_none());
    let _ = change(&access, "u", &["on", "nopass", "+@all", "~*"]).unwrap();
    assert!(access.look_up(&mut login).is_none());
    assert!(access.look_up(&mut Login::default()).unwrap().is_free());
    assert!(access.delete(b"nobody").is_none());
}

#[test]
fn channels_that_are_taken_away_are_told_from_those_that_stay() {
    for (before, rules, fate) in [
        ("&a &b", "resetchannels &a", Fate::HearLess),
        ("&a", "&b", Fate::Stay),
        ("&a", "allchannels", Fate::Stay),
        ("allchannels", "resetchannels", Fate::HearLess),
        ("allchannels", "resetchannels &a", Fate::HearLess),
        ("&a", "resetchannels (&a)", Fate::Stay),
        ("(&a)", "clearselectors", Fate::HearLess),
        ("&a", "-@all resetkeys", Fate::Stay),
    ] {
        let access = Access::new("");
        let _ = change(&access, "u", &before.split(' ').collect::<Vec<_>>()).unwrap();
        let changed = change(&access, "u", &rules.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(changed.fate, fate, "{before}, then {rules}");
    }
}

#[test]
fn c1_rules_are_kept_in_their_order_without_those_overruled() {
    for (rules, shown) in [
        ("+@all -@hash -@slow +hget", "+@all -@hash -@slow +hget"),
        ("+@all -@hash -@slow +hget -@hash", "+@all -@slow +hget -@hash"),
        ("+@all -@hash +@hash", "+@all +@hash"),
        ("-@string -@slow +@all", "+@all"),
        ("+@HASH +@hash", "-@all +@hash"),
        ("+HGET -hset +hset -hget", "-@all +hset -hget"),
        (
            "+client|list +client|list +config|get +config +acl|list -acl",
            "-@all +client|list +config -acl",
        ),
        ("+select|0 +SELECT|0 +debug|object +debug", "-@all +select|0 +debug"),
        ("-@all -@dangerous", "-@all -@dangerous"),
        ("+config +config|get -config|set +config", "-@all +config"),
        ("+@stream -@geo", "-@all +@stream -@geo"),
        ("allcommands nocommands", "-@all"),
    ] {
        let made = user(rules);
        assert_eq!(commands(&made), shown, "{rules}");
        assert_eq!(commands(&user(shown)), shown);
    }
}

#[test]
fn every_category_allows_its_commands_and_what_is_below_them() {
    use crate::command::introspection::{CATEGORIES, categories};
    for category in CATEGORIES {
        let (adds, takes) = (user(&format!("+{category}")), user(&format!("+@all -{category}")));
        for entry in table().entries() {
            let is_in = categories(entry).contains(&category);
            let least = usize::try_from(entry.command.arity.unsigned_abs()).unwrap();
            let args: Vec<&[u8]> = vec![b"1"; least];
            let denied =
                |user: &User| user.check(&Request::new(entry, &args)) == Err(Denial::Command);
            if entry.command.flags.has(crate::command::Flags::NO_AUTH) {
                assert!(!denied(&adds) && !denied(&takes), "{}", entry.full_name);
                continue;
            }
            assert_eq!(denied(&adds), !is_in, "+{category} {}", entry.full_name);
            assert_eq!(denied(&takes), is_in, "-{category} {}", entry.full_name);
        }
    }
}

#[test]
fn keys_are_allowed_for_what_is_done_with_them() {
    let made = user("+@all %R~r* %W~w* ~a*");
    for (request, expected) in [
        ("GET r1", Ok(())),
        ("GET w1", Err(Denial::Key(1))),
        ("GET a1", Ok(())),
        ("EXISTS r1 w1 a1", Ok(())),
        ("EXISTS r1 x", Err(Denial::Key(2))),
        ("SET w1 v", Ok(())),
        ("SET w1 v GET", Err(Denial::Key(1))),
        ("SET r1 v", Err(Denial::Key(1))),
        ("SET a1 v GET", Ok(())),
        ("COPY r1 w1", Ok(())),
        ("COPY w1 r1", Err(Denial::Key(1))),
        ("MSET w1 v w2 v r1 v", Err(Denial::Key(5))),
        ("SINTERCARD 2 r1 r2", Ok(())),
        ("SINTERCARD 2 r1 w2", Err(Denial::Key(3))),
        ("ZUNIONSTORE w1 2 r1 r2", Ok(())),
        ("ZUNIONSTORE r1 2 r1 r2", Err(Denial::Key(1))),
        ("ZUNIONSTORE w1 2 w1 r2", Err(Denial::Key(3))),
        ("ZUNIONSTORE x 9 r1 r2", Err(Denial::Key(1))),
        ("BLPOP a1 a2 0", Ok(())),
        ("BLPOP a1 r1 0", Err(Denial::Key(2))),
        ("LMPOP 2 a1 r1 LEFT", Err(Denial::Key(3))),
        ("BLMPOP 0 1 a1 LEFT", Ok(())),
        ("SORT r1 STORE w1", Ok(())),
        ("SORT r1 STORE r2", Err(Denial::Key(3))),
        ("BITFIELD r1 GET u4 0", Ok(())),
        ("BITFIELD r1 SET u4 0 1", Err(Denial::Key(1))),
        ("PFMERGE x", Err(Denial::Key(1))),
        ("BITOP AND w1 r1 r2", Ok(())),
        ("OBJECT ENCODING x", Err(Denial::Key(2))),
        ("KEYS *", Ok(())),
        ("SCAN 0", Ok(())),
        ("RANDOMKEY", Ok(())),
        ("FLUSHALL", Ok(())),
    ] {
        assert_eq!(may(&made, request), expected, "{request}");
    }
}

#[test]
fn channels_are_matched_and_patterns_of_channels_compared() {
    let made = user("+@all ~* &foo:1 &bar:*");
    for (request, expected) in [
        ("PUBLISH foo:1 x", Ok(())),
        ("SPUBLISH bar:2 x", Ok(())),
        ("PUBLISH zap x", Err(Denial::Channel(1))),
        ("SUBSCRIBE foo:1 bar:x", Ok(())),
        ("SSUBSCRIBE foo:1 zap", Err(Denial::Channel(2))),
        ("PSUBSCRIBE bar:* foo:1", Ok(())),
        ("PSUBSCRIBE bar:x", Err(Denial::Channel(1))),
        ("UNSUBSCRIBE zap", Ok(())),
        ("PUNSUBSCRIBE", Ok(())),
        ("SUNSUBSCRIBE zap", Ok(())),
        ("PUBSUB CHANNELS", Ok(())),
    ] {
        assert_eq!(may(&made, request), expected, "{request}");
    }
}

#[test]
fn one_selector_must_allow_all_of_a_request_and_the_denial_that_went_furthest_is_told() {
    let made = user("+mget ~key (+mget ~key ~otherkey) (+@write ~w*) (+publish &c)");
    for (request, expected) in [
        ("MGET key", Ok(())),
        ("MGET key otherkey", Ok(())),
        ("MGET otherkey someotherkey", Err(Denial::Key(2))),
        ("MGET key otherkey someotherkey", Err(Denial::Key(3))),
        ("GET key", Err(Denial::Command)),
        ("SET w v", Ok(())),
        ("SET key v", Err(Denial::Key(1))),
        ("PUBLISH c x", Ok(())),
        ("PUBLISH d x", Err(Denial::Channel(1))),
    ] {
        assert_eq!(may(&made, request), expected, "{request}");
    }
    let made = user("(%R~read* +@all) (%W~write* +@all)");
    assert_eq!(may(&made, "COPY read write"), Err(Denial::Key(2)));
}

#[test]
fn first_arguments_can_be_allowed_of_commands_that_are_not() {
    let made = user("+select|0 +config|get ~*");
    for (request, expected) in [
        ("SELECT 0", Ok(())),
        ("SELECT 1", Err(Denial::Command)),
        ("CONFIG GET x", Ok(())),
        ("CONFIG SET x y", Err(Denial::Command)),
        ("AUTH x", Ok(())),
    ] {
        assert_eq!(may(&made, request), expected, "{request}");
    }
    assert_eq!(may(&user("+select|0 -select"), "SELECT 0"), Err(Denial::Command));
}

#[test]
fn a_user_can_be_made_again_from_its_line() {
    let abc = "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (rules, line) in [
        ("on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"),
        ("off", "off sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload &a", "off skip-sanitize-payload resetchannels &a -@all"),
        (
            "on %R~x %W~y %rw~z %R~v %W~v &c +get -config|get (+set ~k) ()",
            "on sanitize-payload %R~x %W~y ~z ~v resetchannels &c -@all +get -config|get (~k \
             resetchannels -@all +set) (resetchannels -@all)",
        ),
    ] {
        let made =
            user(&format!("{abc} {rules}").replace(&format!("{abc} on nopass"), "on nopass"));
        let own = String::from_utf8(made.line()).unwrap();
        let line = format!("user u {line}").replace("sanitize-payload %", "sanitize-payload %");
        assert_eq!(own.replace(&format!(" {abc}"), ""), line);
        let again: Vec<&str> = own.split(' ').skip(2).collect();
        let again = change(&Access::new(""), "u", &again).unwrap().user;
        assert_eq!(String::from_utf8(again.line()).unwrap(), own);
    }
}

#[test]
fn what_could_not_be_read_again_is_refused_inside_selectors() {
    for rules in ["(~a\"b)", "( ~a) +get )", "(~'a'b)", "(\"~a\\x22\")", "(~a\\)"] {
        let is_made = change(&Access::new(""), "u", &[rules]).is_ok();
        assert_eq!(is_made, rules == "(~a\\)", "{rules}");
    }
}

#[test]
fn whatever_rules_are_taken_can_be_written_to_a_file_and_read_again() {
    const PARTS: [&str; 24] = [
        "~", "&", "+", "-", "%R~", "%W~", "(", ")", "|", "@", ">", "get", "config", "select",
        "read", "*", "a", "\"", "'", "\\", " ", "\u{b}", "\u{e9}", "all",
    ];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (access, mut taken) = (Access::new(""), 0);
    for _ in 0..20_000 {
        let mut word =
            || -> String { (0..rng.usize(..7)).map(|_| PARTS[rng.usize(..24)]).collect() };
        let (name, rules) = (word(), [word(), word()]);
        let rules: Vec<&[u8]> = rules.iter().map(String::as_bytes).collect();
        let Ok(changed) = access.change(name.as_bytes(), &rules, ChannelsDefault::None) else {
            continue;
        };
        taken += 1;
        let line = changed.user.line();
        let mut complaints = file::Complaints::new("f".as_ref());
        let definitions = file::parse(&line, &mut complaints);
        let shown = String::from_utf8_lossy(&line).into_owned();
        assert!(complaints.is_empty() && definitions.len() == 1, "{shown}");
        assert_eq!(definitions[0].name, name.as_bytes(), "{shown}");
        let rules: Vec<&[u8]> = definitions[0].rules.iter().map(Vec::as_slice).collect();
        let again = Access::new("").change(name.as_bytes(), &rules, ChannelsDefault::None);
        assert_eq!(again.unwrap().user.line(), line, "{shown}");
    }
    assert!(taken > 1_000, "{taken}");
}
