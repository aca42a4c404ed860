//! Bytes that go on slowly: bandwidth and slices.

use crate::rig::{Rig, hear, kind_of_end, nothing_is_there, soon, transfer};
use shakedown_link::Behaviour;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A little more than a pipe holds of what a slow line cannot take.
const ROOM: u64 = 96 << 10;

fn bandwidth(bytes_per_second: u64) -> Behaviour {
    Behaviour::Bandwidth { bytes_per_second }
}

fn slicer(size: usize, delay: Duration) -> Behaviour {
    Behaviour::Slicer { size, delay }
}

#[tokio::test]
async fn a_line_carries_no_more_than_its_rate_loses_nothing_and_says_what_it_carried() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(bandwidth(100_000));
    let begun = Instant::now();
    transfer(&mut caller, &mut callee, 30_000).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.bytes, dose.resets, dose.closings), (1, 30_000, 0, 0));
    assert!(dose.chunks > 0 && dose.mean_delay > Duration::ZERO && dose.mean_delay <= took, "{dose:?}");
    assert!(dose.saturated > Duration::ZERO && dose.saturated <= took, "{dose:?}");
    assert!(dose.bytes_per_second > 0 && dose.bytes_per_second <= 100_000, "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn connections_share_the_line_in_each_direction() {
    let rig = Rig::new().await;
    let ((mut one, mut one_callee), (mut two, mut two_callee)) = (rig.pair().await, rig.pair().await);
    rig.link.set(bandwidth(100_000));
    let begun = Instant::now();
    // The answers of both, too: it is one budget.
    tokio::join!(transfer(&mut one_callee, &mut one, 15_000), transfer(&mut two_callee, &mut two, 15_000));
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!((rig.link.dose().connections_touched, rig.link.dose().bytes), (2, 30_000));
    rig.shut().await;
}

#[tokio::test]
async fn a_long_transfer_stops_neither_the_answers_nor_another_connection() {
    let rig = Rig::new().await;
    let ((mut one, mut one_callee), (mut two, mut two_callee)) = (rig.pair().await, rig.pair().await);
    rig.link.set(bandwidth(10));
    // More than a minute's work for the line.
    one.write_all(&[7; 1_000]).await.unwrap();
    rig.until(1).await;
    one_callee.write_all(b"!").await.unwrap();
    hear(&mut one, b"!").await;
    two.write_all(b"?").await.unwrap();
    hear(&mut two_callee, b"?").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_sender_feels_a_slow_line_and_the_end_of_it_lets_everything_go_at_once() {
    const SIZE: usize = 8 << 20;
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    // More than two hours' work for the line.
    rig.link.set(bandwidth(1_000));
    let watched = async {
        rig.when(|dose| dose.bytes >= 64 << 10).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let dose = rig.link.dose();
        assert!(dose.bytes <= ROOM, "a link must not take in what it cannot pass on: {dose:?}");
        rig.link.set(Behaviour::Pass);
        dose
    };
    let ((), dose) = tokio::join!(transfer(&mut caller, &mut callee, SIZE), watched);
    // Delays that were cut short are no delays, and what came afterwards is no dose.
    assert!(rig.link.dose().bytes <= ROOM && rig.link.dose().bytes >= dose.bytes);
    assert_eq!(rig.link.dose().p99_delay, dose.p99_delay);
    rig.shut().await;
}

#[tokio::test]
async fn another_rate_holds_at_once() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(bandwidth(1));
    caller.write_all(b"an hour's work for the first line").await.unwrap();
    rig.until(1).await;
    rig.link.set(bandwidth(1_000_000));
    hear(&mut callee, b"an hour's work for the first line").await;
    rig.shut().await;
}

#[tokio::test]
async fn the_widest_line_is_as_good_as_none() {
    const SIZE: usize = 16 << 20;
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(bandwidth(u64::MAX));
    transfer(&mut caller, &mut callee, SIZE).await;
    assert_eq!(rig.link.dose().bytes, SIZE as u64);
    rig.shut().await;
}

#[tokio::test]
async fn a_line_of_no_width_holds_everything_until_it_ends() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(bandwidth(0));
    caller.write_all(b"there").await.unwrap();
    caller.shutdown().await.unwrap();
    callee.write_all(b"back").await.unwrap();
    rig.until(2).await;
    nothing_is_there(&callee);
    nothing_is_there(&caller);
    rig.link.set(Behaviour::Pass);
    hear(&mut callee, b"there").await;
    assert_eq!(kind_of_end(&mut callee).await, None);
    hear(&mut caller, b"back").await;
    assert_eq!(rig.link.dose().bytes_per_second, 0);
    rig.shut().await;
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives_before_it_over_a_slow_line() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(bandwidth(1_000));
    caller.write_all(&[5; 100]).await.unwrap();
    drop(caller);
    let mut heard = Vec::new();
    soon(callee.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, [5; 100]);
    rig.shut().await;
}

#[tokio::test]
async fn a_connection_that_breaks_half_way_leaves_the_line_to_the_others() {
    let rig = Rig::new().await;
    let ((mut one, one_callee), (mut two, mut two_callee)) = (rig.pair().await, rig.pair().await);
    rig.link.set(bandwidth(1_000));
    one.write_all(&vec![5; 60_000]).await.unwrap();
    rig.until(1).await;
    one_callee.set_zero_linger().unwrap();
    drop(one_callee);
    assert_eq!(kind_of_end(&mut one).await, Some(ErrorKind::ConnectionReset));
    two.write_all(b"mine").await.unwrap();
    hear(&mut two_callee, b"mine").await;
    rig.shut().await;
}

#[tokio::test]
async fn slices_arrive_whole_in_order_and_no_sooner_than_their_pauses() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slicer(4, Duration::from_millis(30)));
    let begun = Instant::now();
    caller.write_all(b"one-two-three").await.unwrap();
    hear(&mut callee, b"one-two-three").await;
    assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.chunks, dose.bytes, dose.slices), (1, 1, 13, 4));
    assert!(dose.mean_delay >= Duration::from_millis(90), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn answers_are_sliced_too_and_a_short_one_is_not() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slicer(5, Duration::from_millis(1)));
    caller.write_all(b"short").await.unwrap();
    hear(&mut callee, b"short").await;
    assert_eq!((rig.link.dose().chunks, rig.link.dose().slices), (1, 1));
    callee.write_all(b"a longer one").await.unwrap();
    hear(&mut caller, b"a longer one").await;
    assert_eq!((rig.link.dose().chunks, rig.link.dose().slices), (2, 4));
    rig.shut().await;
}

#[tokio::test]
async fn the_end_of_slicing_sends_the_rest_at_once() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slicer(3, Duration::from_hours(1)));
    caller.write_all(b"now and then").await.unwrap();
    caller.shutdown().await.unwrap();
    hear(&mut callee, b"now").await;
    nothing_is_there(&callee);
    rig.link.set(Behaviour::Pass);
    hear(&mut callee, b" and then").await;
    assert_eq!(kind_of_end(&mut callee).await, None);
    let dose = rig.link.dose();
    assert_eq!((dose.slices, dose.mean_delay), (1, Duration::ZERO));
    rig.shut().await;
}

#[tokio::test]
async fn slices_of_no_size_are_single_bytes() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slicer(0, Duration::ZERO));
    caller.write_all(b"abc").await.unwrap();
    hear(&mut callee, b"abc").await;
    assert_eq!(rig.link.dose().slices, 3);
    rig.shut().await;
}

#[tokio::test]
async fn a_callee_that_breaks_between_two_slices_breaks_it_for_the_caller() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slicer(3, Duration::from_hours(1)));
    caller.write_all(b"now and then").await.unwrap();
    hear(&mut callee, b"now").await;
    callee.set_zero_linger().unwrap();
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    rig.shut().await;
}
