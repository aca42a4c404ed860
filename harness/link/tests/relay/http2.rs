//! Faults on HTTP/2 streams, between the client and the server of a library that others rely on.

use crate::{
    http::{on_path, rule},
    rig::{Rig, soon},
};
use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream,
    client::{self, ResponseFuture, SendRequest},
    server::{self, SendResponse},
};
use shakedown_link::{Behaviour, HttpAction, Matching, Patch};
use std::time::{Duration, Instant};
use tokio::{net::TcpStream, task::JoinSet};
use tonic::codegen::http::{HeaderMap, Request, Response};

const ABORT: HttpAction = HttpAction::Abort { status: 503 };
/// More than any window.
const LARGE: usize = 3 << 20;

fn pattern(length: usize) -> Bytes {
    (0..length).map(|index| (index * 31 / 7) as u8).collect()
}

async fn all_of(body: &mut RecvStream) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        bytes.extend_from_slice(&part);
    }
    bytes.freeze()
}

/// Answers with what was sent and as many bytes as the path says, and with trailers.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    let size = path.rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or(0);
    let sent = all_of(&mut request.into_body()).await;
    let head = Response::builder().header("x-path", &path).header("server", "real").body(()).unwrap();
    let Ok(mut body) = respond.send_response(head, false) else { return };
    let mut trailers = HeaderMap::new();
    trailers.insert("x-length", sent.len().into());
    // A caller that gave up is no failure.
    let _ = body.send_data([sent, pattern(size)].concat().into(), false);
    let _ = body.send_trailers(trailers);
}

async fn serve(stream: TcpStream) {
    let mut connection = server::handshake(stream).await.unwrap();
    let mut answers = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        answers.spawn(answer(request, respond));
    }
}

/// A client, its server, and the link between them.
struct Talk {
    rig: Rig,
    client: SendRequest<Bytes>,
    tasks: JoinSet<()>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

async fn answered(response: ResponseFuture) -> Answer {
    let (head, mut body) = response.await.unwrap().into_parts();
    let bytes = all_of(&mut body).await;
    Answer { status: head.status.as_u16(), headers: head.headers, body: bytes, trailers: body.trailers().await.unwrap() }
}

impl Talk {
    async fn new(settings: &client::Builder) -> Talk {
        let rig = Rig::new().await;
        let (caller, callee) = rig.pair().await;
        caller.set_nodelay(true).unwrap();
        callee.set_nodelay(true).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(callee));
        let (client, connection) = settings.handshake(caller).await.unwrap();
        tasks.spawn(async move { connection.await.unwrap() });
        Talk { rig, client, tasks }
    }

    /// One through which something went before there was a rule.
    async fn begun() -> Talk {
        let mut talk = Talk::new(&client::Builder::new()).await;
        talk.check("/before/10", Bytes::new()).await;
        talk
    }

    async fn ask(&mut self, path: &str, body: Bytes) -> ResponseFuture {
        let request = Request::post(format!("http://shop{path}")).header("x-mine", path).body(()).unwrap();
        std::future::poll_fn(|waits| self.client.poll_ready(waits)).await.unwrap();
        let (response, mut sender) = self.client.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            sender.send_data(body, true).unwrap();
        }
        response
    }

    async fn get(&mut self, path: &str, body: Bytes) -> Answer {
        let response = self.ask(path, body).await;
        soon(answered(response)).await
    }

    /// A request that must not be met.
    async fn check(&mut self, path: &str, body: Bytes) {
        let answer = self.get(path, body.clone()).await;
        check(&answer, path, &body);
    }

    /// Ends politely: what was said is understood by both sides to the end.
    async fn shut(mut self) {
        drop(self.client);
        while let Some(ended) = soon(self.tasks.join_next()).await {
            ended.unwrap();
        }
        self.rig.shut().await;
    }
}

fn check(answer: &Answer, path: &str, sent: &Bytes) {
    let size = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!((answer.status, answer.headers["x-path"].as_bytes()), (200, path.as_bytes()));
    assert!(answer.body == [sent.clone(), pattern(size)].concat(), "{path}: {} bytes", answer.body.len());
    assert_eq!(answer.trailers.as_ref().unwrap()["x-length"], sent.len().to_string());
}

#[tokio::test]
async fn of_many_streams_on_one_connection_the_share_is_aborted_and_the_others_arrive_whole() {
    const STREAMS: usize = 300;
    for table in [0, 100, 4_096, 65_536] {
        let mut talk = Talk::new(client::Builder::new().header_table_size(table).initial_window_size(20_000)).await;
        talk.check("/before/9", pattern(99)).await;
        talk.rig.link.set(rule(Matching { share: 0.2, seed: 3, ..on_path("/pay") }, ABORT));
        let mut answers = JoinSet::new();
        for number in 0..STREAMS {
            let path = format!("/{}/{}", if number % 10 == 0 { "cart" } else { "pay" }, number * 100);
            let body = pattern(number * 150);
            let response = talk.ask(&path, body.clone()).await;
            answers.spawn(async move { (path, body, answered(response).await) });
        }
        let mut aborted = 0;
        while let Some(answer) = soon(answers.join_next()).await {
            let (path, body, answer) = answer.unwrap();
            if answer.status == 503 {
                assert!(path.starts_with("/pay") && answer.body.is_empty() && answer.headers["content-length"] == "0");
                aborted += 1;
            } else {
                check(&answer, &path, &body);
            }
        }
        let dose = talk.rig.link.dose();
        assert_eq!((dose.http.requests, dose.http.aborted, dose.http.opaque), (STREAMS as u64, aborted, 0));
        assert!((30..90).contains(&aborted) && dose.http.matched == aborted && dose.connections_touched == 1, "{dose:?}");
        talk.rig.link.set(Behaviour::Pass);
        talk.check("/pay/1000", pattern(LARGE)).await;
        talk.shut().await;
    }
}

#[tokio::test]
async fn a_body_that_goes_nowhere_takes_nothing_of_the_windows() {
    let mut talk = Talk::begun().await;
    talk.rig.link.set(rule(on_path("/pay"), ABORT));
    for _ in 0..4 {
        assert_eq!(talk.get("/pay/1", pattern(LARGE)).await.status, 503);
        talk.check("/cart/1", pattern(LARGE)).await;
    }
    talk.shut().await;
}

#[tokio::test]
async fn a_stream_that_its_caller_resets_is_no_trouble_whether_aborted_or_delayed() {
    let mut talk = Talk::begun().await;
    for action in [ABORT, HttpAction::Delay { duration: Duration::from_hours(1) }] {
        talk.rig.link.set(rule(on_path("/pay"), action));
        for matched in 1..=8 {
            let request = Request::post("http://shop/pay/60000").body(()).unwrap();
            std::future::poll_fn(|waits| talk.client.poll_ready(waits)).await.unwrap();
            let (response, mut sender) = talk.client.send_request(request, false).unwrap();
            sender.send_data(pattern(10), true).unwrap();
            talk.rig.when(|dose| dose.http.matched == matched).await;
            talk.check("/cart/60000", Bytes::new()).await;
            sender.send_reset(h2::Reason::CANCEL);
            drop(response);
        }
        talk.check("/cart/1", pattern(LARGE)).await;
        talk.check(&format!("/cart/{LARGE}"), Bytes::new()).await;
    }
    talk.shut().await;
}

#[tokio::test]
async fn an_answer_that_is_delayed_arrives_whole_and_the_dose_is_what_was_really_added() {
    let mut talk = Talk::begun().await;
    let delay = Duration::from_millis(150);
    talk.rig.link.set(rule(on_path("/pay"), HttpAction::Delay { duration: delay }));
    let begun = Instant::now();
    let late = talk.ask("/pay/40000", pattern(10)).await;
    for number in 0..5 {
        talk.check(&format!("/cart/{number}"), pattern(1_000)).await;
    }
    check(&soon(answered(late)).await, "/pay/40000", &pattern(10));
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
    let dose = talk.rig.link.dose();
    assert_eq!((dose.http.requests, dose.http.matched, dose.http.delayed), (6, 1, 1));
    assert!(dose.mean_delay >= delay && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    talk.shut().await;
}

#[tokio::test]
async fn a_delay_holds_no_other_stream_and_its_end_lets_go_what_it_held() {
    let mut talk = Talk::begun().await;
    talk.rig.link.set(rule(on_path("/pay"), HttpAction::Delay { duration: Duration::from_hours(1) }));
    let mut late = JoinSet::new();
    for _ in 0..3 {
        late.spawn(answered(talk.ask("/pay/10000", pattern(10)).await));
    }
    talk.check("/cart/1", Bytes::new()).await;
    assert!(late.try_join_next().is_none());
    talk.rig.link.set(Behaviour::Pass);
    while let Some(answer) = soon(late.join_next()).await {
        check(&answer.unwrap(), "/pay/10000", &pattern(10));
    }
    assert_eq!((talk.rig.link.dose().http.matched, talk.rig.link.dose().http.delayed), (3, 0));
    talk.shut().await;
}

#[tokio::test]
async fn more_than_is_held_back_at_once_arrives_in_the_end() {
    let windows = LARGE as u32;
    let mut talk = Talk::new(client::Builder::new().initial_window_size(windows).initial_connection_window_size(4 * windows)).await;
    talk.rig.link.set(rule(on_path("/pay"), HttpAction::Delay { duration: Duration::from_millis(20) }));
    let mut answers = JoinSet::new();
    for number in 0..12 {
        let path = format!("/{}/{}", if number % 3 == 0 { "cart" } else { "pay" }, LARGE / 4 + number);
        let response = talk.ask(&path, pattern(10)).await;
        answers.spawn(async move { (path, answered(response).await) });
    }
    while let Some(answer) = soon(answers.join_next()).await {
        let (path, answer) = answer.unwrap();
        check(&answer, &path, &pattern(10));
    }
    assert_eq!((talk.rig.link.dose().http.matched, talk.rig.link.dose().http.delayed), (8, 8));
    talk.shut().await;
}

#[tokio::test]
async fn an_answer_is_changed_and_its_body_takes_nothing_of_the_windows() {
    let mut talk = Talk::begun().await;
    let body = pattern(200_000);
    let patch =
        Patch { status: Some(500), set: vec![("X-Fault".into(), "yes".into())], remove: vec!["Server".into()], body: Some(body.clone()) };
    talk.rig.link.set(rule(on_path("/pay"), HttpAction::Patch(patch)));
    for _ in 0..4 {
        for size in [0, 5, LARGE] {
            let answer = talk.get(&format!("/pay/{size}"), pattern(7)).await;
            assert_eq!((answer.status, answer.headers["x-fault"].as_bytes(), answer.headers.get("server")), (500, b"yes".as_slice(), None));
            assert_eq!(answer.headers["content-length"], "200000");
            assert!(answer.body == body && answer.trailers.unwrap()["x-length"] == "7");
        }
        talk.check("/cart/1", pattern(LARGE)).await;
        talk.check(&format!("/cart/{LARGE}"), Bytes::new()).await;
    }
    assert_eq!((talk.rig.link.dose().http.patched, talk.rig.link.dose().http.requests), (12, 20));
    talk.shut().await;
}

#[tokio::test]
async fn only_the_head_is_changed_where_the_patch_has_no_body() {
    let mut talk = Talk::begun().await;
    let patch = Patch { set: vec![("x-path".into(), "other".into())], ..Patch::default() };
    talk.rig.link.set(rule(Matching { header: Some(("Host".into(), "shop".into())), ..on_path("/pay") }, HttpAction::Patch(patch)));
    let answer = talk.get("/pay/70000", pattern(5)).await;
    assert_eq!((answer.status, answer.headers["x-path"].as_bytes()), (200, b"other".as_slice()));
    assert!(answer.body == [pattern(5), pattern(70_000)].concat() && answer.trailers.unwrap()["x-length"] == "5");
    talk.rig.link.set(Behaviour::Pass);
    talk.check("/pay/70000", pattern(5)).await;
    talk.shut().await;
}

#[tokio::test]
async fn what_is_not_for_the_rule_passes_a_latency_and_a_slicer_as_ever() {
    let mut talk = Talk::begun().await;
    talk.rig.link.set(rule(on_path("/pay"), ABORT));
    assert_eq!(talk.get("/pay/1", Bytes::new()).await.status, 503);
    talk.rig.link.set(Behaviour::Slicer { size: 7, delay: Duration::ZERO });
    talk.check("/pay/3000", pattern(3_000)).await;
    talk.shut().await;
}
