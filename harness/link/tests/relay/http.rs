//! Faults on HTTP/1.x requests, and traffic that is none.

use crate::rig::{Rig, hear, kind_of_end, nothing_is_there, soon};
use shakedown_link::{Behaviour, HttpAction, Matching, PathPattern};
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const OWN: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const ABORT: HttpAction = HttpAction::Abort { status: 503 };

pub(crate) fn rule(matching: Matching, action: HttpAction) -> Behaviour {
    Behaviour::http(matching, action).unwrap()
}

pub(crate) fn on_path(prefix: &str) -> Matching {
    Matching { path: Some(PathPattern::Prefix(prefix.into())), ..Matching::default() }
}

/// Says something on one side and hears it on the other.
pub(crate) async fn pass(from: &mut TcpStream, to: &mut TcpStream, text: &str) {
    from.write_all(text.as_bytes()).await.unwrap();
    hear(to, text.as_bytes()).await;
}

/// A request that reaches the callee, and its answer.
pub(crate) async fn exchange(caller: &mut TcpStream, callee: &mut TcpStream, path: &str) {
    pass(caller, callee, &format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
    pass(callee, caller, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
}

#[tokio::test]
async fn an_aborted_request_is_answered_on_a_connection_from_before_which_stays_usable() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    exchange(&mut caller, &mut callee, "/pay").await;
    rig.link.set(rule(on_path("/pay"), ABORT));
    for _ in 0..2 {
        caller.write_all(b"POST /pay HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        hear(&mut caller, OWN).await;
        nothing_is_there(&callee);
        exchange(&mut caller, &mut callee, "/cart").await;
    }
    rig.link.set(Behaviour::Pass);
    exchange(&mut caller, &mut callee, "/pay").await;
    let dose = rig.link.dose();
    assert_eq!((dose.http.requests, dose.http.matched, dose.http.aborted, dose.http.opaque), (4, 2, 2, 0));
    assert_eq!((dose.connections_touched, dose.chunks, dose.resets), (1, 0, 0));
    rig.shut().await;
}

#[tokio::test]
async fn a_request_that_was_under_way_is_left_alone_whatever_its_body_looks_like() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    pass(&mut caller, &mut callee, "POST /a HTTP/1.1\r\nContent-Length: 40\r\n\r\nGET /").await;
    let (mut early, mut early_callee) = rig.pair().await;
    pass(&mut early, &mut early_callee, "GET /half HTTP/1.1\r\nHo").await;
    rig.link.set(rule(Matching::default(), ABORT));
    pass(&mut caller, &mut callee, "pay HTTP/1.1\r\nHost: body, not head\r\n").await;
    rig.link.set(rule(Matching::default(), ABORT));
    caller.write_all(b"GET /pay HTTP/1.1\r\n\r\n").await.unwrap();
    callee.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    hear(&mut caller, b"HTTP/1.1 204 No Content\r\n\r\n").await;
    hear(&mut caller, OWN).await;
    pass(&mut early, &mut early_callee, "st: x\r\n\r\n").await;
    pass(&mut early_callee, &mut early, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!((rig.link.dose().http.requests, rig.link.dose().http.aborted), (1, 1));
    rig.shut().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(on_path("/pay"), ABORT));
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\n\r\n");
    let all: String = ["/pay", "/1", "/pay", "/pay", "/2", "/pay"].map(request).concat();
    caller.write_all(all.as_bytes()).await.unwrap();
    hear(&mut callee, (request("/1") + &request("/2")).as_bytes()).await;
    hear(&mut caller, OWN).await;
    nothing_is_there(&caller);
    let (first, second) = ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    callee.write_all([first, second].concat().as_bytes()).await.unwrap();
    hear(&mut caller, &[first.as_bytes(), OWN, OWN, second.as_bytes(), OWN].concat()).await;
    assert_eq!(rig.link.dose().http.aborted, 4);
    rig.shut().await;
}

#[tokio::test]
async fn the_body_of_an_aborted_request_is_drained_before_the_answer_and_asked_for_where_its_sender_waits() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(on_path("/pay"), ABORT));
    caller.write_all(b"POST /pay HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    hear(&mut caller, b"HTTP/1.1 100 Continue\r\n\r\n").await;
    caller.write_all(b"5\r\nhello\r\n0\r\nT: ").await.unwrap();
    // The callee may leave meanwhile: the answer comes first.
    callee.shutdown().await.unwrap();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    nothing_is_there(&caller);
    // So may the setting: what it took away is in its dose, and answered still.
    rig.link.set(Behaviour::Pass);
    assert_eq!((rig.link.dose().http.matched, rig.link.dose().http.aborted), (1, 1));
    caller.write_all(b"x\r\n\r\n").await.unwrap();
    hear(&mut caller, OWN).await;
    assert_eq!(kind_of_end(&mut caller).await, None);
    caller.shutdown().await.unwrap();
    assert_eq!(kind_of_end(&mut callee).await, None);
    rig.shut().await;
}

#[tokio::test]
async fn the_last_request_of_a_connection_is_answered_and_the_connection_closed_whatever_comes_behind_it() {
    for head in ["GET /pay HTTP/1.0\r\n\r\n", "GET /pay HTTP/1.1\r\nConnection: x, Close\r\n\r\n"] {
        let rig = Rig::new().await;
        let (mut caller, mut callee) = rig.pair().await;
        rig.link.set(rule(on_path("/pay"), ABORT));
        caller.write_all((head.to_owned() + "GET /cart HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        hear(&mut caller, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(kind_of_end(&mut caller).await, None);
        drop(caller);
        assert_eq!(kind_of_end(&mut callee).await, None);
        rig.shut().await;
    }
}

#[tokio::test]
async fn a_request_that_ends_half_way_reaches_the_callee_so_unless_it_was_aborted() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(on_path("/pay"), ABORT));
    caller.write_all(b"GET /cart HTT").await.unwrap();
    caller.shutdown().await.unwrap();
    hear(&mut callee, b"GET /cart HTT").await;
    assert_eq!(kind_of_end(&mut callee).await, None);
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"POST /pay HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
    caller.shutdown().await.unwrap();
    assert_eq!(kind_of_end(&mut callee).await, None);
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, None);
    rig.shut().await;
}

#[tokio::test]
async fn the_end_of_a_rule_lets_go_what_it_held() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(on_path("/pay"), HttpAction::Delay { duration: Duration::from_hours(1) }));
    let text = b"GET /pay HTTP/1.1\r\n\r\nGET /cart HTTP/1.1\r\nHalf-";
    caller.write_all(text).await.unwrap();
    rig.when(|dose| dose.http.matched == 1).await;
    nothing_is_there(&callee);
    rig.link.set(Behaviour::Pass);
    hear(&mut callee, text).await;
    let dose = rig.link.dose();
    assert_eq!((dose.http.matched, dose.http.delayed, dose.mean_delay), (1, 0, Duration::ZERO));
    rig.shut().await;
}

#[tokio::test]
async fn a_delayed_request_arrives_later_and_the_dose_is_what_was_really_added() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(on_path("/pay"), HttpAction::Delay { duration: Duration::from_millis(80) }));
    exchange(&mut caller, &mut callee, "/cart").await;
    let begun = Instant::now();
    exchange(&mut caller, &mut callee, "/pay").await;
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    let dose = rig.link.dose();
    assert_eq!((dose.http.requests, dose.http.matched, dose.http.delayed, dose.connections_touched), (2, 1, 1, 1));
    assert!(dose.mean_delay >= Duration::from_millis(80) && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn only_the_request_that_carries_the_baggage_is_met() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    let matching = Matching { baggage: Some(("shakedown".into(), "probe 1".into())), ..Matching::default() };
    rig.link.set(rule(matching, ABORT));
    for number in 0..20 {
        exchange(&mut caller, &mut callee, &format!("/{number}")).await;
    }
    caller.write_all(b"GET / HTTP/1.1\r\nbaggage: a=b,shakedown=probe%201\r\n\r\n").await.unwrap();
    hear(&mut caller, OWN).await;
    assert_eq!((rig.link.dose().http.requests, rig.link.dose().http.matched), (21, 1));
    rig.shut().await;
}

/// Which of twenty requests of a first connection are aborted.
async fn drawn(share: f64, seed: u64) -> Vec<bool> {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(Matching { share, seed, ..Matching::default() }, ABORT));
    let mut aborted = Vec::new();
    for number in 1..=20 {
        caller.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        rig.when(|dose| dose.http.requests == number).await;
        let is_own = rig.link.dose().http.matched > aborted.iter().filter(|aborted| **aborted).count() as u64;
        if is_own {
            hear(&mut caller, OWN).await;
        } else {
            hear(&mut callee, b"GET / HTTP/1.1\r\n\r\n").await;
            pass(&mut callee, &mut caller, "HTTP/1.1 204 No Content\r\n\r\n").await;
        }
        aborted.push(is_own);
    }
    rig.shut().await;
    aborted
}

#[tokio::test]
async fn a_share_is_drawn_by_the_seed() {
    let first = drawn(0.5, 7).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, drawn(0.5, 7).await);
    assert!(!drawn(0.0, 7).await.contains(&true) && !drawn(1.0, 7).await.contains(&false));
}

#[tokio::test]
async fn what_is_not_http_passes_and_is_counted_so() {
    let rig = Rig::new().await;
    let (mut before, mut before_callee) = rig.pair().await;
    pass(&mut before, &mut before_callee, "\u{16}\u{3}\u{1}\u{2}").await;
    rig.link.set(rule(Matching::default(), ABORT));
    pass(&mut before, &mut before_callee, "GET / HTTP/1.1\r\n\r\n").await;
    for first in
        ["\u{16}\u{3}\u{1}", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "get key\r\n", "PING\r\n", "GET / SPDY/3\r\n"]
    {
        let (mut caller, mut callee) = rig.pair().await;
        pass(&mut caller, &mut callee, first).await;
        pass(&mut callee, &mut caller, "whatever").await;
        pass(&mut caller, &mut callee, "GET / HTTP/1.1\r\n\r\n").await;
    }
    let (mut caller, mut callee) = rig.pair().await;
    pass(&mut callee, &mut caller, "220 I speak first\r\n").await;
    pass(&mut caller, &mut callee, "EHLO\r\n").await;
    let dose = rig.link.dose();
    assert_eq!((dose.http.opaque, dose.http.requests, dose.connections_touched), (8, 0, 0));
    rig.shut().await;
}

#[tokio::test]
async fn an_ambiguous_request_passes_and_one_that_breaks_while_it_is_aborted_resets_the_connection() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(Matching::default(), ABORT));
    pass(&mut caller, &mut callee, "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    pass(&mut caller, &mut callee, "GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!((rig.link.dose().http.opaque, rig.link.dose().http.requests), (1, 0));
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n").await.unwrap();
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(kind_of_end(&mut callee).await, Some(ErrorKind::ConnectionReset));
    rig.shut().await;
}

#[tokio::test]
async fn a_head_without_end_passes_when_it_is_too_long() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(Matching::default(), ABORT));
    let text = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(70 << 10));
    pass(&mut caller, &mut callee, &text).await;
    assert_eq!(rig.link.dose().http.opaque, 1);
    rig.shut().await;
}

#[tokio::test]
async fn another_protocol_passes_once_it_was_granted_and_http_goes_on_where_it_was_not() {
    let upgrade = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let connect = "CONNECT shop:80 HTTP/1.1\r\n\r\n";
    let (switch, tunnel, refusal) =
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let rig = Rig::new().await;
    rig.link.set(rule(on_path("/pay"), ABORT));
    for (request, answer) in [(upgrade, switch), (connect, tunnel)] {
        let (mut caller, mut callee) = rig.pair().await;
        pass(&mut caller, &mut callee, request).await;
        pass(&mut caller, &mut callee, "an early word").await;
        pass(&mut callee, &mut caller, answer).await;
        pass(&mut caller, &mut callee, "GET /pay HTTP/1.1\r\n\r\n").await;
        pass(&mut callee, &mut caller, "\u{2}frame").await;
    }
    assert_eq!(rig.link.dose().http.opaque, 2);
    for request in [upgrade, connect] {
        let (mut caller, mut callee) = rig.pair().await;
        pass(&mut caller, &mut callee, request).await;
        pass(&mut callee, &mut caller, refusal).await;
        caller.write_all(b"GET /pay HTTP/1.1\r\n\r\n").await.unwrap();
        hear(&mut caller, OWN).await;
    }
    assert_eq!((rig.link.dose().http.opaque, rig.link.dose().http.aborted), (2, 2));
    rig.shut().await;
}

#[tokio::test]
async fn a_caller_that_never_reads_fills_nothing_and_gets_every_answer_in_the_end() {
    const REQUESTS: usize = 200_000;
    let rig = Rig::new().await;
    let (mut caller, _callee) = rig.pair().await;
    rig.link.set(rule(Matching::default(), ABORT));
    let (mut from, mut to) = caller.split();
    let sent = b"G / HTTP/1.1\n\n".repeat(REQUESTS);
    let listen = async {
        rig.when(|dose| dose.http.requests > 40_000).await;
        let mut heard = vec![0; OWN.len() * REQUESTS];
        from.read_exact(&mut heard).await.unwrap();
        heard
    };
    let (written, heard) = soon(async { tokio::join!(to.write_all(&sent), listen) }).await;
    written.unwrap();
    assert!(heard.chunks(OWN.len()).all(|answer| answer == OWN));
    assert_eq!(rig.link.dose().http.aborted, REQUESTS as u64);
    rig.shut().await;
}
