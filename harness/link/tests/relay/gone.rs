//! Callees that are as good as gone: timeout and down.

use crate::rig::{Rig, hear, kind_of_end, nothing_is_there, soon};
use shakedown_link::{Behaviour, Toxicity};
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

fn timeout(after: Duration) -> Behaviour {
    Behaviour::Timeout { after }
}

#[tokio::test]
async fn a_timeout_carries_nothing_and_closes_both_sides_when_it_is_over() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    let begun = Instant::now();
    rig.link.set(timeout(Duration::from_millis(80)));
    caller.write_all(b"there").await.unwrap();
    let (mut late, mut late_callee) = rig.pair().await;
    rig.until(1).await;
    for stream in [&mut caller, &mut callee, &mut late, &mut late_callee] {
        assert_eq!(kind_of_end(stream).await, None);
    }
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.chunks, dose.bytes, dose.closings, dose.resets), (2, 1, 5, 2, 0));
    rig.shut().await;
}

#[tokio::test]
async fn the_end_of_a_timeout_lets_everything_arrive_and_nothing_is_closed() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(timeout(Duration::from_hours(1)));
    caller.write_all(b"there").await.unwrap();
    callee.write_all(b"back").await.unwrap();
    rig.until(2).await;
    nothing_is_there(&callee);
    nothing_is_there(&caller);
    rig.link.set(Behaviour::Pass);
    hear(&mut callee, b"there").await;
    hear(&mut caller, b"back").await;
    assert_eq!(rig.link.dose().closings, 0);
    rig.shut().await;
}

#[tokio::test]
async fn a_timeout_of_nothing_closes_at_once_and_one_without_end_never() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(timeout(Duration::MAX));
    caller.write_all(b"there").await.unwrap();
    rig.until(1).await;
    rig.link.set(timeout(Duration::ZERO));
    assert_eq!(kind_of_end(&mut callee).await, None);
    assert_eq!(kind_of_end(&mut caller).await, None);
    rig.shut().await;
}

#[tokio::test]
async fn a_loss_of_the_connection_does_not_cross_a_timeout() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"made").await.unwrap();
    hear(&mut callee, b"made").await;
    rig.link.set(timeout(Duration::from_millis(50)));
    callee.set_zero_linger().unwrap();
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, None);
    rig.shut().await;
}

/// Lets the link follow until nobody listens.
async fn refused(rig: &Rig) {
    rig.when(|dose| dose.refused > Duration::ZERO).await;
    let error = soon(TcpStream::connect(rig.link.address())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_callee_that_is_down_closes_what_is_open_and_refuses_what_is_new_until_it_is_back() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    for _ in 0..2 {
        rig.link.set(Behaviour::Down);
        assert_eq!(kind_of_end(&mut caller).await, None);
        assert_eq!(kind_of_end(&mut callee).await, None);
        refused(&rig).await;
        let dose = rig.link.dose();
        assert_eq!((dose.closings, dose.connections_touched, dose.resets), (1, 1, 0));
        rig.link.set(Behaviour::Pass);
        let again = async {
            while let Err(error) = TcpStream::connect(rig.link.address()).await {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                tokio::task::yield_now().await;
            }
        };
        soon(again).await;
        // The connection that found it open.
        drop(rig.answer().await);
        (caller, callee) = rig.pair().await;
        caller.write_all(b"again").await.unwrap();
        hear(&mut callee, b"again").await;
        let dose = rig.link.dose();
        assert_eq!(dose.refused, rig.link.dose().refused, "it no longer grows");
    }
    rig.shut().await;
}

#[tokio::test]
async fn a_connection_that_a_partition_holds_is_reset_when_the_callee_goes_down_and_nobody_hears_of_it() {
    let rig = Rig::new().await;
    rig.link.set(Behaviour::Partition);
    let mut caller = rig.call().await;
    rig.met(1).await;
    rig.link.set(Behaviour::Down);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    assert!(tokio::time::timeout(Duration::ZERO, rig.callee.accept()).await.is_err());
    rig.shut().await;
}

#[tokio::test]
async fn where_the_callee_is_down_for_a_share_the_drawn_are_reset_and_the_others_served() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    let share = |share| Toxicity::try_new(share, 3).unwrap();
    rig.link.set_for(Behaviour::Down, share(0.0));
    caller.write_all(b"free").await.unwrap();
    hear(&mut callee, b"free").await;
    rig.link.set_for(Behaviour::Down, share(0.999_999));
    assert_eq!(kind_of_end(&mut caller).await, None);
    let mut late = rig.call().await;
    assert_eq!(kind_of_end(&mut late).await, Some(ErrorKind::ConnectionReset));
    assert_eq!((rig.link.dose().closings, rig.link.dose().resets), (1, 1));
    rig.link.set_for(Behaviour::Down, share(1.0));
    refused(&rig).await;
    rig.shut().await;
}

#[tokio::test]
async fn the_port_of_a_callee_that_is_down_is_given_to_nobody() {
    let rig = Rig::new().await;
    rig.link.set(Behaviour::Down);
    refused(&rig).await;
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    assert!(others.iter().all(|other| other.local_addr().unwrap() != rig.link.address()));
    rig.shut().await;
}
