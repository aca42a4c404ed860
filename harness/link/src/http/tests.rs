//! Whole conversations of HTTP/1.x, and what is none.

use crate::{
    behaviour::Behaviour,
    dose::Counter,
    http::{HttpAction, Matching, Patch, PathPattern},
    pipe::Direction,
    talk::{Context, Talk},
};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What requests and answers are made of, and what breaks them.
const SCRAPS: [&str; 22] = [
    "GET / HTTP/1.1\r\n",
    "HEAD /a HTTP/1.0\r\n",
    "CONNECT b:1 HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.0 304 \r\n",
    "Connection: upgrade\r\nUpgrade: x\r\n",
    "Connection: close\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 4\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "A: b\r\n",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "abc",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "\n",
    "\u{16}",
];

fn rule(path: &str, share: f64, action: HttpAction) -> Behaviour {
    let path = Some(PathPattern::Prefix(path.into()));
    Behaviour::http(Matching { path, share, ..Matching::default() }, action).expect("the rule of the test is one")
}

/// A conversation of scraps, cut anywhere, under a rule that comes and goes; what was sent in each direction, what went on, and whether it broke.
fn conversation(seed: u64, rule: &Behaviour) -> ([Vec<u8>; 2], [Vec<u8>; 2], bool) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (talk, counter) = (Talk::new(), Counter::new());
    let (mut sent, mut gone, mut epoch) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], 0);
    for turn in 0..random.random_range(1..40) {
        // A callee that speaks first is not followed at all.
        let share = if turn == 0 { 0.95 } else { 0.5 };
        let direction = if random.random::<f64>() < share { Direction::Out } else { Direction::Home };
        epoch += u64::from(random.random::<f64>() < 0.1);
        let behaviour = if epoch % 3 == 2 { &Behaviour::Pass } else { rule };
        let context = Context { behaviour, epoch, connection: 1, counter: &counter };
        let at = direction as usize;
        gone[at].extend(talk.let_go(direction, context));
        let scrap = SCRAPS[random.random_range(0..SCRAPS.len())].as_bytes();
        let scrap = &scrap[..=random.random_range(scrap.len() / 2..scrap.len())];
        sent[at].extend_from_slice(scrap);
        let Ok(parcels) = talk.hear(direction, Bytes::copy_from_slice(scrap), context) else { return (sent, gone, true) };
        gone[at].extend(parcels.into_iter().flat_map(|parcel| parcel.bytes));
        while let Some(answer) = talk.own(Direction::Home, context) {
            gone[1].extend(answer);
        }
    }
    for direction in [Direction::Out, Direction::Home] {
        gone[direction as usize].extend(talk.end(direction));
    }
    (sent, gone, false)
}

#[test]
fn whatever_is_said_passes_byte_for_byte_where_the_rule_is_for_nothing_in_it() {
    let patch = HttpAction::Patch(Patch { status: Some(500), ..Patch::default() });
    for action in [HttpAction::Abort { status: 500 }, patch] {
        let rule = rule("/none", 1.0, action);
        for seed in 0..4_000 {
            let (sent, gone, broke) = conversation(seed, &rule);
            assert!(
                !broke && sent == gone,
                "{seed}: {:?}",
                [sent, gone].map(|all| all.map(|text| String::from_utf8_lossy(&text).into_owned()))
            );
        }
    }
}

/// What goes on in the order in which it is said, under a rule that replaces the body of every answer; nothing where it broke.
fn patched(said: &[(Direction, &'static str)]) -> Option<Vec<String>> {
    let rule = rule("/", 1.0, HttpAction::Patch(Patch { body: Some(Bytes::from_static(b"no")), ..Patch::default() }));
    let (talk, counter) = (Talk::new(), Counter::new());
    let context = Context { behaviour: &rule, epoch: 1, connection: 2, counter: &counter };
    let hear = |(direction, text): &(Direction, &'static str)| {
        let parcels = talk.hear(*direction, Bytes::from_static(text.as_bytes()), context).ok()?;
        Some(parcels.iter().map(|parcel| String::from_utf8_lossy(&parcel.bytes)).collect())
    };
    said.iter().map(hear).collect()
}

#[test]
fn a_head_that_is_held_goes_first_when_the_other_direction_gives_up() {
    let said = [
        (Direction::Out, "GET / HTTP/1.1\r\n\r\n"),
        (Direction::Home, "HTTP/1.1 200 O"),
        (Direction::Out, "\u{16}"),
        (Direction::Home, "K\r\n"),
    ];
    assert_eq!(patched(&said).expect("it does not break"), [said[0].1, "", said[2].1, "HTTP/1.1 200 OK\r\n"]);
}

#[test]
fn an_answer_with_another_body_never_has_the_old_one_behind_it() {
    let asked = (Direction::Out, "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let refused = (Direction::Home, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    let went = patched(&[asked, refused, (Direction::Home, "yes")]).expect("it does not break");
    assert_eq!(went[1..], ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", ""]);
    assert_eq!(patched(&[asked, (Direction::Out, "early"), refused]), None);
}

#[test]
fn a_callee_that_speaks_out_of_turn_breaks_what_still_owes_an_answer() {
    let (rule, talk, counter) = (rule("/pay", 1.0, HttpAction::Abort { status: 500 }), Talk::new(), Counter::new());
    let context = Context { behaviour: &rule, epoch: 1, connection: 2, counter: &counter };
    let requests = Bytes::from_static(b"GET /cart HTTP/1.1\r\n\r\nGET /pay HTTP/1.1\r\n\r\n");
    assert!(talk.hear(Direction::Out, requests, context).is_ok());
    assert!(talk.own(Direction::Home, context).is_none());
    assert!(talk.hear(Direction::Home, Bytes::from_static(b"what?"), context).is_err());
}

#[test]
fn whatever_is_said_is_survived_where_the_rule_is_for_all_of_it() {
    let patch = Patch { status: Some(500), body: Some(Bytes::from_static(b"no")), ..Patch::default() };
    for action in [HttpAction::Abort { status: 500 }, HttpAction::Patch(patch)] {
        let rule = rule("/", 0.7, action);
        let mut broken = 0;
        for seed in 0..4_000 {
            let (sent, gone, broke) = conversation(seed, &rule);
            broken += u32::from(broke);
            assert!(gone[0].len() <= sent[0].len(), "{seed}: a request never grows");
        }
        assert!(broken < 2_000, "{broken}");
    }
}
