//! The multiplexed connection: one socket, many tasks.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::{PROTOCOLS, client};
use crate::support::Running;

#[test]
fn many_tasks_share_one_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for protocol in PROTOCOLS {
        let server = Running::start();
        let client = client(&server, protocol);
        let total: i64 = runtime.block_on(async {
            let connection = client.get_multiplexed_async_connection().await.unwrap();
            let tasks: Vec<_> =
                (0..50).map(|task| tokio::spawn(count(connection.clone(), task))).collect();
            for task in tasks {
                task.await.unwrap();
            }
            connection.clone().get("total").await.unwrap()
        });
        assert_eq!(total, 50 * 20, "{protocol}");
    }
}

async fn count(mut connection: MultiplexedConnection, task: usize) {
    for n in 1..=20 {
        let key = format!("task:{task}");
        let mine: i64 = connection.incr(&key, 1).await.unwrap();
        assert_eq!(mine, n, "replies of another task");
        let _: i64 = connection.incr("total", 1).await.unwrap();
    }
}
