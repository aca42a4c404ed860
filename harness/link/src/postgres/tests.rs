//! Whole conversations of PostgreSQL's protocol, and what is none.

use super::{PostgresAction, QueryMatching, frame::message};
use crate::{
    behaviour::Behaviour,
    dose::{Counter, LinkDose},
    pipe::Direction,
    talk::{Begins, Context, Talk, rehearsal::rehearse},
};
use bytes::Bytes;

const READY: &[u8] = b"Z\0\0\0\x05I";

fn rule(query: Option<&str>, action: PostgresAction) -> Behaviour {
    let matching = QueryMatching { query: query.map(str::to_owned), ..QueryMatching::default() };
    Behaviour::postgres(matching, action).expect("the rule of the test is one")
}

fn fails() -> PostgresAction {
    PostgresAction::Error { error: "40001".into(), message: Some("no".into()) }
}

fn failure() -> Bytes {
    message(b'E', b"SERROR\0VERROR\0C40001\0Mno\0Winjected on the way by shakedown\0\0")
}

fn introduction() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0shop\0\0";
    [&(4 + body.len() as u32).to_be_bytes(), body.as_slice()].concat()
}

fn query(text: &str) -> Bytes {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// A statement that is prepared, and its execution.
fn series(text: &str) -> Vec<u8> {
    let parse = message(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat());
    [&parse[..], &message(b'B', &[0; 8]), &message(b'E', &[0; 5])].concat()
}

fn sync() -> Bytes {
    message(b'S', &[])
}

/// What goes on where that is said in this order behind an introduction, and the dose; nothing where it broke.
fn heard(behaviour: &Behaviour, said: &[(Direction, Vec<u8>)]) -> Option<(Vec<Vec<u8>>, LinkDose)> {
    let (talk, counter) = (Talk::new(), Counter::new());
    counter.begin(1);
    let context = Context { behaviour, epoch: 1, connection: 2, counter: &counter };
    let opening = [(Direction::Out, introduction()), (Direction::Home, READY.to_vec())];
    let mut went = Vec::new();
    for (direction, bytes) in opening.iter().chain(said) {
        let parcels = talk.hear(*direction, Bytes::from(bytes.clone()), context).ok()?;
        went.push(parcels.into_iter().flat_map(|parcel| parcel.bytes).collect());
    }
    Some((went.split_off(opening.len()), counter.dose()))
}

fn out(bytes: impl AsRef<[u8]>) -> (Direction, Vec<u8>) {
    (Direction::Out, bytes.as_ref().to_vec())
}

fn home(bytes: impl AsRef<[u8]>) -> (Direction, Vec<u8>) {
    (Direction::Home, bytes.as_ref().to_vec())
}

#[test]
fn an_introduction_is_told_from_what_begins_alike() {
    assert_eq!((super::begins(b"\0\0\0"), super::begins(&introduction())), (Begins::Perhaps, Begins::Yes));
    assert_eq!(super::begins(&[0, 0, 0, 8, 4, 210, 22, 47]), Begins::Yes);
    // A request to Kafka.
    assert_eq!(super::begins(b"\0\0\0\x2a\0\x12\0\x03"), Begins::No);
    assert_eq!(super::begins(b"\x16\x03\x01"), Begins::No);
}

#[test]
fn errors_of_the_server_before_the_asked_one_are_its_own_and_what_it_skipped_is_not_answered() {
    let own = message(b'E', b"SERROR\0C23505\0Mduplicate\0\0");
    let said =
        [out([series("select 1"), series("update stock"), sync().to_vec()].concat()), home([&own[..], READY].concat()), out(query("x"))];
    let (went, dose) = heard(&rule(Some("update*"), fails()), &said).expect("it does not break");
    assert_eq!(went[1], said[1].1);
    assert_eq!((dose.postgres.queries, dose.postgres.matched, dose.postgres.errors), (3, 1, 0));
}

#[test]
fn a_query_that_follows_an_error_before_the_end_of_its_turn_is_left_to_the_failed_transaction() {
    let begun = b"Z\0\0\0\x05T";
    let own = message(b'E', b"SERROR\0C23505\0Mduplicate\0\0");
    let said = [out(query("begin")), home(begun), out(query("insert")), home(&own), out(query("update"))];
    let (went, dose) = heard(&rule(Some("update"), fails()), &said).expect("it does not break");
    assert_eq!(went[4], said[4].1);
    assert_eq!((dose.postgres.queries, dose.postgres.matched), (3, 0));
}

#[test]
fn a_failing_query_in_a_pipeline_changes_its_own_answer_only() {
    let said = [
        out([query("select 1"), query("update stock"), query("select 2")].concat()),
        home(b"C\0\0\0\x06a\0"),
        home([READY, &message(b'N', b"\0"), b"E\0\0\0\x05"].concat()),
        home([b"\0", READY, b"C\0\0\0\x06b\0", READY].concat()),
    ];
    let (went, dose) = heard(&rule(Some("update*"), fails()), &said).expect("it does not break");
    assert!(String::from_utf8_lossy(&went[0]).contains("shakedown answers 40001"));
    assert_eq!(went[1], said[1].1);
    assert_eq!([went[2].as_slice(), &went[3]].concat(), [READY, b"N\0\0\0\x05\0", &failure(), READY, b"C\0\0\0\x06b\0", READY].concat());
    assert_eq!((dose.postgres.matched, dose.postgres.errors), (1, 1));
}

#[test]
fn a_commit_in_a_series_is_followed_by_a_rollback_of_which_only_the_end_is_heard() {
    let said = [out([series("COMMIT"), sync().to_vec()].concat())];
    let commits = rule(Some("commit"), fails());
    let (went, _) = heard(&commits, &said).expect("it does not break");
    let name = b"shakedown-2-0 answers 40001";
    let executed = message(b'E', &[name.as_slice(), &[0; 5]].concat());
    let mut expected = series("COMMIT");
    expected.truncate(expected.len() - 10);
    assert_eq!(went[0], [expected, executed.to_vec(), sync().to_vec(), query("ROLLBACK").to_vec()].concat());
    let no_portal = message(b'E', &[b"Mportal \"".as_slice(), name, b"\" does not exist\0\0"].concat());
    let answers = [b"1\0\0\0\x042\0\0\0\x04", &no_portal[..], b"Z\0\0\0\x05E", b"C\0\0\0\x0dROLLBACK\0", READY].concat();
    let (went, _) = heard(&commits, &[said[0].clone(), home(answers)]).expect("it does not break");
    assert_eq!(went[1], [b"1\0\0\0\x042\0\0\0\x04", &failure()[..], READY].concat());
}

#[test]
fn a_session_that_is_to_end_hears_what_came_before_first() {
    let ends = rule(Some("update*"), PostgresAction::Error { error: "admin_shutdown".into(), message: None });
    let (talk, counter) = (Talk::new(), Counter::new());
    counter.begin(1);
    let context = Context { behaviour: &ends, epoch: 1, connection: 2, counter: &counter };
    let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let went = |direction, said: &[u8]| -> Vec<u8> {
        talk.hear(direction, bytes(said), context).expect("it does not break").into_iter().flat_map(|parcel| parcel.bytes).collect()
    };
    went(Direction::Out, &introduction());
    went(Direction::Home, READY);
    assert_eq!(
        went(Direction::Out, &[query("select 1"), query("update x"), query("select 2")].concat()),
        [&query("select 1")[..], b"X\0\0\0\x04"].concat()
    );
    assert!(talk.own(Direction::Home, context).is_none() && talk.owes(Direction::Home));
    assert_eq!(went(Direction::Home, READY), READY);
    talk.end(Direction::Home);
    let farewell = talk.own(Direction::Home, context).expect("it is its turn");
    assert!(farewell.starts_with(b"E") && String::from_utf8_lossy(&farewell).contains("C57P01"));
    assert!(talk.is_over() && counter.dose().postgres.errors == 1);
}

#[test]
fn an_encrypted_connection_and_a_replication_are_passed_on_and_counted() {
    let all = rule(None, fails());
    let (talk, counter) = (Talk::new(), Counter::new());
    counter.begin(1);
    let context = Context { behaviour: &all, epoch: 1, connection: 2, counter: &counter };
    let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    talk.hear(Direction::Out, bytes(&[0, 0, 0, 8, 4, 210, 22, 47]), context).expect("it does not break");
    assert_eq!(counter.dose().postgres.opaque, 0);
    talk.hear(Direction::Home, bytes(b"S"), context).expect("it does not break");
    assert_eq!(counter.dose().postgres.opaque, 1);
    let both_ways = [home(b"W\0\0\0\x07\0\0\0"), out(b"d\0\0\0\x05r?")];
    let (went, dose) =
        heard(&rule(Some("none"), fails()), &[&[out(query("START_REPLICATION"))], &both_ways[..]].concat()).expect("it does not break");
    assert_eq!((went[1..].concat(), dose.postgres.opaque), (both_ways.map(|(_, bytes)| bytes).concat(), 1));
}

#[test]
fn a_server_that_speaks_out_of_turn_breaks_what_still_owes_an_answer() {
    let said = [out(query("update x")), home(b"what?")];
    assert_eq!(heard(&rule(None, fails()), &said), None);
    let (went, dose) = heard(&rule(Some("none"), fails()), &said).expect("it does not break");
    assert_eq!((went[1].as_slice(), dose.postgres.opaque), (b"what?".as_slice(), 1));
}

fn scraps() -> [Vec<Vec<u8>>; 2] {
    let texts = ["select 1", "COMMIT", "ROLLBACK", "update stock set n = 1", ""];
    let mut said: Vec<_> =
        texts.iter().flat_map(|text| [query(text).to_vec(), series(text), [series(text), sync().to_vec()].concat()]).collect();
    said.extend([
        sync().to_vec(),
        message(b'H', b"").to_vec(),
        message(b'd', b"row").to_vec(),
        message(b'c', b"").to_vec(),
        message(b'C', b"Ss\0").to_vec(),
    ]);
    let heard = [
        READY,
        b"Z\0\0\0\x05E",
        b"Z\0\0\0\x05T",
        b"1\0\0\0\x04",
        b"2\0\0\0\x04",
        b"C\0\0\0\x06a\0",
        b"E\0\0\0\x05\0",
        b"D\0\0\0\x08abcd",
        b"G\0\0\0\x07\0\0\0",
        b"N\0\0\0\x05\0",
    ];
    [said, heard.map(<[u8]>::to_vec).to_vec()]
}

#[test]
fn whatever_is_said_passes_byte_for_byte_where_the_rule_is_for_nothing_in_it() {
    let [said, answers] = scraps();
    let refuses = PostgresAction::Refuse { error: "53300".into(), message: None };
    let rules = [
        rule(Some("none"), fails()),
        Behaviour::postgres(QueryMatching { share: 0.0, ..QueryMatching::default() }, refuses).expect("it is one"),
    ];
    for rule in rules {
        for seed in 0..2_000 {
            let said = rehearse(seed, &rule, &introduction(), [&said, &answers]);
            assert!(!said.broke && said.sent == said.gone, "{seed}: {:?}", said.gone.map(|all| String::from_utf8_lossy(&all).into_owned()));
        }
    }
}

#[test]
fn whatever_is_said_is_survived_where_the_rule_is_for_all_of_it() {
    let [said, answers] = scraps();
    let ends = PostgresAction::Error { error: "57P01".into(), message: None };
    for action in [fails(), ends, PostgresAction::Timeout] {
        let rule = rule(None, action);
        let broken = (0..2_000).filter(|seed| rehearse(*seed, &rule, &introduction(), [&said, &answers]).broke).count();
        assert!(broken < 1_700, "{broken}");
    }
}
