//! Answers that are changed, and answers that are not.

use crate::{
    http::{exchange, on_path, pass, rule},
    rig::{Rig, hear, kind_of_end, soon},
};
use shakedown_link::{Behaviour, HttpAction, Matching, Patch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn patch() -> HttpAction {
    HttpAction::Patch(Patch {
        status: Some(500),
        set: vec![("X-Fault".into(), "yes".into())],
        remove: vec!["server".into()],
        body: Some(b"oops"[..].into()),
    })
}

const PATCHED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nDate: now\r\nX-Fault: yes\r\nContent-Length: 4\r\n\r\noops";

#[tokio::test]
async fn an_answer_is_changed_on_a_connection_from_before_which_stays_usable() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    exchange(&mut caller, &mut callee, "/pay").await;
    rig.link.set(rule(on_path("/pay"), patch()));
    for framing in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        pass(&mut caller, &mut callee, "GET /pay HTTP/1.1\r\n\r\n").await;
        let answer = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: s\r\nDate: now\r\n{framing}");
        callee.write_all(answer.as_bytes()).await.unwrap();
        hear(&mut caller, b"HTTP/1.1 100 Continue\r\n\r\n").await;
        hear(&mut caller, PATCHED).await;
        exchange(&mut caller, &mut callee, "/cart").await;
    }
    let dose = rig.link.dose();
    assert_eq!((dose.http.requests, dose.http.matched, dose.http.patched, dose.connections_touched), (4, 2, 2, 1));
    rig.shut().await;
}

#[tokio::test]
async fn an_answer_to_head_is_changed_without_a_body_and_one_until_the_close_ends_with_it() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(Matching::default(), patch()));
    pass(&mut caller, &mut callee, "HEAD / HTTP/1.1\r\n\r\n").await;
    callee.write_all(b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    hear(&mut caller, &PATCHED[..PATCHED.len() - 4]).await;
    pass(&mut caller, &mut callee, "GET / HTTP/1.1\r\n\r\n").await;
    callee.write_all(b"HTTP/1.1 200 OK\r\n\r\nsome").await.unwrap();
    let expected = b"HTTP/1.1 500 Internal Server Error\r\nX-Fault: yes\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops";
    hear(&mut caller, expected).await;
    callee.write_all(b" more").await.unwrap();
    callee.shutdown().await.unwrap();
    assert_eq!(kind_of_end(&mut caller).await, None);
    rig.shut().await;
}

#[tokio::test]
async fn an_answer_that_comes_after_the_end_of_the_rule_is_not_changed_even_if_it_was_held() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(rule(Matching::default(), patch()));
    pass(&mut caller, &mut callee, "GET / HTTP/1.1\r\n\r\n").await;
    callee.write_all(b"HTTP/1.1 200 O").await.unwrap();
    rig.when(|dose| dose.http.matched == 1).await;
    rig.link.set(Behaviour::Pass);
    hear(&mut caller, b"HTTP/1.1 200 O").await;
    pass(&mut callee, &mut caller, "K\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(rig.link.dose().http.patched, 0);
    rig.shut().await;
}

/// Requests and answers of every framing there is.
const REQUESTS: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /c HTTP/1.1\r\n\r\n\
    PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\nGET /e HTTP/1.1\r\n\r\nGET /f HTTP/1.1\r\n\r\n";
const ANSWERS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nzHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
    HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n\
    HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end HTTP/1.1 ";

#[tokio::test]
async fn traffic_that_the_rule_is_not_for_passes_byte_for_byte_however_it_is_cut() {
    for (action, at_once) in [(HttpAction::Abort { status: 500 }, 1), (patch(), 3), (patch(), 10_000)] {
        let rig = Rig::new().await;
        let (mut caller, mut callee) = rig.pair().await;
        caller.set_nodelay(true).unwrap();
        callee.set_nodelay(true).unwrap();
        rig.link.set(rule(on_path("/none"), action));
        for (from, to, text) in [(0, 1, REQUESTS), (1, 0, ANSWERS)] {
            let ends = [&mut caller, &mut callee];
            let mut heard = String::new();
            for piece in text.as_bytes().chunks(at_once) {
                ends[from].write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            while heard.len() < text.len() {
                let mut buffer = [0; 512];
                let read = soon(ends[to].read(&mut buffer)).await.unwrap();
                heard += std::str::from_utf8(&buffer[..read]).unwrap();
            }
            assert_eq!(heard, text);
        }
        let dose = rig.link.dose();
        assert_eq!((dose.http.requests, dose.http.matched, dose.http.opaque, dose.connections_touched), (6, 0, 0, 0));
        rig.shut().await;
    }
}
