//! Faults on the commands of a real Redis, as a real client sees them.

use crate::{
    rig::{Rig, hear, soon},
    servers::Server,
};
use redis::{AsyncCommands, ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use shakedown_link::{Behaviour, CommandMatching, RedisAction};
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn connect(rig: &Rig, protocol: &str) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://{}/?protocol={protocol}", rig.link.address())).unwrap();
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    soon(client.get_multiplexed_async_connection_with_config(&config)).await.unwrap()
}

async fn cache() -> (Server, Rig) {
    let server = Server::redis().await;
    let rig = server.behind_link().await;
    (server, rig)
}

fn fault(commands: &[&str], key: Option<&str>, action: RedisAction) -> Behaviour {
    let commands = commands.iter().map(|name| (*name).to_owned()).collect();
    Behaviour::redis(CommandMatching { commands, key: key.map(str::to_owned), ..CommandMatching::default() }, action).unwrap()
}

fn error(text: &str) -> RedisAction {
    RedisAction::Error { error: text.into() }
}

fn says<T: std::fmt::Debug>(result: RedisResult<T>) -> String {
    let error: RedisError = result.unwrap_err();
    format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}

#[tokio::test]
async fn a_command_fails_with_the_error_on_a_connection_from_before_which_stays_usable() {
    let (_server, rig) = cache().await;
    for protocol in ["resp2", "resp3"] {
        let mut cache = connect(&rig, protocol).await;
        cache.set::<_, _, ()>("cart:1", "a").await.unwrap();
        rig.link.set(fault(&["get", "MGET"], Some("cart:*"), error("LOADING")));
        for _ in 0..2 {
            let failed = soon(cache.get::<_, String>("cart:1")).await.unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::Server(ServerErrorKind::BusyLoading));
            assert_eq!(failed.detail(), Some("Redis is loading the dataset in memory"));
            cache.set::<_, _, ()>("cart:1", "b").await.unwrap();
            assert_eq!(cache.get::<_, Option<String>>("user:1").await.unwrap(), None);
        }
        rig.link.set(fault(&["*"], None, error("MY own words")));
        assert_eq!(says(cache.ping::<String>().await), "MY own words");
        rig.link.set(Behaviour::Pass);
        assert_eq!(cache.get::<_, String>("cart:1").await.unwrap(), "b");
    }
    let dose = rig.link.dose();
    assert_eq!((dose.redis.commands, dose.redis.matched, dose.redis.errors, dose.redis.opaque), (1, 1, 1, 0));
    assert_eq!((dose.connections_touched, dose.resets), (1, 0));
    rig.shut().await;
}

#[tokio::test]
async fn commands_in_a_pipeline_have_their_own_replies() {
    let (_server, rig) = cache().await;
    let mut cache = connect(&rig, "resp3").await;
    let matching = CommandMatching { commands: vec!["ECHO".into()], key: None, share: 0.5, seed: 4 };
    rig.link.set(Behaviour::redis(matching, error("BUSY")).unwrap());
    let mut pipeline = redis::pipe();
    for number in 0..500 {
        pipeline.cmd("ECHO").arg(number);
    }
    let replies: Vec<Result<u64, RedisError>> = soon(pipeline.ignore_errors().query_async(&mut cache)).await.unwrap();
    let right =
        replies.iter().enumerate().filter(|(number, reply)| reply.as_ref().is_ok_and(|reply| *reply == *number as u64)).count() as u64;
    let failed = replies.iter().filter(|reply| reply.as_ref().is_err_and(|error| error.code() == Some("BUSY"))).count() as u64;
    let dose = rig.link.dose().redis;
    assert!(right + failed == 500 && (180..320).contains(&failed), "{right} {failed}");
    assert_eq!((dose.commands, dose.matched, dose.errors), (500, failed, failed));
    rig.shut().await;
}

#[tokio::test]
async fn a_transaction_with_a_command_that_fails_is_not_executed() {
    let (_server, rig) = cache().await;
    let mut cache = connect(&rig, "resp2").await;
    cache.set::<_, _, ()>("a", 1).await.unwrap();
    rig.link.set(fault(&["INCR"], None, error("OOM")));
    let mut transaction = redis::pipe();
    transaction.atomic().set("a", 5).incr("a", 1).cmd("INCR").arg("a");
    assert!(says(transaction.query_async::<Vec<i64>>(&mut cache).await).contains("EXECABORT"));
    assert_eq!(cache.get::<_, i64>("a").await.unwrap(), 1);
    rig.link.set(fault(&["exec"], None, error("READONLY")));
    let mut caller = rig.call().await;
    caller.write_all(b"PING\r\nMULTI\r\nSET a 5\r\nEXEC\r\nGET a\r\n").await.unwrap();
    // What a server says that has become read only behind the queueing.
    let why = "You can't write against a read only replica.";
    hear(
        &mut caller,
        format!("+PONG\r\n+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: READONLY {why}\r\n$1\r\n1\r\n").as_bytes(),
    )
    .await;
    assert_eq!(cache.get::<_, i64>("a").await.unwrap(), 1);
    rig.link.set(Behaviour::Pass);
    redis::pipe().atomic().set("a", 5).query_async::<()>(&mut cache).await.unwrap();
    assert_eq!(cache.get::<_, i64>("a").await.unwrap(), 5);
    rig.shut().await;
}

#[tokio::test]
async fn keys_are_missed_in_the_shape_of_each_command_and_protocol() {
    let (_server, rig) = cache().await;
    for protocol in ["resp2", "resp3"] {
        let mut cache = connect(&rig, protocol).await;
        cache.mset::<_, _, ()>(&[("cart:1", "a"), ("cart:2", "b"), ("user:1", "c")]).await.unwrap();
        cache.hset::<_, _, _, ()>("cart:h", "f", "v").await.unwrap();
        rig.link.set(fault(&[], Some("cart:*"), RedisAction::Miss));
        assert_eq!(cache.get::<_, Option<String>>("cart:1").await.unwrap(), None);
        let some: Vec<Option<String>> = cache.mget(&["cart:1", "user:1", "cart:2"]).await.unwrap();
        assert_eq!(some, [None, Some("c".into()), None]);
        assert_eq!(cache.hget::<_, _, Option<String>>("cart:h", "f").await.unwrap(), None);
        assert!(cache.hgetall::<_, Vec<(String, String)>>("cart:h").await.unwrap().is_empty());
        assert_eq!(cache.exists::<_, u64>(&["cart:1", "user:1"]).await.unwrap(), 1);
        assert_eq!(redis::cmd("TTL").arg("cart:1").query_async::<i64>(&mut cache).await.unwrap(), -2);
        let mut transaction = redis::pipe();
        transaction.atomic().get("cart:1").get("user:1");
        assert_eq!(transaction.query_async::<(Option<String>, String)>(&mut cache).await.unwrap(), (None, "c".into()));
        cache.set::<_, _, ()>("cart:1", "z").await.unwrap();
        let dose = rig.link.dose().redis;
        // And MULTI, EXEC, a key that is another, and one that is written.
        assert_eq!((dose.commands, dose.matched, dose.missed), (11, 7, 7));
        rig.link.set(Behaviour::Pass);
        assert_eq!(cache.get::<_, String>("cart:1").await.unwrap(), "z");
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_slow_command_is_late_and_one_that_is_held_comes_at_the_end_of_the_fault() {
    let (_server, rig) = cache().await;
    let mut cache = connect(&rig, "resp2").await;
    let delay = Duration::from_millis(80);
    rig.link.set(fault(&["GET"], Some("a"), RedisAction::Delay { duration: delay }));
    let begun = Instant::now();
    assert_eq!(cache.get::<_, Option<String>>("a").await.unwrap(), None);
    assert!(begun.elapsed() >= delay);
    let dose = rig.link.dose();
    assert!(dose.redis.delayed == 1 && dose.mean_delay >= delay, "{dose:?}");
    rig.link.set(fault(&["SET"], None, RedisAction::Timeout));
    let end = async {
        rig.when(|dose| dose.redis.held == 1).await;
        assert_eq!(connect(&rig, "resp2").await.get::<_, Option<String>>("a").await.unwrap(), None);
        rig.link.set(Behaviour::Pass);
    };
    let (set, ()) = soon(Box::pin(async { tokio::join!(cache.set::<_, _, String>("a", 1), end) })).await;
    assert_eq!((set.unwrap().as_str(), cache.get::<_, u64>("a").await.unwrap()), ("OK", 1));
    rig.shut().await;
}

#[tokio::test]
async fn a_caller_that_waits_in_the_server_has_the_replies_behind_it_in_order() {
    let (_server, rig) = cache().await;
    let mut caller = rig.call().await;
    rig.link.set(fault(&["GET"], None, error("CLUSTERDOWN")));
    caller.write_all(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\nGET a\r\nPING\r\n").await.unwrap();
    rig.when(|dose| dose.redis.matched == 1).await;
    assert_eq!(rig.link.dose().redis.errors, 0);
    connect(&rig, "resp2").await.rpush::<_, _, ()>("q", "x").await.unwrap();
    hear(&mut caller, b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n-CLUSTERDOWN The cluster is down\r\n+PONG\r\n").await;
    rig.shut().await;
}

#[tokio::test]
async fn people_who_type_are_met_and_subscribers_are_passed_on_and_counted() {
    let (server, rig) = cache().await;
    let mut typist = rig.call().await;
    typist.write_all(b"PING\r\n").await.unwrap();
    hear(&mut typist, b"+PONG\r\n").await;
    rig.link.set(fault(&["get"], None, error("LOADING soon")));
    typist.write_all(b"get a\r\nping\r\n").await.unwrap();
    hear(&mut typist, b"-LOADING soon\r\n+PONG\r\n").await;
    typist.write_all(b"get a\r\nSUBSCRIBE news\r\n").await.unwrap();
    hear(&mut typist, b"-LOADING soon\r\n*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n").await;
    let mut direct = TcpStream::connect(server.address).await.unwrap();
    direct.write_all(b"PUBLISH news x\r\n").await.unwrap();
    hear(&mut typist, b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n").await;
    let dose = rig.link.dose().redis;
    assert_eq!((dose.errors, dose.opaque), (2, 1));
    rig.shut().await;
}
