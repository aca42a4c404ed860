//! Faults on real files of a real kernel: what a program sees, what is counted, and that it is over when it should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stage;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use serde_json::json;
use shakedown_disk::wire::{Delay, Effect};
use stage::{Stage, errno};

fn delay(millis: u64) -> Effect {
    Effect::Delay(Delay { delay_us: millis * 1_000, jitter_us: 0 })
}

#[test]
fn a_file_that_was_open_before_meets_the_fault_and_is_well_after_it() {
    let stage = Stage::cached();
    let mut file = File::create(stage.over().join("a.wal")).unwrap();
    file.write_all(b"before").unwrap();
    let mut control = stage.control();
    control.apply("full", &["write"], &errno("ENOSPC"), json!({}));
    assert_eq!(file.write_all(b"during").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    file.sync_all().unwrap();
    let dose = control.revert("full");
    assert_eq!((dose.seen.write, dose.struck.write, dose.errors, dose.bytes), (1, 1, 1, 6));
    file.write_all(b"after").unwrap();
    assert_eq!(fs::read(stage.beneath().join("a.wal")).unwrap(), b"beforeafter");
}

#[test]
fn each_kind_of_operation_can_fail_with_the_error_that_was_asked_for() {
    let stage = Stage::cached();
    let path = stage.over().join("a");
    fs::write(&path, "x").unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut control = stage.control();
    let mut fails = |op: &str, name: &str, number: i32, work: &dyn Fn() -> std::io::Result<()>| {
        control.apply("f", &[op], &errno(name), json!({}));
        assert_eq!(work().unwrap_err().raw_os_error(), Some(number), "{op} with {name}");
        let dose = control.revert("f");
        assert!(dose.errors >= 1 && dose.struck.total() == dose.errors);
        work().unwrap();
    };
    fails("read", "EIO", libc::EIO, &|| file.read_exact_at(&mut [0], 0));
    fails("write", "EROFS", libc::EROFS, &|| file.write_all_at(b"y", 0));
    fails("write", "EDQUOT", libc::EDQUOT, &|| file.write_all_at(b"y", 0));
    fails("fsync", "EIO", libc::EIO, &|| file.sync_all());
    fails("fsync", "EIO", libc::EIO, &|| file.sync_data());
    fails("fsync", "EIO", libc::EIO, &|| File::open(stage.over())?.sync_all());
    fails("open", "EMFILE", libc::EMFILE, &|| File::open(&path).map(drop));
    fails("open", "EAGAIN", libc::EAGAIN, &|| File::create(stage.over().join("new")).map(drop));
    fails("metadata", "EACCES", libc::EACCES, &|| file.set_len(1));
}

#[test]
fn a_delayed_fsync_is_answered_late_and_the_dose_says_by_how_much() {
    let stage = Stage::cached();
    let file = File::create(stage.over().join("a")).unwrap();
    let mut control = stage.control();
    control.apply("slow", &["fsync"], &delay(30), json!({}));
    for _ in 0..5 {
        let begun = Instant::now();
        file.sync_all().unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }
    let dose = control.revert("slow");
    assert_eq!((dose.struck.fsync, dose.delayed, dose.held), (5, 5, 0));
    assert!((30_000..40_000).contains(&dose.mean_delay_us.unwrap()), "{dose:?}");
    assert!(dose.p99_delay_us.unwrap() >= 30_000);
}

#[test]
fn many_slow_operations_wait_side_by_side_and_go_when_the_fault_does() {
    const MANY: u64 = 100;
    let stage = Stage::cached();
    let mut control = stage.control();
    let files: Vec<File> = (0..MANY).map(|number| File::create(stage.over().join(number.to_string())).unwrap()).collect();
    control.apply("stuck", &["fsync"], &delay(60_000), json!({}));
    std::thread::scope(|scope| {
        let syncing: Vec<_> = files.iter().map(|file| scope.spawn(|| file.sync_all())).collect();
        while control.dose("stuck").held < MANY {}
        let dose = control.revert("stuck");
        assert!(syncing.into_iter().all(|one| one.join().unwrap().is_ok()));
        assert_eq!((dose.released_early, dose.delayed), (MANY, 0));
    });
}

#[test]
fn a_share_and_a_pattern_choose_and_the_seed_makes_it_the_same_again() {
    let stage = Stage::cached();
    let (log, data) = (File::create(stage.over().join("1.wal")).unwrap(), File::create(stage.over().join("1.dat")).unwrap());
    let mut control = stage.control();
    let mut struck = |seed: u64| {
        let more = json!({"share_ppm": 250_000, "seed": seed, "pattern": "*.wal"});
        control.apply("some", &["write"], &errno("EIO"), more);
        let outcomes: Vec<bool> = (0..400).map(|_| log.write_all_at(b"x", 0).is_err()).collect();
        assert!((0..20).all(|_| data.write_all_at(b"x", 0).is_ok()), "the pattern is not about this file");
        let dose = control.revert("some");
        assert_eq!((dose.seen.write, dose.errors), (400, outcomes.iter().filter(|failed| **failed).count() as u64));
        outcomes
    };
    let first = struck(7);
    assert!((60..140).contains(&first.iter().filter(|failed| **failed).count()));
    assert_eq!(first, struck(7));
    assert_ne!(first, struck(8));
}

#[test]
fn corrupted_reads_differ_by_a_bit_and_the_disk_and_later_reads_do_not() {
    for stage in [Stage::cached(), Stage::direct()] {
        let clean = vec![0x5a; 8192];
        fs::write(stage.beneath().join("a"), &clean).unwrap();
        let mut open_before = File::open(stage.over().join("a")).unwrap();
        let mut read = Vec::new();
        open_before.read_to_end(&mut read).unwrap();
        assert_eq!(read, clean);
        let mut control = stage.control();
        control.apply("rot", &["read"], &Effect::Corrupt {}, json!({}));
        read.clear();
        open_before.rewind().unwrap();
        open_before.read_to_end(&mut read).unwrap();
        assert_ne!(read, clean, "also of what the kernel had cached before");
        assert_eq!(fs::read(stage.beneath().join("a")).unwrap(), clean);
        let flipped: u32 = read.iter().zip(&clean).map(|(is, was)| (is ^ was).count_ones()).sum();
        let dose = control.revert("rot");
        assert!(u64::from(flipped) <= dose.corrupted && flipped >= 1, "{flipped} {dose:?}");
        read.clear();
        open_before.rewind().unwrap();
        open_before.read_to_end(&mut read).unwrap();
        assert_eq!(read, clean, "what was spoiled does not stay in the page cache");
    }
}

#[test]
fn short_reads_return_less_than_there_is_and_a_patient_program_gets_it_all() {
    let stage = Stage::direct();
    let clean: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    fs::write(stage.over().join("a"), &clean).unwrap();
    let mut file = File::options().read(true).append(true).open(stage.over().join("a")).unwrap();
    let mut control = stage.control();
    control.apply("short", &["read"], &Effect::Short {}, json!({}));
    let mut buffer = vec![0; clean.len()];
    let length = file.read(&mut buffer).unwrap();
    assert!((1..clean.len()).contains(&length));
    file.rewind().unwrap();
    let mut read = Vec::new();
    file.read_to_end(&mut read).unwrap();
    assert_eq!(read, clean);
    file.write_all(b"!").unwrap();
    let dose = control.revert("short");
    assert!(dose.short >= 2 && dose.struck.read >= dose.short);
    assert_eq!(fs::metadata(stage.over().join("a")).unwrap().len(), clean.len() as u64 + 1, "the kernel still knows where the file ends");
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let stage = Stage::cached();
    let mut control = stage.control();
    let code = |reply: serde_json::Value| reply["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code(control.try_apply("f", &["read"], &Effect::Short {}, json!({}))), "unsupported");
    assert_eq!(code(control.try_apply("f", &["read"], &delay(1), json!({"path": "/elsewhere"}))), "unknown_mount");
    assert_eq!(code(control.try_apply("f", &["read"], &errno("EFUNNY"), json!({}))), "invalid");
    assert_eq!(code(control.try_apply("f", &["read"], &delay(1), json!({"shrae_ppm": 1}))), "malformed");
    assert_eq!(code(control.ask(json!({"op": "dose", "name": "f"}))), "unknown_fault");
    assert_eq!(control.ask(json!({"op": "beat"}))["ok"]["beat"]["faults"], json!([]));
    control.apply("f", &["read"], &delay(1), json!({}));
    assert_eq!(code(control.try_apply("f", &["read"], &delay(1), json!({}))), "name_taken");
    assert_eq!(control.ask(json!({"op": "revert", "name": "g"}))["ok"]["reverted"]["already_gone"], true);
}

#[test]
fn the_end_of_a_conversation_takes_its_faults_back_and_no_others() {
    let stage = Stage::cached();
    let file = File::create(stage.over().join("a")).unwrap();
    let (mut one, mut other) = (stage.control(), stage.control());
    one.apply("mine", &["write"], &errno("EIO"), json!({}));
    other.apply("theirs", &["fsync"], &errno("EIO"), json!({}));
    assert!(file.write_all_at(b"x", 0).is_err());
    let last_words = one.end();
    assert_eq!(last_words[0]["event"]["taken_back"]["dose"]["errors"], 1);
    file.write_all_at(b"x", 0).unwrap();
    assert!(file.sync_all().is_err());
    other.kill();
    let mut later = stage.control();
    while later.ask(json!({"op": "beat"}))["ok"]["beat"]["faults"] != json!([]) {}
    file.sync_all().unwrap();
}

#[test]
fn a_fault_ends_by_itself_when_its_time_is_over() {
    let stage = Stage::cached();
    let mut control = stage.control();
    control.apply("brief", &["write"], &errno("EIO"), json!({"ttl_ms": 50}));
    let event = control.hear();
    assert_eq!(event["event"]["expired"]["name"], "brief");
    fs::write(stage.over().join("a"), "x").unwrap();
}

#[test]
fn a_line_that_is_too_long_or_no_json_is_answered() {
    let stage = Stage::cached();
    let mut control = stage.control();
    control.say("what?");
    assert_eq!(control.hear()["error"]["code"], "malformed");
    control.say(r#"{"id":7,"op":"jump"}"#);
    assert_eq!(control.hear()["id"], 7);
    control.say(&"x".repeat(70_000));
    assert_eq!(control.hear()["error"]["code"], "malformed");
    assert_eq!(control.ask(json!({"op": "beat"}))["ok"]["beat"]["faults"], json!([]), "the next line is heard");
}
