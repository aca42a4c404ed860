//! A DNS relay between real sockets, and with the clients that services really use.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

mod binary;
mod clients;
mod rig;
mod stream;

use proptest::{
    prelude::{Strategy, any},
    test_runner::{Config, TestRunner},
};
use rig::{Rig, answer, client_of, hear, query, soon};
use shakedown_link::{DnsDose, DnsEffect, DnsMatching, DnsRelay, DnsRule};
use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

const TRUE: [u8; 4] = [192, 0, 2, 1];
const WRONG: DnsEffect = DnsEffect::Address { v4: Some(Ipv4Addr::new(203, 0, 113, 7)), v6: None };

fn rcode(answer: &[u8]) -> u8 {
    answer[3] & 0x0f
}

#[test]
fn without_a_rule_whatever_is_said_arrives_byte_for_byte_both_ways() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rig = runtime.block_on(Rig::new());
    let bytes = || proptest::collection::vec(any::<u8>(), 2..3_000);
    let pairs = (bytes(), bytes()).prop_map(|(asked, mut answered)| {
        answered[..2].copy_from_slice(&asked[..2]);
        (asked, answered)
    });
    let mut runner = TestRunner::new(Config::with_cases(128));
    let passed = runner.run(&pairs, |(asked, answered)| {
        runtime.block_on(async {
            let client = rig.client().await;
            client.send(&asked).await.unwrap();
            assert_eq!(rig.resolve(&answered).await, asked);
            assert_eq!(hear(&client).await, answered);
        });
        Ok(())
    });
    passed.unwrap();
    assert_eq!(rig.relay.dose(), DnsDose::default());
    runtime.block_on(rig.shut());
}

#[tokio::test]
async fn a_rule_is_for_its_name_and_other_names_get_the_true_answer() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    for (effect, code) in [(DnsEffect::NxDomain, 3), (DnsEffect::ServFail, 2), (DnsEffect::Refused, 5)] {
        rig.set("payment", effect);
        client.send(&query(7, "PayMent", 1)).await.unwrap();
        assert_eq!(rcode(&hear(&client).await), code);
        let other = query(8, "cart", 1);
        client.send(&other).await.unwrap();
        assert_eq!(rig.resolve(&answer(&other, 0, TRUE)).await, other);
        assert_eq!(hear(&client).await, answer(&other, 0, TRUE));
        let dose = rig.relay.dose();
        assert_eq!((dose.queries, dose.matched, dose.passed), (2, 1, 1));
        assert_eq!(dose.nxdomain + dose.servfail + dose.refused, 1);
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_wrong_address_is_given_and_the_end_of_the_rule_is_the_end_of_the_lie() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    rig.set("*", WRONG);
    client.send(&query(1, "payment", 1)).await.unwrap();
    let lie = hear(&client).await;
    assert_eq!((rcode(&lie), &lie[lie.len() - 4..]), (0, &[203, 0, 113, 7][..]));
    client.send(&query(2, "payment", 28)).await.unwrap();
    let empty = hear(&client).await;
    assert_eq!((rcode(&empty), empty[7]), (0, 0));
    let dose = rig.relay.dose();
    assert_eq!((dose.matched, dose.misled, dose.empty, dose.nxdomain), (2, 1, 1, 0));
    rig.relay.clear();
    let asked = query(3, "payment", 1);
    client.send(&asked).await.unwrap();
    rig.resolve(&answer(&asked, 0, TRUE)).await;
    assert_eq!(hear(&client).await, answer(&asked, 0, TRUE));
    assert_eq!(rig.relay.dose(), dose, "it is still that of the rule");
    rig.shut().await;
}

#[tokio::test]
async fn silence_tells_neither_client_nor_resolver() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    rig.set("payment", DnsEffect::Silence);
    client.send(&query(1, "payment", 1)).await.unwrap();
    rig.when(|dose| dose.dropped == 1).await;
    let other = query(2, "cart", 1);
    client.send(&other).await.unwrap();
    // The first thing that either hears.
    assert_eq!(rig.resolve(&answer(&other, 0, TRUE)).await, other);
    assert_eq!(hear(&client).await, answer(&other, 0, TRUE));
    rig.shut().await;
}

#[tokio::test]
async fn a_delayed_query_arrives_late_and_whole_and_does_not_hold_others() {
    let rig = Rig::new().await;
    let (client, patient) = (rig.client().await, rig.client().await);
    let (late, other) = (query(1, "payment", 1), query(2, "cart", 1));
    rig.set("payment", DnsEffect::Delay { duration: Duration::from_millis(80) });
    let begun = Instant::now();
    patient.send(&late).await.unwrap();
    rig.when(|dose| dose.matched == 1).await;
    client.send(&other).await.unwrap();
    assert_eq!(rig.resolve(&answer(&other, 0, TRUE)).await, other);
    assert_eq!(hear(&client).await, answer(&other, 0, TRUE));
    assert_eq!(rig.resolve(&answer(&late, 0, TRUE)).await, late);
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    assert_eq!(hear(&patient).await, answer(&late, 0, TRUE));
    let dose = rig.relay.dose();
    assert_eq!((dose.delayed, dose.passed), (1, 1));
    assert!(dose.mean_delay >= Duration::from_millis(80) && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn clearing_lets_delayed_queries_go_at_once() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    let asked = query(1, "payment", 1);
    rig.set("*", DnsEffect::Delay { duration: Duration::from_hours(1) });
    client.send(&asked).await.unwrap();
    rig.when(|dose| dose.matched == 1).await;
    rig.relay.clear();
    assert_eq!(rig.resolve(&answer(&asked, 0, TRUE)).await, asked);
    assert_eq!(hear(&client).await, answer(&asked, 0, TRUE));
    assert_eq!(rig.relay.dose().delayed, 0);
    rig.shut().await;
}

#[tokio::test]
async fn what_cannot_be_read_passes_and_is_counted() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    rig.set("*", DnsEffect::NxDomain);
    let mut two_questions = query(1, "payment", 1);
    two_questions[5] = 2;
    for message in [&two_questions[..], b"what?"] {
        client.send(message).await.unwrap();
        assert_eq!(rig.resolve(message).await, message);
        assert_eq!(hear(&client).await, message);
    }
    let dose = rig.relay.dose();
    assert_eq!((dose.queries, dose.malformed, dose.passed, dose.matched), (2, 2, 2, 0));
    rig.shut().await;
}

#[tokio::test]
async fn an_answer_to_something_else_is_not_taken_for_the_answer() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    let asked = query(7, "payment", 1);
    client.send(&asked).await.unwrap();
    let (_, relay) = rig.overhear().await;
    rig.udp.send_to(&answer(&query(8, "payment", 1), 2, TRUE), relay).await.unwrap();
    rig.udp.send_to(&answer(&asked, 0, TRUE), relay).await.unwrap();
    assert_eq!(hear(&client).await, answer(&asked, 0, TRUE));
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send(&asked).await.unwrap();
    let (_, relay) = rig.overhear().await;
    stranger.send_to(&answer(&asked, 5, TRUE), relay).await.unwrap();
    rig.udp.send_to(&answer(&asked, 0, TRUE), relay).await.unwrap();
    assert_eq!(rcode(&hear(&client).await), 0);
    rig.shut().await;
}

#[tokio::test]
async fn every_address_of_the_relay_answers_from_itself() {
    let rig = Rig::new().await;
    rig.set("*", DnsEffect::Refused);
    for address in rig.relay.addresses() {
        let client = client_of(*address).await;
        client.send(&query(1, "payment", 1)).await.unwrap();
        assert_eq!(rcode(&hear(&client).await), 5, "{address}");
    }
    let port = rig.relay.addresses()[0].port();
    assert!(rig.relay.addresses().iter().all(|address| address.ip().is_loopback() && address.port() == port));
    rig.shut().await;
}

#[tokio::test]
async fn a_query_of_the_relay_that_is_led_back_to_it_goes_round_once() {
    // A relay whose resolver is itself.
    let (address, upstream) = watch::channel("127.0.0.1:9".parse().unwrap());
    let (relay, driver) = DnsRelay::bind(0, upstream).unwrap();
    address.send(relay.addresses()[0]).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(driver.run(stop.clone()));
    let nothing = DnsMatching { name: "nothing".into(), ..DnsMatching::default() };
    relay.set(DnsRule::try_new(nothing, DnsEffect::Silence).unwrap());
    let client = client_of(relay.addresses()[0]).await;
    client.send(&query(1, "payment", 1)).await.unwrap();
    let mut caller = TcpStream::connect(relay.addresses()[0]).await.unwrap();
    rig::say(&mut caller, &query(2, "payment", 1)).await;
    assert_eq!(rig::next(&mut caller).await, None);
    let looped = async {
        while relay.dose().looped < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon(looped).await;
    assert_eq!((relay.dose().queries, relay.dose().looped), (2, 2));
    stop.cancel();
    soon(tasks.join_all()).await;
}

#[tokio::test]
async fn a_resolver_that_is_not_there_is_noticed_and_the_next_one_is_asked() {
    let rig = Rig::new().await;
    let (address, upstream) = watch::channel(nobody().await);
    let (relay, driver) = DnsRelay::bind(0, upstream).unwrap();
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(driver.run(stop.clone()));
    relay.set(DnsRule::try_new(DnsMatching::default(), DnsEffect::Truncate).unwrap());
    let client = client_of(relay.addresses()[0]).await;
    client.send(b"unreadable").await.unwrap();
    let unanswered = async {
        while relay.dose().unanswered == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(unanswered).await;
    let mut caller = TcpStream::connect(relay.addresses()[0]).await.unwrap();
    rig::say(&mut caller, b"unreadable").await;
    assert_eq!(rig::next(&mut caller).await, None);
    address.send(rig.udp.local_addr().unwrap()).unwrap();
    client.send(b"unreadable").await.unwrap();
    assert_eq!(rig.resolve(b"unanswerable").await, b"unreadable");
    assert_eq!(hear(&client).await, b"unanswerable");
    stop.cancel();
    soon(tasks.join_all()).await;
    rig.shut().await;
}

#[tokio::test]
async fn messages_without_end_are_bounded() {
    const ROOM: u64 = 2_048;
    let rig = Rig::new().await;
    let client = rig.client().await;
    rig.set("payment", DnsEffect::Delay { duration: Duration::from_hours(1) });
    for held in 1..=ROOM {
        client.send(&query(held as u16, "payment", 1)).await.unwrap();
        rig.when(|dose| dose.matched == held).await;
    }
    client.send(&query(0, "payment", 1)).await.unwrap();
    rig.when(|dose| dose.overflowed == 1).await;
    assert_eq!(rig.relay.dose().matched, ROOM);
    // TCP has places of its own.
    let mut caller = rig.call().await;
    rig::say(&mut caller, b"unreadable").await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(rig::next(&mut resolver).await.as_deref(), Some(&b"unreadable"[..]));
    rig.shut().await;
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn stopping_closes_connections_and_addresses_and_forgets_what_waits() -> io::Result<()> {
    let rig = Rig::new().await;
    let address = rig.relay.addresses()[0];
    let (client, mut caller) = (rig.client().await, rig.call().await);
    rig.set("*", DnsEffect::Delay { duration: Duration::from_hours(1) });
    client.send(&query(1, "payment", 1)).await?;
    rig::say(&mut caller, &query(2, "payment", 1)).await;
    rig.when(|dose| dose.matched == 2).await;
    rig.shut().await;
    assert_eq!(rig::next(&mut caller).await, None);
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(UdpSocket::bind(address).await?.local_addr()?, address);
    Ok(())
}
