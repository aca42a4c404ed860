//! DNS over TCP.

use crate::{
    TRUE, rcode,
    rig::{Rig, answer, hear, next, query, say, soon},
};
use shakedown_link::DnsEffect;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn queries_of_a_connection_share_one_to_the_resolver_and_every_message_of_an_answer_comes_back() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    let (transfer, second) = (query(1, "payment", 252), query(2, "cart", 1));
    say(&mut caller, &transfer).await;
    say(&mut caller, &second).await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&transfer));
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&second));
    let pieces = [vec![1; 65_535], vec![2; 65_535], vec![], answer(&second, 0, TRUE)];
    for piece in &pieces {
        let ((), heard) = tokio::join!(say(&mut resolver, piece), next(&mut caller));
        assert_eq!(heard.as_ref(), Some(piece));
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_lie_over_tcp_needs_no_resolver_and_leaves_the_connection_usable() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    rig.set("payment", DnsEffect::NxDomain);
    let other = query(2, "cart", 1);
    say(&mut caller, &query(1, "payment", 1)).await;
    assert_eq!(rcode(&next(&mut caller).await.unwrap()), 3);
    say(&mut caller, &other).await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&other));
    say(&mut caller, &query(3, "payment", 1)).await;
    assert_eq!(next(&mut caller).await.unwrap()[1], 3, "it does not wait for what the resolver owes");
    say(&mut resolver, &answer(&other, 0, TRUE)).await;
    assert_eq!(next(&mut caller).await, Some(answer(&other, 0, TRUE)));
    assert_eq!((rig.relay.dose().nxdomain, rig.relay.dose().passed), (2, 1));
    rig.shut().await;
}

#[tokio::test]
async fn silence_over_tcp_keeps_the_connection_open() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    rig.set("payment", DnsEffect::Silence);
    let other = query(2, "cart", 1);
    say(&mut caller, &query(1, "payment", 1)).await;
    say(&mut caller, &other).await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&other));
    say(&mut resolver, &answer(&other, 0, TRUE)).await;
    assert_eq!(next(&mut caller).await, Some(answer(&other, 0, TRUE)));
    assert_eq!(rig.relay.dose().dropped, 1);
    rig.shut().await;
}

#[tokio::test]
async fn a_truncated_answer_sends_the_client_to_tcp_where_it_gets_the_true_one() {
    let rig = Rig::new().await;
    let client = rig.client().await;
    rig.set("*", DnsEffect::Truncate);
    let asked = query(1, "payment", 1);
    client.send(&asked).await.unwrap();
    assert_eq!(hear(&client).await[2] & 0x02, 0x02);
    let mut caller = rig.call().await;
    say(&mut caller, &asked).await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&asked));
    let dose = rig.relay.dose();
    assert_eq!((dose.truncated, dose.matched, dose.passed), (1, 2, 1));
    rig.shut().await;
}

#[tokio::test]
async fn a_delay_over_tcp_holds_what_comes_behind_it() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    rig.set("payment", DnsEffect::Delay { duration: Duration::from_millis(80) });
    let (late, behind) = (query(1, "payment", 1), query(2, "cart", 1));
    let begun = Instant::now();
    say(&mut caller, &late).await;
    say(&mut caller, &behind).await;
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await, Some(late));
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    assert_eq!(next(&mut resolver).await, Some(behind));
    rig.shut().await;
}

#[tokio::test]
async fn a_client_that_asks_nothing_more_still_gets_its_answer() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    let asked = query(1, "payment", 1);
    say(&mut caller, &asked).await;
    caller.shutdown().await.unwrap();
    let (mut resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    assert_eq!(next(&mut resolver).await.as_ref(), Some(&asked));
    assert_eq!(next(&mut resolver).await, None, "the end is passed on");
    say(&mut resolver, &answer(&asked, 0, TRUE)).await;
    drop(resolver);
    assert_eq!(next(&mut caller).await, Some(answer(&asked, 0, TRUE)));
    assert_eq!(next(&mut caller).await, None);
    rig.shut().await;
}

#[tokio::test]
async fn a_resolver_that_closes_closes_the_clients_connection_and_half_a_message_reaches_nobody() {
    let rig = Rig::new().await;
    let mut caller = rig.call().await;
    say(&mut caller, &query(1, "payment", 1)).await;
    let (resolver, _) = soon(rig.tcp.accept()).await.unwrap();
    drop(resolver);
    assert_eq!(next(&mut caller).await, None);
    let mut cut_off = rig.call().await;
    cut_off.write_all(&[0, 20, 1, 2]).await.unwrap();
    cut_off.shutdown().await.unwrap();
    assert_eq!(next(&mut cut_off).await, None);
    assert!(tokio::time::timeout(Duration::ZERO, rig.tcp.accept()).await.is_err());
    rig.shut().await;
}

#[tokio::test]
async fn connections_without_end_are_bounded_and_those_that_were_there_are_still_served() {
    let rig = Rig::new().await;
    rig.set("*", DnsEffect::Refused);
    let mut callers = Vec::new();
    for id in 0..128 {
        let mut caller = rig.call().await;
        say(&mut caller, &query(id, "payment", 1)).await;
        assert_eq!(rcode(&next(&mut caller).await.unwrap()), 5);
        callers.push(caller);
    }
    let mut one_too_many = rig.call().await;
    assert_eq!(next(&mut one_too_many).await, None);
    assert_eq!(rig.relay.dose().overflowed, 1);
    say(&mut callers[0], &query(1, "payment", 1)).await;
    assert_eq!(rcode(&next(&mut callers[0]).await.unwrap()), 5);
    rig.shut().await;
}
