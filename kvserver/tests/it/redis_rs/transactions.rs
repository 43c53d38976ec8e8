//! Pipelines, and transactions that other clients interfere with.

use redis::{Commands, pipe};

use super::{client, in_both};

#[test]
fn a_pipeline_gets_all_its_replies_in_order() {
    in_both(|_, con| {
        let mut pipeline = pipe();
        for n in 0..1_000 {
            pipeline.set(format!("key:{n}"), n).ignore().incr(format!("key:{n}"), 1);
        }
        let replies: Vec<i64> = pipeline.query(con).unwrap();
        assert_eq!(replies, (1..=1_000).collect::<Vec<i64>>());
    });
}

#[test]
fn an_error_in_a_pipeline_leaves_the_connection_usable() {
    in_both(|_, con| {
        let mut pipeline = pipe();
        pipeline.set("text", "x").incr("text", 1).get("text");
        let error = pipeline.query::<(String, i64, String)>(con).unwrap_err();
        assert!(error.to_string().contains("not an integer"), "{error}");
        assert_eq!(con.get::<_, String>("text").unwrap(), "x");
    });
}

#[test]
fn an_atomic_pipeline_is_one_transaction() {
    in_both(|_, con| {
        let mut atomic = pipe();
        atomic.atomic().set("a", 1).ignore().incr("a", 41).hset("h", "f", "v").get("none");
        let (count, new, none): (i64, i64, Option<String>) = atomic.query(con).unwrap();
        assert_eq!((count, new, none), (42, 1, None));
    });
}

#[test]
fn a_transaction_whose_key_another_client_changed_runs_again() {
    in_both(|server, con| {
        let mut other = client(server, "resp2").get_connection().unwrap();
        let (): () = con.set("balance", 100).unwrap();
        let mut rounds = 0;
        let result: (i64,) = redis::transaction(con, &["balance"], |con, atomic| {
            rounds += 1;
            let seen: i64 = con.get("balance")?;
            if rounds == 1 {
                let (): () = other.set("balance", 500)?;
            }
            atomic.set("balance", seen + 1).ignore().get("balance").query(con)
        })
        .unwrap();
        assert_eq!((rounds, result.0), (2, 501));
    });
}
