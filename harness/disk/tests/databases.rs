//! Real databases on the mount: they work on it, and they meet what a disk can do to them. Left out, and said so, where they are not
//! installed (Debian: postgresql, redis-server).

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails, one that is left out says so")]

mod stage;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, chown};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use shakedown_disk::wire::{Delay, Effect};
use stage::{Stage, errno};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
const REDIS: &str = "/usr/bin/redis-server";

/// A cluster whose data lie on the mount and whose socket and log do not.
struct Postgres {
    stage: Stage,
    data: String,
    home: String,
}

impl Postgres {
    fn start(mount: &serde_json::Value) -> Option<Self> {
        if !Path::new(POSTGRES).exists() {
            eprintln!("left out: {POSTGRES} is not there");
            return None;
        }
        let stage = Stage::start(mount, "");
        let id = Command::new("id").args(["-u", "postgres"]).output().unwrap().stdout;
        let uid: u32 = String::from_utf8(id).unwrap().trim().parse().unwrap();
        chown(stage.over(), Some(uid), None).unwrap();
        let home = stage.home().join("postgres");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(uid), None).unwrap();
        let (data, home) = (stage.beneath().join("cluster").to_str().unwrap().to_owned(), home.to_str().unwrap().to_owned());
        stage.run_well("postgres", &[&format!("{POSTGRES}/initdb"), "-D", &data, "--auth=trust", "--data-checksums"]);
        let postgres = Self { stage, data, home };
        postgres.up();
        Some(postgres)
    }

    fn up(&self) {
        let options = format!("-c listen_addresses='' -k {} -c restart_after_crash=off", self.home);
        let (log, control) = (format!("{}/log", self.home), format!("{POSTGRES}/pg_ctl"));
        self.stage.run_well("postgres", &[&control, "start", "-w", "-D", &self.data, "-l", &log, "-o", &options]);
    }

    fn down(&self) {
        self.stage.run_well("postgres", &[&format!("{POSTGRES}/pg_ctl"), "stop", "-w", "-m", "fast", "-D", &self.data]);
    }

    fn ask(&self, query: &str) -> Result<String, String> {
        let output = self.stage.run("postgres", &[&format!("{POSTGRES}/psql"), "-h", &self.home, "-qtA", "-c", query, "postgres"]);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    fn bench(&self, words: &[&str]) -> String {
        let program = format!("{POSTGRES}/pgbench");
        let command = [&[program.as_str(), "-h", self.home.as_str()], words, &["postgres"]].concat();
        self.stage.run_well("postgres", &command)
    }

    fn log(&self) -> String {
        fs::read_to_string(format!("{}/log", self.home)).unwrap()
    }
}

#[test]
fn postgresql_runs_a_bench_on_the_mount_and_its_checksums_are_right() {
    let Some(postgres) = Postgres::start(&json!({})) else { return };
    postgres.bench(&["-i", "-q", "-s", "1"]);
    let said = postgres.bench(&["-c", "4", "-j", "2", "-t", "100"]);
    assert!(said.contains("number of failed transactions: 0"), "{said}");
    let history = || postgres.ask("select count(*), sum(delta) = (select sum(abalance) from pgbench_accounts) from pgbench_history");
    assert_eq!(history().unwrap(), "400|t");
    postgres.down();
    postgres.stage.run_well("postgres", &[&format!("{POSTGRES}/pg_checksums"), "--check", "-D", &postgres.data]);
    postgres.up();
    assert_eq!(history().unwrap(), "400|t");
    postgres.down();
}

#[test]
fn postgresql_panics_when_fsync_fails_and_has_lost_nothing_when_it_is_back() {
    let Some(postgres) = Postgres::start(&json!({})) else { return };
    postgres.ask("create table t (n int); insert into t values (1)").unwrap();
    let mut control = postgres.stage.control();
    control.apply("eio", &["fsync"], &errno("EIO"), json!({"pattern": "cluster/pg_wal/*"}));
    postgres.ask("insert into t values (2)").unwrap_err();
    let dose = control.revert("eio");
    assert!(dose.errors >= 1, "{dose:?}");
    assert!(postgres.log().contains("PANIC:  could not f"), "{}", postgres.log());
    while postgres.stage.run("root", &["pgrep", "-x", "postgres"]).status.success() {}
    postgres.up();
    assert!(postgres.ask("select n from t order by n limit 1").unwrap() == "1");
    postgres.ask("insert into t values (3)").unwrap();
    postgres.down();
}

#[test]
fn postgresql_takes_as_long_as_its_disk() {
    let Some(postgres) = Postgres::start(&json!({})) else { return };
    postgres.ask("create table t (n int)").unwrap();
    let mut control = postgres.stage.control();
    let slow = Effect::Delay(Delay { delay_us: 200_000, jitter_us: 0 });
    control.apply("slow", &["fsync"], &slow, json!({"pattern": "cluster/pg_wal/*"}));
    let begun = std::time::Instant::now();
    postgres.ask("insert into t values (1)").unwrap();
    assert!(begun.elapsed().as_millis() >= 200);
    let dose = control.revert("slow");
    assert!(dose.delayed >= 1 && dose.mean_delay_us.unwrap() >= 200_000, "{dose:?}");
    postgres.down();
}

#[test]
fn postgresql_finds_a_turned_bit_by_its_checksum_and_none_on_the_disk() {
    let Some(postgres) = Postgres::start(&json!({"direct": true})) else { return };
    postgres.ask("create table t as select n, repeat('x', 100) from generate_series(1, 20000) n").unwrap();
    let path = postgres.ask("select pg_relation_filepath('t')").unwrap();
    // What is in the shared buffers is not read again.
    postgres.down();
    postgres.up();
    let mut control = postgres.stage.control();
    control.apply("rot", &["read"], &Effect::Corrupt {}, json!({"pattern": format!("cluster/{path}")}));
    let error = postgres.ask("select count(*) from t").unwrap_err();
    assert!(error.contains("invalid page in block"), "{error}");
    assert!(control.revert("rot").corrupted >= 1);
    assert_eq!(postgres.ask("select count(*) from t").unwrap(), "20000");
    postgres.down();
}

#[test]
fn redis_keeps_its_append_only_file_on_the_mount_and_says_when_it_cannot_be_written() {
    if !Path::new(REDIS).exists() {
        eprintln!("left out: {REDIS} is not there");
        return;
    }
    let stage = Stage::cached();
    let (data, socket) = (stage.beneath().to_str().unwrap().to_owned(), stage.home().join("redis").to_str().unwrap().to_owned());
    let begin = || {
        let words = [REDIS, "--dir", &data, "--port", "0", "--unixsocket", &socket, "--appendonly", "yes", "--appendfsync", "always"];
        stage.run_well("root", &[&words[..], &["--daemonize", "yes", "--save", "", "--enable-debug-command", "yes"]].concat());
        while !fs::metadata(&socket).is_ok_and(|found| found.file_type().is_socket()) || !ask(&stage, &socket, &["ping"]).contains("PONG") {
        }
    };
    begin();
    for number in 0..50 {
        assert_eq!(ask(&stage, &socket, &["set", &format!("key{number}"), "value"]), "OK");
    }
    assert_eq!(ask(&stage, &socket, &["bgrewriteaof"]), "Background append only file rewriting started");
    while !ask(&stage, &socket, &["info", "persistence"]).contains("aof_rewrite_in_progress:0") {}
    let mut control = stage.control();
    control.apply("full", &["write"], &errno("ENOSPC"), json!({"pattern": "*.aof"}));
    // With `appendfsync always` it does not go on without its disk.
    ask(&stage, &socket, &["set", "lost", "value"]);
    while stage.run("root", &["pgrep", "-x", "redis-server"]).status.success() {}
    assert!(control.revert("full").errors >= 1);
    fs::remove_file(&socket).unwrap();
    begin();
    assert_eq!(ask(&stage, &socket, &["dbsize"]), "50");
    assert_eq!(ask(&stage, &socket, &["get", "lost"]), "");
    ask(&stage, &socket, &["shutdown"]);
}

fn ask(stage: &Stage, socket: &str, words: &[&str]) -> String {
    let output = stage.run("root", &[&["redis-cli", "-s", socket], words].concat());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
