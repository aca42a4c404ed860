//! Whole conversations, well formed and not, cut anywhere: what either side then reads.

use super::{
    PREFACE,
    block::Blocks,
    fields::Field,
    frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PAYLOAD, PRIORITIZED, RST_STREAM, SETTINGS, put, written},
    framing::Framing,
    hpack::{Decoder, NO_TABLE, encoded},
};
use crate::{
    behaviour::Behaviour,
    dose::Counter,
    http::{GrpcStatus, HttpAction, Matching, Patch, PathPattern},
    pipe::Direction,
    talk::{Context, Parcels, Talk},
};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, time::Duration};

fn rule(path: &str, action: HttpAction) -> Behaviour {
    let path = Some(PathPattern::Prefix(path.into()));
    Behaviour::http(Matching { path, ..Matching::default() }, action).expect("the rule of the test is one")
}

/// One that writes header blocks as endpoints do: what was said once is said shorter.
struct Writer(Decoder);

impl Writer {
    fn block(&mut self, fields: &[(&str, String)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            let index = self.0.index_of(name, value);
            let part = match index {
                Some(index) if index < 127 => vec![0x80 | index as u8],
                _ => {
                    let mut literal = encoded(&[Field::new((*name).to_owned(), value.clone())]);
                    literal[0] = 0x40;
                    literal
                }
            };
            self.0.decode(&part).expect("it is well formed");
            block.extend(part);
        }
        block
    }
}

/// A HEADERS frame in one of the shapes it may have.
fn headers(random: &mut ChaCha8Rng, stream: u32, ends: bool, block: &[u8]) -> Vec<u8> {
    let (mut bytes, mut flags, mut front, mut back) = (Vec::new(), if ends { END_STREAM } else { 0 }, Vec::new(), Vec::new());
    if random.random() {
        flags |= PADDED;
        back = vec![0; random.random_range(0..20)];
        front.push(back.len() as u8);
    }
    if random.random() {
        flags |= PRIORITIZED;
        front.extend([0, 0, 0, 0, 16]);
    }
    let at = if random.random() { block.len() } else { random.random_range(0..=block.len()) };
    let last = if at == block.len() { END_HEADERS } else { 0 };
    put(&mut bytes, HEADERS, flags | last, stream, &[&front, &block[..at], &back]);
    if at < block.len() {
        put(&mut bytes, CONTINUATION, END_HEADERS, stream, &[&block[at..]]);
    }
    bytes
}

/// What a side reads on one stream.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Read {
    blocks: Vec<Vec<(String, String)>>,
    data: Vec<u8>,
    ended: bool,
    reset: bool,
}

/// What a side reads of these bytes, stream by stream.
fn read(bytes: &[u8]) -> BTreeMap<u32, Read> {
    let (mut framing, mut blocks, mut decoder, mut streams) =
        (Framing::default(), Blocks::default(), Decoder::new(), BTreeMap::<u32, Read>::new());
    let mut parcels = Parcels::new(Bytes::copy_from_slice(bytes));
    let mut opened = 0;
    while let Some(frame) = framing.next(&mut parcels, |_| Ok(true)).expect("frames are well formed") {
        assert!(blocks.admits(&frame.header));
        frame.skip(&mut parcels);
        let read = streams.entry(frame.header.stream).or_default();
        match frame.header.kind {
            HEADERS | CONTINUATION => {
                let heard = blocks.hear(&frame).expect("blocks are well formed");
                let Some((envelope, block)) = heard else { continue };
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                let fields = decoder.decode(&block).expect("its reader can read it");
                assert!(!read.blocks.is_empty() || fields[0].name != ":method" || envelope.stream > opened, "streams are opened in order");
                opened = opened.max(envelope.stream);
                read.blocks.push(fields.iter().map(|field| (text(&field.name), text(&field.value))).collect());
                read.ended |= envelope.ends_stream;
            }
            DATA => {
                read.data.extend_from_slice(&frame.content().expect("padding is well formed"));
                read.ended |= frame.header.ends_stream();
            }
            RST_STREAM => read.reset = true,
            _ => {}
        }
    }
    assert!(framing.is_between() && parcels.rest().is_empty());
    streams.remove(&0);
    streams
}

/// What both sides say in a conversation of some streams at once, frame by frame.
fn conversation(random: &mut ChaCha8Rng, is_answered: impl Fn(bool) -> bool) -> Vec<(Direction, Vec<u8>)> {
    let (mut caller, mut callee) = (Writer(Decoder::new()), Writer(Decoder::new()));
    let mut said = vec![(Direction::Out, PREFACE.to_vec()), (Direction::Out, written(SETTINGS, 0, 0, &[]).to_vec())];
    said.insert(random.random_range(0..3), (Direction::Home, written(SETTINGS, 0, 0, &[]).to_vec()));
    // For each stream its number, whether it pays, and what comes next of it.
    let mut streams: Vec<(u32, bool, u8)> = Vec::new();
    for turn in 0..random.random_range(1..60) {
        if streams.is_empty() || random.random::<f64>() < 0.4 {
            let (stream, pays) = (turn * 2 + 1, random.random());
            let path = format!("/{}/{}", if pays { "pay" } else { "cart" }, random.random_range(0..4));
            let block = caller.block(&[
                (":method", "POST".into()),
                (":path", path),
                ("content-type", "application/grpc".into()),
                ("x-number", random.random_range(0..90).to_string()),
            ]);
            said.push((Direction::Out, headers(random, stream, false, &block)));
            streams.push((stream, pays, 0));
            continue;
        }
        let at = random.random_range(0..streams.len());
        let (stream, pays, stage) = streams[at];
        streams[at].2 += 1;
        let text: Vec<u8> = (0..random.random_range(0..300)).map(|index: u32| (index + stream) as u8).collect();
        match stage {
            0 => said.push((Direction::Out, written(DATA, 0, stream, &text).to_vec())),
            1 => said.push((Direction::Out, written(DATA, PADDED | END_STREAM, stream, &[&[3], &text[..], &[0; 3]].concat()).to_vec())),
            _ if !is_answered(pays) => drop(streams.remove(at)),
            2 => {
                let number = random.random_range(0..90).to_string();
                let block = callee.block(&[(":status", "200".into()), ("content-type", "application/grpc".into()), ("x-number", number)]);
                said.push((Direction::Home, headers(random, stream, false, &block)));
            }
            3 => said.push((Direction::Home, written(DATA, PADDED, stream, &[&[2], &text[..], &[0; 2]].concat()).to_vec())),
            _ if random.random::<f64>() < 0.2 => {
                said.push((Direction::Home, written(RST_STREAM, 0, stream, &[0, 0, 0, 8]).to_vec()));
                streams.remove(at);
            }
            _ => {
                let block = callee.block(&[("grpc-status", "0".into()), ("x-number", random.random_range(0..90).to_string())]);
                said.push((Direction::Home, headers(random, stream, true, &block)));
                streams.remove(at);
            }
        }
    }
    said
}

/// What goes on of what is said, cut anywhere; nothing where it broke.
fn relayed(random: &mut ChaCha8Rng, said: &[(Direction, Vec<u8>)], behaviour: &Behaviour, counter: &Counter) -> Option<[Vec<u8>; 2]> {
    let talk = Talk::new();
    let mut gone = [Vec::new(), Vec::new()];
    let context = Context { behaviour, epoch: 1, connection: 1, counter };
    for (direction, bytes) in said {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, others) = rest.split_at(if random.random() { rest.len() } else { random.random_range(1..=rest.len()) });
            rest = others;
            let parcels = talk.hear(*direction, Bytes::copy_from_slice(part), context).ok()?;
            gone[*direction as usize].extend(parcels.into_iter().flat_map(|parcel| parcel.bytes));
        }
        drain(&talk, context, &mut gone);
    }
    // The end of the rule lets go what is held.
    drain(&talk, Context { behaviour: &Behaviour::Pass, epoch: 2, ..context }, &mut gone);
    for direction in [Direction::Out, Direction::Home] {
        gone[direction as usize].extend(talk.end(direction));
    }
    Some(gone)
}

fn drain(talk: &Talk, context: Context<'_>, gone: &mut [Vec<u8>; 2]) {
    for direction in [Direction::Home, Direction::Out] {
        gone[direction as usize].extend(talk.let_go(direction, context));
        while let Some(bytes) = talk.own(direction, context) {
            gone[direction as usize].extend(bytes);
        }
    }
}

fn all(said: &[(Direction, Vec<u8>)], direction: Direction) -> Vec<u8> {
    said.iter().filter(|(said, _)| *said == direction).flat_map(|(_, bytes)| bytes.clone()).collect()
}

fn counter() -> Counter {
    let counter = Counter::new();
    counter.begin(1);
    counter
}

fn patch() -> HttpAction {
    HttpAction::Patch(Patch {
        status: Some(500),
        set: vec![("grpc-status".into(), "14".into())],
        body: Some("no".into()),
        ..Patch::default()
    })
}

fn is_pay(read: &Read) -> bool {
    read.blocks[0].iter().any(|(name, value)| name == ":path" && value.starts_with("/pay"))
}

/// Compares what either side reads with what the other said, but for the streams of which `expect` says what is read of the answer.
fn check(action: &HttpAction, is_answered: bool, expect: impl Fn(&Read) -> Option<Read>) {
    for seed in 0..400 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let said = conversation(&mut random, |pays| is_answered || !pays);
        let counter = counter();
        let gone = relayed(&mut random, &said, &rule("/pay", action.clone()), &counter).expect("it does not break");
        let [asked, answered] = [Direction::Out, Direction::Home].map(|direction| all(&said, direction));
        let (asked, mut answered) = (read(&asked[PREFACE.len()..]), read(&answered));
        let (mut heard, got) = (read(&gone[0][PREFACE.len()..]), read(&gone[1]));
        let pays: Vec<u32> = asked.iter().filter(|(_, read)| is_pay(read)).map(|(stream, _)| *stream).collect();
        for stream in &pays {
            if !is_answered {
                assert_eq!(heard.insert(*stream, asked[stream].clone()), None, "{seed}: the callee hears nothing of it");
            }
            if let Some(read) = expect(&answered.remove(stream).unwrap_or_default()) {
                answered.insert(*stream, read);
            }
        }
        assert_eq!(heard, asked, "{seed}");
        assert_eq!(got, answered, "{seed}");
        assert_eq!((counter.dose().http.requests, counter.dose().http.matched), (asked.len() as u64, pays.len() as u64));
    }
}

fn block(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_aborted_request_is_answered_and_all_others_are_read_as_they_were_said() {
    let own = |fields: &[(&str, &str)]| Read { blocks: vec![block(fields)], ended: true, ..Read::default() };
    check(&HttpAction::Abort { status: 503 }, false, |_| Some(own(&[(":status", "503"), ("content-length", "0")])));
    let grpc = HttpAction::GrpcAbort { status: GrpcStatus::UNAVAILABLE, message: "no".into() };
    let ended = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", "no")];
    check(&grpc, false, |_| Some(own(&ended)));
}

#[test]
fn a_delayed_answer_is_read_whole_and_all_others_too() {
    for duration in [Duration::ZERO, Duration::from_hours(1)] {
        check(&HttpAction::Delay { duration }, true, |read| (*read != Read::default()).then(|| read.clone()));
    }
}

#[test]
fn a_patched_answer_is_read_with_its_new_body_and_status_and_all_others_as_they_were_said() {
    check(&patch(), true, |read| {
        let mut expected = read.clone();
        let head = expected.blocks.first_mut()?;
        head[0].1 = "500".into();
        expected.data = b"no".to_vec();
        if let Some(trailers) = expected.blocks.get_mut(1) {
            trailers.retain(|(name, _)| name != "grpc-status");
            trailers.push(("grpc-status".into(), "14".into()));
        }
        Some(expected)
    });
}

#[test]
fn whatever_is_said_passes_byte_for_byte_where_the_rule_is_for_nothing_in_it() {
    for seed in 0..400 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut said = conversation(&mut random, |_| true);
        if seed % 2 == 0 {
            spoil(&mut random, &mut said);
        }
        for behaviour in [rule("/none", HttpAction::Abort { status: 500 }), rule("/none", patch()), Behaviour::Pass] {
            let gone = relayed(&mut random, &said, &behaviour, &counter()).expect("it does not break");
            assert!(gone == [Direction::Out, Direction::Home].map(|direction| all(&said, direction)), "{seed}");
        }
    }
}

#[test]
fn whatever_is_said_is_survived_where_the_rule_is_for_all_of_it() {
    let delay = HttpAction::Delay { duration: Duration::ZERO };
    let mut broken = 0;
    for action in [HttpAction::Abort { status: 500 }, delay, patch()] {
        for seed in 0..800 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut said = conversation(&mut random, |_| true);
            spoil(&mut random, &mut said);
            broken += u32::from(relayed(&mut random, &said, &rule("/", action.clone()), &counter()).is_none());
        }
    }
    assert!((50..2_200).contains(&broken), "{broken}");
}

/// Changes some bytes, behind the preface.
fn spoil(random: &mut ChaCha8Rng, said: &mut [(Direction, Vec<u8>)]) {
    for _ in 0..random.random_range(1..6) {
        let (_, bytes) = &mut said[random.random_range(0..said.len())];
        if *bytes != PREFACE {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
    }
}

/// A conversation that has begun, with a request on each of these paths.
fn begun(paths: &[&str], context: Context<'_>) -> Talk {
    let (talk, settings) = (Talk::new(), written(SETTINGS, 0, 0, &[]));
    let request = |(index, path): (usize, &&str)| {
        let block = encoded(&[Field::new(":method", "GET"), Field::new(":path", (*path).to_owned())]);
        written(HEADERS, END_STREAM | END_HEADERS, index as u32 * 2 + 1, &block)
    };
    let requests: Vec<Bytes> = paths.iter().enumerate().map(request).collect();
    assert!(talk.hear(Direction::Out, [PREFACE, &settings, &requests.concat()].concat().into(), context).is_ok());
    talk
}

/// What goes on of these bytes.
fn gone(talk: &Talk, direction: Direction, bytes: &[u8], context: Context<'_>) -> Vec<u8> {
    let parcels = talk.hear(direction, Bytes::copy_from_slice(bytes), context).expect("it does not break");
    parcels.into_iter().flat_map(|parcel| parcel.bytes).collect()
}

#[test]
fn an_answer_of_the_link_comes_behind_the_settings_of_the_callee_and_the_first_says_that_it_keeps_no_table() {
    let (behaviour, counter) = (rule("/pay", HttpAction::Abort { status: 503 }), counter());
    let context = Context { behaviour: &behaviour, epoch: 1, connection: 1, counter: &counter };
    let talk = begun(&["/pay", "/pay"], context);
    assert!(talk.own(Direction::Home, context).is_none() && talk.owes(Direction::Home));
    let settings = written(SETTINGS, 0, 0, &[]);
    let answer = encoded(&super::answer::own(503));
    let answers = [[&[NO_TABLE], answer.as_slice()].concat(), answer.clone()];
    let [first, second] = [0, 1].map(|index: usize| written(HEADERS, END_STREAM | END_HEADERS, index as u32 * 2 + 1, &answers[index]));
    assert_eq!(gone(&talk, Direction::Home, &settings, context), [settings, first, second].concat());
    assert!(!talk.owes(Direction::Home));
    assert_eq!(counter.dose().http.aborted, 2);
    // The other direction has a writer of its own.
    let block = encoded(&[Field::new(":method", "GET"), Field::new(":path", "/cart")]);
    let request = |block: &[u8]| written(HEADERS, END_STREAM | END_HEADERS, 5, block);
    assert_eq!(gone(&talk, Direction::Out, &request(&block), context), request(&[&[NO_TABLE], &*block].concat()));
}

#[test]
fn while_much_is_held_back_what_is_under_way_is_read_to_its_end_and_what_is_not_is_no_obstacle() {
    let (behaviour, counter) = (rule("/pay", HttpAction::Delay { duration: Duration::from_hours(1) }), counter());
    let context = Context { behaviour: &behaviour, epoch: 1, connection: 1, counter: &counter };
    let talk = begun(&["/pay", "/cart"], context);
    let head = |stream| written(HEADERS, END_HEADERS, stream, &encoded(&[Field::new(":status", "200")]));
    gone(&talk, Direction::Home, &[written(SETTINGS, 0, 0, &[]), head(1), head(3)].concat(), context);
    let (late, other) = (written(DATA, 0, 1, &[1; PAYLOAD]), written(DATA, 0, 3, b"other"));
    for _ in 0..=128 {
        assert_eq!(gone(&talk, Direction::Home, &late, context), b"");
    }
    assert!(talk.is_full(Direction::Home, context) && !talk.is_full(Direction::Out, context));
    assert_eq!(gone(&talk, Direction::Home, &other[..11], context), &other[..11]);
    assert!(!talk.is_full(Direction::Home, context), "the rest of a frame that is under way must be read");
    assert_eq!(gone(&talk, Direction::Home, &[&other[11..], &late[..100]].concat(), context), &other[11..]);
    assert!(talk.is_full(Direction::Home, context) && talk.due(Direction::Home).is_some());
    let ended = Context { behaviour: &Behaviour::Pass, epoch: 2, ..context };
    assert!(talk.own(Direction::Home, ended).is_some(), "a frame of which nothing went on is no obstacle");
}

#[test]
fn a_callee_that_sends_more_than_the_link_left_of_the_window_waits_for_the_caller() {
    let patch = HttpAction::Patch(Patch { body: Some(vec![b'x'; 60_000].into()), ..Patch::default() });
    let (behaviour, counter) = (rule("/pay", patch), counter());
    let context = Context { behaviour: &behaviour, epoch: 1, connection: 1, counter: &counter };
    let talk = begun(&["/pay", "/cart"], context);
    let head = |stream, flags| written(HEADERS, END_HEADERS | flags, stream, &encoded(&[Field::new(":status", "200")]));
    let mut heard = gone(&talk, Direction::Home, &[written(SETTINGS, 0, 0, &[]), head(1, END_STREAM), head(3, 0)].concat(), context);
    for _ in 0..3 {
        heard.extend(gone(&talk, Direction::Home, &written(DATA, 0, 3, &[7; 15_000]), context));
    }
    heard.extend(gone(&talk, Direction::Home, &written(DATA, END_STREAM, 3, b"end"), context));
    let streams = read(&heard);
    assert_eq!((streams[&1].data.len(), streams[&3].data.len(), streams[&3].ended), (60_000, 5_535, false));
    // What the callee sent is paid by what it does not know of, and that by what the caller gives back.
    let given = |bytes| gone(&talk, Direction::Out, &super::frame::window_update(0, bytes), context);
    assert_eq!((given(40_000), given(25_000)), [19_468, 25_000].map(|bytes| super::frame::window_update(0, bytes).to_vec()).into());
    while let Some(bytes) = talk.own(Direction::Home, context) {
        heard.extend(bytes);
    }
    let streams = read(&heard);
    assert_eq!((streams[&3].data.len(), streams[&3].ended), (45_003, true));
}
