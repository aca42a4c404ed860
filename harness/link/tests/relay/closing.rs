//! Connections that end early or late: limited answers and slow closing.

use crate::rig::{Rig, hear, kind_of_end, nothing_is_there, soon};
use shakedown_link::Behaviour;
use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn limit(bytes: u64) -> Behaviour {
    Behaviour::LimitData { bytes }
}

fn slow_close(delay: Duration) -> Behaviour {
    Behaviour::SlowClose { delay }
}

/// What arrives until the other side closes; that it breaks instead is an error.
async fn hear_out(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    soon(stream.read_to_end(&mut heard)).await.unwrap();
    heard
}

#[tokio::test]
async fn an_answer_is_cut_at_its_limit_and_both_sides_see_a_close_and_no_reset() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(limit(5));
    caller.write_all(b"a question is not limited").await.unwrap();
    hear(&mut callee, b"a question is not limited").await;
    callee.write_all(b"hello world").await.unwrap();
    assert_eq!(hear_out(&mut caller).await, b"hello");
    assert_eq!(hear_out(&mut callee).await, b"");
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.closings, dose.resets), (1, 1, 0));
    assert_eq!((dose.chunks, dose.bytes), (1, 6), "what was thrown away");
    rig.shut().await;
}

#[tokio::test]
async fn what_both_sides_still_send_after_the_cut_is_thrown_away_and_breaks_nothing() {
    const SIZE: usize = 4 << 20;
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(limit(10));
    soon(callee.write_all(&vec![1; SIZE])).await.unwrap();
    rig.when(|dose| dose.bytes == SIZE as u64 - 10).await;
    caller.write_all(b"are you still there?").await.unwrap();
    rig.when(|dose| dose.bytes == SIZE as u64 + 10).await;
    assert_eq!(hear_out(&mut caller).await, [1; 10]);
    assert_eq!(hear_out(&mut callee).await, b"");
    rig.shut().await;
}

#[tokio::test]
async fn a_caller_and_a_callee_that_closed_already_see_the_same_cut() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(limit(5));
    caller.write_all(b"all I ask").await.unwrap();
    caller.shutdown().await.unwrap();
    assert_eq!(hear_out(&mut callee).await, b"all I ask");
    callee.write_all(b"hello world").await.unwrap();
    drop(callee);
    assert_eq!(hear_out(&mut caller).await, b"hello");
    assert_eq!((rig.link.dose().closings, rig.link.dose().bytes), (1, 6));
    rig.shut().await;
}

#[tokio::test]
async fn each_connection_has_a_limit_of_its_own_counted_from_the_setting_on() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    callee.write_all(b"before").await.unwrap();
    hear(&mut caller, b"before").await;
    rig.link.set(limit(4));
    callee.write_all(b"one").await.unwrap();
    hear(&mut caller, b"one").await;
    let (mut second_caller, mut second_callee) = rig.pair().await;
    second_callee.write_all(b"other").await.unwrap();
    assert_eq!(hear_out(&mut second_caller).await, b"othe");
    assert_eq!(rig.link.dose().closings, 1);
    callee.write_all(b"two").await.unwrap();
    assert_eq!(hear_out(&mut caller).await, b"t");
    assert_eq!((rig.link.dose().closings, rig.link.dose().connections_touched), (2, 2));
    rig.shut().await;
}

#[tokio::test]
async fn an_answer_below_the_limit_is_not_touched_and_the_end_of_the_limit_lets_the_rest_pass() {
    let rig = Rig::new().await;
    let ((mut brief, mut brief_callee), (mut caller, mut callee)) = (rig.pair().await, rig.pair().await);
    rig.link.set(limit(8));
    brief_callee.write_all(b"brief").await.unwrap();
    drop(brief_callee);
    assert_eq!(hear_out(&mut brief).await, b"brief");
    callee.write_all(b"seven..").await.unwrap();
    hear(&mut caller, b"seven..").await;
    rig.link.set(Behaviour::Pass);
    callee.write_all(b"and all the others").await.unwrap();
    hear(&mut caller, b"and all the others").await;
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.chunks, dose.bytes, dose.closings), (0, 0, 0, 0));
    rig.shut().await;
}

#[tokio::test]
async fn a_limit_of_nothing_closes_open_connections_and_new_ones_at_once_until_it_ends() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(limit(0));
    assert_eq!(kind_of_end(&mut caller).await, None);
    assert_eq!(kind_of_end(&mut callee).await, None);
    let (mut caller, mut callee) = rig.pair().await;
    assert_eq!(kind_of_end(&mut caller).await, None);
    assert_eq!(kind_of_end(&mut callee).await, None);
    assert_eq!(rig.link.dose().closings, 2);
    rig.link.set(Behaviour::Pass);
    let (mut caller, mut callee) = rig.pair().await;
    callee.write_all(b"again").await.unwrap();
    hear(&mut caller, b"again").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_callee_that_breaks_before_the_limit_breaks_it_for_the_caller() {
    let rig = Rig::new().await;
    let (mut caller, callee) = rig.pair().await;
    rig.link.set(limit(1_000));
    callee.set_zero_linger().unwrap();
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(rig.link.dose().closings, 0);
    rig.shut().await;
}

#[tokio::test]
async fn a_connection_that_was_cut_can_still_be_reset() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(limit(0));
    assert_eq!(kind_of_end(&mut caller).await, None);
    assert_eq!(rig.link.reset_connections(), 1);
    assert_eq!(kind_of_end(&mut callee).await, None);
    rig.when(|dose| dose.resets == 1).await;
    rig.shut().await;
}

#[tokio::test]
async fn a_slow_close_holds_back_the_end_and_no_byte() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slow_close(Duration::from_millis(80)));
    let begun = Instant::now();
    caller.write_all(b"last words").await.unwrap();
    caller.shutdown().await.unwrap();
    assert_eq!(hear_out(&mut callee).await, b"last words");
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.closings, dose.chunks), (1, 1, 0));
    assert!(dose.mean_delay >= Duration::from_millis(80) && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn the_end_of_a_slow_close_closes_at_once_and_answers_pass_meanwhile() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slow_close(Duration::from_hours(1)));
    caller.write_all(b"question").await.unwrap();
    caller.shutdown().await.unwrap();
    hear(&mut callee, b"question").await;
    callee.write_all(b"answer").await.unwrap();
    hear(&mut caller, b"answer").await;
    callee.shutdown().await.unwrap();
    rig.when(|dose| dose.closings == 2).await;
    nothing_is_there(&callee);
    nothing_is_there(&caller);
    rig.link.set(Behaviour::Pass);
    assert_eq!(kind_of_end(&mut callee).await, None);
    assert_eq!(kind_of_end(&mut caller).await, None);
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.closings, dose.mean_delay), (1, 2, Duration::ZERO));
    rig.shut().await;
}

#[tokio::test]
async fn another_fault_takes_a_slow_close_back_too() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(slow_close(Duration::from_hours(1)));
    caller.shutdown().await.unwrap();
    rig.when(|dose| dose.closings == 1).await;
    rig.link.set(Behaviour::Bandwidth { bytes_per_second: 1_000 });
    assert_eq!(kind_of_end(&mut callee).await, None);
    assert_eq!(rig.link.dose().closings, 0);
    rig.shut().await;
}

#[tokio::test]
async fn a_slow_close_does_not_hold_back_a_reset() {
    let rig = Rig::new().await;
    let (mut caller, callee) = rig.pair().await;
    rig.link.set(slow_close(Duration::from_hours(1)));
    callee.set_zero_linger().unwrap();
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(rig.link.dose().closings, 0);
    rig.shut().await;
}
