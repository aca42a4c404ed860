//! Whole conversations of Redis, and what is none.

use super::{CommandMatching, RedisAction};
use crate::{
    behaviour::Behaviour,
    dose::{Counter, LinkDose},
    pipe::Direction,
    talk::{Context, Talk, rehearsal::rehearse},
};
use bytes::Bytes;

fn rule(key: Option<&str>, action: RedisAction) -> Behaviour {
    let matching = CommandMatching { key: key.map(str::to_owned), ..CommandMatching::default() };
    Behaviour::redis(matching, action).expect("the rule of the test is one")
}

fn loading() -> RedisAction {
    RedisAction::Error { error: "ERR no".into() }
}

/// A command as a client sends it.
fn resp(line: &str) -> String {
    let words: Vec<_> = line.split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}

/// What goes on where that is said in this order, and the dose; nothing where it broke.
fn heard(behaviour: &Behaviour, said: &[(Direction, String)]) -> Option<(Vec<String>, LinkDose)> {
    let (talk, counter) = (Talk::new(), Counter::new());
    counter.begin(1);
    let context = Context { behaviour, epoch: 1, connection: 2, counter: &counter };
    let mut went = Vec::new();
    for (direction, text) in said {
        let parcels = talk.hear(*direction, Bytes::from(text.clone()), context).ok()?;
        let mut bytes: Vec<u8> = parcels.into_iter().flat_map(|parcel| parcel.bytes).collect();
        if *direction == Direction::Home {
            bytes.extend(std::iter::from_fn(|| talk.own(Direction::Home, context)).flatten());
        }
        went.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Some((went, counter.dose()))
}

fn out(text: impl Into<String>) -> (Direction, String) {
    (Direction::Out, text.into())
}

fn home(text: impl Into<String>) -> (Direction, String) {
    (Direction::Home, text.into())
}

#[test]
fn replies_of_the_link_come_in_their_turn() {
    let said = [
        out([resp("GET a"), resp("GET bad:1"), resp("GET b"), resp("GET bad:2"), resp("GET bad:3")].concat()),
        home("$1\r\n1\r\n"),
        home("*1\r\n$1\r"),
        home("\n2\r\n"),
    ];
    let (went, dose) = heard(&rule(Some("bad:*"), loading()), &said).expect("it does not break");
    assert_eq!(went[0], [resp("GET a"), resp("GET b")].concat());
    assert_eq!(went[1..], ["$1\r\n1\r\n-ERR no\r\n", "*1\r\n$1\r", "\n2\r\n-ERR no\r\n-ERR no\r\n"]);
    assert_eq!((dose.redis.commands, dose.redis.matched, dose.redis.errors), (5, 3, 3));
}

#[test]
fn a_push_is_no_reply_and_a_reply_of_the_link_does_not_break_it() {
    let said = [out(resp("GET a") + &resp("GET bad:1")), home(">1\r\n+x\r\n_"), home("\r\n>1\r\n"), home("+y\r\n")];
    let (went, _) = heard(&rule(Some("bad:*"), loading()), &said).expect("it does not break");
    assert_eq!(went[1..], [">1\r\n+x\r\n_", "\r\n-ERR no\r\n>1\r\n", "+y\r\n"]);
}

#[test]
fn in_a_transaction_the_server_is_told_that_a_command_failed() {
    let said = [
        out([resp("MULTI"), resp("SET bad:1 x"), resp("EXEC"), resp("GET bad:1")].concat()),
        home("+OK\r\n-ERR unknown\r\n-EXECABORT\r\n"),
    ];
    let (went, dose) = heard(&rule(Some("bad:*"), loading()), &said).expect("it does not break");
    assert_eq!(went[0], [resp("MULTI"), resp("SHAKEDOWN.ANSWERS.IN.PLACE.OF.THIS"), resp("EXEC")].concat());
    assert_eq!(went[1], "+OK\r\n-ERR no\r\n-EXECABORT\r\n-ERR no\r\n");
    assert_eq!(dose.redis.errors, 2);
}

#[test]
fn an_execution_that_fails_discards_the_transaction() {
    let matching = CommandMatching { commands: vec!["exec".into()], ..CommandMatching::default() };
    let rule = Behaviour::redis(matching, loading()).expect("it is one");
    let said = [out([resp("MULTI"), resp("SET a x"), resp("EXEC"), resp("GET a")].concat()), home("+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n")];
    let (went, _) = heard(&rule, &said).expect("it does not break");
    assert_eq!(went[0], [resp("MULTI"), resp("SET a x"), resp("DISCARD"), resp("GET a")].concat());
    assert_eq!(went[1], "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: ERR no\r\n$-1\r\n");
}

#[test]
fn a_key_that_is_missed_has_another_name_and_the_others_keep_theirs() {
    let said =
        [out(resp("MGET a cart:1 cart:22")), out("GET cart:1\r\n"), out(resp("SET cart:1 x")), out("GET \"cart:1\"\r\n"), out("\r\n")];
    let (went, dose) = heard(&rule(Some("cart:*"), RedisAction::Miss), &said).expect("it does not break");
    let missed = |line: &str| resp(&line.replace('!', ":missed-by-shakedown"));
    assert_eq!(went[..2], [missed("MGET a cart:1! cart:22!"), missed("GET cart:1!")]);
    assert_eq!(went[2..], [&said[2].1, &said[3].1, &said[4].1].map(Clone::clone));
    assert_eq!((dose.redis.matched, dose.redis.missed), (2, 2));
}

#[test]
fn what_has_not_one_reply_for_each_command_is_passed_on_behind_the_replies_before_it() {
    let said = [out([resp("GET bad:1"), resp("SUBSCRIBE a"), resp("GET bad:1")].concat()), home("*3\r\n"), home("anything"), out("at all")];
    let (went, dose) = heard(&rule(None, loading()), &said).expect("it does not break");
    assert_eq!(went, [resp("SUBSCRIBE a") + &resp("GET bad:1"), "-ERR no\r\n*3\r\n".into(), "anything".into(), "at all".into()]);
    assert_eq!((dose.redis.errors, dose.redis.opaque), (1, 1));
}

#[test]
fn a_large_command_is_met_by_its_first_arguments_and_thrown_away_whole() {
    let large = resp(&format!("SET bad:1 {}", "x".repeat(200_000)));
    let (head, tail) = large.split_at(100_000);
    let said = [out(head), out(tail.to_owned() + &resp("GET a")), home("$-1\r\n")];
    let (went, _) = heard(&rule(Some("bad:*"), loading()), &said).expect("it does not break");
    assert_eq!(went, [String::new(), resp("GET a"), "-ERR no\r\n$-1\r\n".into()]);
    let (went, dose) = heard(&rule(Some("other:*"), loading()), &said).expect("it does not break");
    assert!(went[..2].concat() == said[0].1.clone() + &said[1].1 && dose.redis.commands == 2);
}

#[test]
fn a_server_that_speaks_out_of_turn_breaks_what_still_owes_a_reply() {
    let said = [out(resp("GET a") + &resp("GET bad:1")), home("what?")];
    assert_eq!(heard(&rule(Some("bad:*"), loading()), &said), None);
    let (went, dose) = heard(&rule(Some("other"), loading()), &said).expect("it does not break");
    assert_eq!((went[1].as_str(), dose.redis.opaque), ("what?", 1));
}

fn scraps() -> [Vec<Vec<u8>>; 2] {
    let lines =
        ["GET a", "MGET a b", "SET a 1", "MULTI", "EXEC", "DISCARD", "BLPOP a 0", "XREAD STREAMS a 0", "PING", "AUTH x", "CLIENT REPLY ON"];
    let mut commands: Vec<_> = lines.iter().map(|line| resp(line).into_bytes()).collect();
    commands.extend(["PING\r\n", "*0\r\n", "\r\n", "GET \"a b\"\r\n"].map(|text| text.as_bytes().to_vec()));
    let replies = [
        "+OK\r\n",
        "+QUEUED\r\n",
        "$1\r\na\r\n",
        "*2\r\n:1\r\n$-1\r\n",
        "%1\r\n+a\r\n_\r\n",
        ">1\r\n+x\r\n",
        "-ERR\r\n",
        "|1\r\n+a\r\n+b\r\n:1\r\n",
    ];
    [commands, replies.map(|text| text.as_bytes().to_vec()).to_vec()]
}

#[test]
fn whatever_is_said_passes_byte_for_byte_where_the_rule_is_for_nothing_in_it() {
    let [commands, replies] = scraps();
    for action in [loading(), RedisAction::Miss] {
        let rule = rule(Some("none"), action);
        for seed in 0..2_000 {
            let said = rehearse(seed, &rule, b"*1\r\n$4\r\nPING\r\n", [&commands, &replies]);
            assert!(!said.broke && said.sent == said.gone, "{seed}: {:?}", said.gone.map(|all| String::from_utf8_lossy(&all).into_owned()));
        }
    }
}

#[test]
fn whatever_is_said_is_survived_where_the_rule_is_for_all_of_it() {
    let [commands, replies] = scraps();
    for action in [loading(), RedisAction::Miss, RedisAction::Timeout] {
        let rule = rule(None, action);
        let broken = (0..2_000).filter(|seed| rehearse(*seed, &rule, b"*1\r\n$4\r\nPING\r\n", [&commands, &replies]).broke).count();
        assert!(broken < 1_700, "{broken}");
    }
}
