//! Faults on the queries of a real PostgreSQL, as a real client sees them.

use crate::{
    rig::{Rig, soon},
    servers::{Server, postgres_programs},
};
use futures_util::{SinkExt, future::join_all};
use shakedown_link::{Behaviour, PostgresAction, QueryMatching};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, error::SqlState};

/// A client, and its connection's end.
struct Session {
    client: Client,
    end: JoinSet<Result<(), Error>>,
}

async fn connect(rig: &Rig) -> Result<Session, Error> {
    let address = rig.link.address();
    let mut config = Config::new();
    config.host(address.ip().to_string()).port(address.port()).user("shop").dbname("postgres");
    let (client, connection) = soon(config.connect(NoTls)).await?;
    let mut end = JoinSet::new();
    end.spawn(connection);
    Ok(Session { client, end })
}

/// A shop with three pieces in stock, a link in front of it, and a client that was there before any fault.
async fn shop() -> (Server, Rig, Session) {
    let server = Server::postgres().await;
    let rig = server.behind_link().await;
    let session = connect(&rig).await.unwrap();
    session.client.batch_execute("CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 3)").await.unwrap();
    (server, rig, session)
}

fn fault(query: &str, action: PostgresAction) -> Behaviour {
    Behaviour::postgres(QueryMatching { query: Some(query.into()), ..QueryMatching::default() }, action).unwrap()
}

fn error(name: &str) -> PostgresAction {
    PostgresAction::Error { error: name.into(), message: None }
}

fn code<T>(result: Result<T, Error>) -> Option<SqlState> {
    result.err().and_then(|error| error.code().cloned())
}

/// What is in stock, by a query that no test's rule is for.
async fn count(client: &Client) -> usize {
    let messages = soon(client.simple_query("TABLE stock")).await.unwrap();
    messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count()
}

#[tokio::test]
async fn a_query_fails_with_the_error_on_a_connection_from_before_which_stays_usable() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let statement = client.prepare("SELECT n\n  FROM stock WHERE id = $1").await.unwrap();
    assert_eq!(client.query_one(&statement, &[&1]).await.unwrap().get::<_, i32>(0), 3);
    rig.link.set(fault("select n from STOCK*", error("serialization_failure")));
    for _ in 0..2 {
        let failed = soon(client.query(&statement, &[&1])).await.unwrap_err();
        let reported = failed.as_db_error().unwrap();
        assert_eq!((reported.code(), reported.severity()), (&SqlState::T_R_SERIALIZATION_FAILURE, "ERROR"));
        assert_eq!(reported.message(), "could not serialize access due to concurrent update");
        assert_eq!(code(client.simple_query("SELECT n FROM stock;").await), Some(SqlState::T_R_SERIALIZATION_FAILURE));
        assert_eq!(count(&client).await, 1);
        assert_eq!(client.query_one("SELECT $1::int + 1", &[&1]).await.unwrap().get::<_, i32>(0), 2);
    }
    let late = client.prepare("SELECT n FROM stock WHERE n = $1").await.unwrap();
    assert_eq!(code(client.query(&late, &[&3]).await), Some(SqlState::T_R_SERIALIZATION_FAILURE));
    rig.link.set(Behaviour::Pass);
    assert_eq!(client.query_one(&statement, &[&1]).await.unwrap().get::<_, i32>(0), 3);
    assert_eq!(client.query(&late, &[&3]).await.unwrap().len(), 1);
    let dose = rig.link.dose();
    assert_eq!((dose.postgres.queries, dose.postgres.matched, dose.postgres.errors, dose.postgres.opaque), (9, 5, 5, 0));
    assert_eq!((dose.connections_touched, dose.resets), (1, 0));
    rig.shut().await;
}

#[tokio::test]
async fn an_error_fails_the_transaction_around_it_which_can_be_rolled_back_under_the_fault() {
    let (_server, rig, Session { mut client, end: _end }) = shop().await;
    for is_prepared in [false, true] {
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute("INSERT INTO stock VALUES (2, 9)").await.unwrap();
        rig.link.set(fault("*", error("deadlock_detected")));
        let update = "UPDATE stock SET n = 0";
        let failed = if is_prepared { code(transaction.execute(update, &[]).await) } else { code(transaction.simple_query(update).await) };
        assert_eq!(failed, Some(SqlState::T_R_DEADLOCK_DETECTED));
        // The server itself says so.
        assert_eq!(code(transaction.simple_query("SELECT 1").await), Some(SqlState::IN_FAILED_SQL_TRANSACTION));
        transaction.rollback().await.unwrap();
        rig.link.set(Behaviour::Pass);
        assert_eq!((count(&client).await, client.query_one("SELECT n FROM stock", &[]).await.unwrap().get::<_, i32>(0)), (1, 3));
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_commit_that_fails_has_rolled_back_and_the_connection_is_in_no_transaction() {
    let (_server, rig, Session { mut client, end: _end }) = shop().await;
    rig.link.set(fault("COMMIT", error("40001")));
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO stock VALUES (2, 9)", &[]).await.unwrap();
    // The client does not roll back after a commit.
    assert_eq!(code(transaction.commit().await), Some(SqlState::T_R_SERIALIZATION_FAILURE));
    assert_eq!(count(&client).await, 1);
    // And as a statement that is prepared, as JDBC does it.
    client.batch_execute("BEGIN; INSERT INTO stock VALUES (2, 9)").await.unwrap();
    assert_eq!(code(client.execute("COMMIT", &[]).await), Some(SqlState::T_R_SERIALIZATION_FAILURE));
    assert_eq!(count(&client).await, 1);
    rig.link.set(Behaviour::Pass);
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO stock VALUES (2, 9)", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 2);
    assert_eq!(rig.link.dose().postgres.errors, 2);
    rig.shut().await;
}

#[tokio::test]
async fn queries_in_a_pipeline_have_their_own_answers() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let statement = client.prepare("SELECT $1::int").await.unwrap();
    let matching = QueryMatching { query: Some("select $1*".into()), share: 0.5, seed: 3 };
    rig.link.set(Behaviour::postgres(matching, error("57014")).unwrap());
    let answers = join_all((0..200).map(|number| {
        let (client, statement) = (&client, &statement);
        async move { (number, client.query_one(statement, &[&number]).await) }
    }));
    let (mut right, mut failed) = (0, 0);
    for (number, answer) in soon(answers).await {
        match answer {
            Ok(row) => right += u64::from(row.get::<_, i32>(0) == number),
            Err(error) => failed += u64::from(error.code() == Some(&SqlState::QUERY_CANCELED)),
        }
    }
    let dose = rig.link.dose().postgres;
    assert!(right + failed == 200 && (70..130).contains(&failed), "{right} {failed}");
    assert_eq!((dose.queries, dose.matched, dose.errors), (200, failed, failed));
    rig.shut().await;
}

#[tokio::test]
async fn a_copy_passes_and_what_follows_it_is_met() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    rig.link.set(fault("SELECT*", error("disk_full")));
    for number in 2..5 {
        let sink = client.copy_in::<_, bytes::Bytes>("COPY stock FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(format!("{number}\t1\n").into()).await.unwrap();
        assert_eq!(soon(sink.as_mut().finish()).await.unwrap(), 1);
        assert_eq!(code(client.query("SELECT 1", &[]).await), Some(SqlState::DISK_FULL));
        assert_eq!(code(client.simple_query("SELECT 1").await), Some(SqlState::DISK_FULL));
        assert_eq!(count(&client).await, number);
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_session_that_is_shut_down_hears_why_and_its_transaction_is_rolled_back() {
    let (_server, rig, Session { client, mut end }) = shop().await;
    client.batch_execute("BEGIN; INSERT INTO stock VALUES (2, 9)").await.unwrap();
    rig.link.set(fault("update*", error("admin_shutdown")));
    assert_eq!(code(client.simple_query("UPDATE stock SET n = 1").await), Some(SqlState::ADMIN_SHUTDOWN));
    let ended = soon(end.join_next()).await.unwrap();
    assert!(client.is_closed(), "{ended:?}");
    let Session { client, end: _other } = connect(&rig).await.unwrap();
    assert_eq!(count(&client).await, 1);
    assert_eq!((rig.link.dose().postgres.errors, rig.link.dose().resets), (1, 0));
    rig.shut().await;
}

#[tokio::test]
async fn new_connections_are_refused_and_old_ones_are_not() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let refuse = PostgresAction::Refuse { error: "too_many_connections".into(), message: None };
    rig.link.set(Behaviour::postgres(QueryMatching::default(), refuse).unwrap());
    let refused = connect(&rig).await.err().unwrap();
    assert_eq!(refused.as_db_error().map(|error| (error.code(), error.severity())), Some((&SqlState::TOO_MANY_CONNECTIONS, "FATAL")));
    // As most clients it asks for encryption first, which this server has not.
    let target = format!("host=127.0.0.1 port={} user=shop dbname=postgres sslmode=prefer", rig.link.address().port());
    let psql = tokio::task::spawn_blocking(move || Command::new("psql").args(["-c", "SELECT 1", &target]).output().unwrap());
    let psql = soon(psql).await.unwrap();
    assert!(!psql.status.success() && String::from_utf8_lossy(&psql.stderr).contains("sorry, too many clients already"), "{psql:?}");
    assert_eq!(count(&client).await, 1);
    let dose = rig.link.dose();
    assert_eq!((dose.postgres.queries, dose.postgres.matched, dose.postgres.errors, dose.postgres.opaque), (2, 2, 2, 0));
    assert_eq!((dose.connections_touched, dose.resets), (2, 0));
    rig.link.set(Behaviour::Pass);
    let late = connect(&rig).await.unwrap();
    assert_eq!(count(&late.client).await, 1);
    rig.shut().await;
}

#[tokio::test]
async fn a_slow_query_is_late_and_others_are_not() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let delay = Duration::from_millis(80);
    rig.link.set(fault("*from stock*", PostgresAction::Delay { duration: delay }));
    let begun = Instant::now();
    assert_eq!(client.query("SELECT n FROM stock", &[]).await.unwrap().len(), 1);
    assert!(begun.elapsed() >= delay);
    assert_eq!(count(&client).await, 1);
    let dose = rig.link.dose();
    assert_eq!((dose.postgres.queries, dose.postgres.matched, dose.postgres.delayed), (2, 1, 1));
    assert!(dose.mean_delay >= delay && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn a_query_is_not_answered_until_the_end_of_the_fault() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let update = client.prepare("UPDATE stock SET n = 7").await.unwrap();
    let select = client.prepare("SELECT n FROM stock").await.unwrap();
    rig.link.set(fault("update*", PostgresAction::Timeout));
    let update = client.execute(&update, &[]);
    let behind = client.query_one(&select, &[]);
    let end = async {
        rig.when(|dose| dose.postgres.held == 1).await;
        let Session { client, end: _other } = connect(&rig).await.unwrap();
        assert_eq!(client.query_one("SELECT n FROM stock", &[]).await.unwrap().get::<_, i32>(0), 3);
        rig.link.set(Behaviour::Pass);
    };
    let (updated, behind, ()) = soon(Box::pin(async { tokio::join!(update, behind, end) })).await;
    assert_eq!((updated.unwrap(), behind.unwrap().get::<_, i32>(0)), (1, 7));
    assert_eq!((rig.link.dose().postgres.held, rig.link.dose().postgres.delayed), (1, 0));
    rig.shut().await;
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_held_query_along() {
    let (_server, rig, Session { client, mut end }) = shop().await;
    let Session { client: other, end: _other } = connect(&rig).await.unwrap();
    rig.link.set(fault("update*", PostgresAction::Timeout));
    let leaves = async {
        rig.when(|dose| dose.postgres.held == 1).await;
        end.shutdown().await;
    };
    let (asked, ()) = soon(Box::pin(async { tokio::join!(client.simple_query("UPDATE stock SET n = 7"), leaves) })).await;
    assert!(asked.is_err());
    // The server hears of it under the fault.
    let left = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let gone = async { while other.query(left, &[]).await.unwrap().len() > 1 {} };
    soon(Box::pin(gone)).await;
    rig.link.set(Behaviour::Pass);
    assert_eq!(other.query_one("SELECT n FROM stock", &[]).await.unwrap().get::<_, i32>(0), 3);
    rig.shut().await;
}

#[tokio::test]
async fn a_query_can_be_canceled_by_its_client_under_a_fault_on_others() {
    let (_server, rig, Session { client, end: _end }) = shop().await;
    rig.link.set(fault("update*", error("40001")));
    let cancel = client.cancel_token();
    let begun = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    let Session { client: other, end: _other } = connect(&rig).await.unwrap();
    let canceled = async {
        while other.query(begun, &[]).await.unwrap().is_empty() {}
        cancel.cancel_query(NoTls).await.unwrap();
    };
    let (slept, ()) = soon(Box::pin(async { tokio::join!(client.simple_query("SELECT pg_sleep(60)"), canceled) })).await;
    assert_eq!(code(slept), Some(SqlState::QUERY_CANCELED));
    assert_eq!((rig.link.dose().postgres.matched, rig.link.dose().postgres.opaque), (0, 0));
    rig.shut().await;
}

/// Moves money by pgbench, which repeats what failed with a serialization error; how many transactions it says were done.
async fn pgbench(rig: &Rig, arguments: &[&str]) -> u64 {
    let mut command = Command::new(postgres_programs().join("pgbench"));
    command.args(["-h", "127.0.0.1", "-U", "shop", "-p", &rig.link.address().port().to_string()]).args(arguments).arg("postgres");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let processed = said.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    processed.and_then(|counts| counts.split('/').next()).map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test]
async fn no_money_is_made_or_lost_where_anything_in_a_transaction_fails_and_is_repeated() {
    const PIPELINE: &str = "\\set a random(1, 1000)\n\\startpipeline\nBEGIN;\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :a;\n\
        UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;\nUPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = 1;\n\
        INSERT INTO pgbench_history (tid, bid, aid, delta) VALUES (1, 1, :a, 1);\nEND;\n\\endpipeline\n";
    let (_server, rig, Session { client, end: _end }) = shop().await;
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), PIPELINE).unwrap();
    let pipeline = script.path().to_str().unwrap();
    pgbench(&rig, &["-i", "-q"]).await;
    let mut done = 0;
    for mode in [
        ["-M", "simple", "-b", "tpcb-like"],
        ["-M", "extended", "-b", "tpcb-like"],
        ["-M", "prepared", "-b", "tpcb-like"],
        ["-M", "prepared", "-f", pipeline],
    ] {
        rig.link.set(Behaviour::postgres(QueryMatching { share: 0.04, seed: 5, query: None }, error("serialization_failure")).unwrap());
        done += pgbench(&rig, &[&["-n", "-c", "3", "-t", "60", "--max-tries=100"], &mode[..]].concat()).await;
        let dose = rig.link.take_dose().postgres;
        assert!(dose.errors > 10 && dose.errors <= dose.matched && dose.opaque == 0, "{mode:?} {dose:?}");
    }
    rig.link.set(Behaviour::Pass);
    let sums = "SELECT (SELECT count(*) FROM pgbench_history), (SELECT sum(delta) FROM pgbench_history), (SELECT sum(abalance) FROM pgbench_accounts), \
        (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches)";
    let row = client.query_one(sums, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0) as u64, done);
    let [history, accounts, tellers, branches] = [1, 2, 3, 4].map(|column| row.get::<_, i64>(column));
    assert_eq!([accounts, tellers, branches], [history; 3]);
    rig.shut().await;
}
