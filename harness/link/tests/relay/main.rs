//! A link between real sockets. What is timed is bounded generously and never from above where a busy machine could break it for no reason.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

mod closing;
mod gone;
mod grpc;
mod http;
mod http2;
mod pacing;
mod patch;
mod postgres;
mod redis;
mod rig;
mod servers;
mod toxicity;

use rig::{Rig, hear, kind_of_end, nothing_is_there, soon, transfer};
use shakedown_link::{Behaviour, Distribution};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

fn latency(delay: Duration, jitter: Duration) -> Behaviour {
    Behaviour::Latency { delay, jitter, distribution: Distribution::Normal, seed: 3 }
}

#[tokio::test]
async fn bytes_pass_both_ways_and_a_half_close_is_forwarded() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"question").await.unwrap();
    caller.shutdown().await.unwrap();
    let mut question = Vec::new();
    soon(callee.read_to_end(&mut question)).await.unwrap();
    assert_eq!(question, b"question");
    callee.write_all(b"answer, after the end of the question").await.unwrap();
    drop(callee);
    let mut answer = Vec::new();
    soon(caller.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"answer, after the end of the question");
    assert_eq!(rig.link.dose().chunks, 0);
    rig.shut().await;
}

#[tokio::test]
async fn a_large_transfer_arrives_whole_and_latency_does_not_slow_it_to_one_piece_at_a_time() {
    const SIZE: usize = 16 << 20;
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    transfer(&mut caller, &mut callee, SIZE).await;
    rig.link.set(latency(Duration::from_millis(50), Duration::ZERO));
    let begun = Instant::now();
    transfer(&mut caller, &mut callee, SIZE).await;
    // A thousand pieces of 16 KiB one after the other would take 50 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(rig.link.dose().bytes == SIZE as u64);
    rig.shut().await;
}

#[tokio::test]
async fn latency_holds_for_open_connections_at_once_and_its_dose_is_what_was_really_added() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"before").await.unwrap();
    hear(&mut callee, b"before").await;
    rig.link.set(latency(Duration::from_millis(80), Duration::ZERO));
    let begun = Instant::now();
    caller.write_all(b"late").await.unwrap();
    hear(&mut callee, b"late").await;
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.chunks, dose.bytes, dose.resets), (1, 1, 4, 0));
    assert!(dose.mean_delay >= Duration::from_millis(80) && dose.mean_delay <= begun.elapsed(), "{dose:?}");
    assert!(dose.p99_delay >= Duration::from_millis(79), "{dose:?}");
    rig.shut().await;
}

#[tokio::test]
async fn latency_is_added_on_the_way_to_the_callee_and_not_on_the_way_back() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(latency(Duration::from_hours(1), Duration::ZERO));
    callee.write_all(b"at once").await.unwrap();
    hear(&mut caller, b"at once").await;
    assert_eq!(rig.link.dose().chunks, 0);
    rig.shut().await;
}

#[tokio::test]
async fn pieces_keep_their_order_whatever_their_jitter() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    caller.set_nodelay(true).unwrap();
    rig.link.set(latency(Duration::from_millis(5), Duration::from_millis(5)));
    let mut expected = Vec::new();
    for number in 0..100_u64 {
        caller.write_all(&number.to_be_bytes()).await.unwrap();
        rig.until(number + 1).await;
        expected.extend_from_slice(&number.to_be_bytes());
    }
    hear(&mut callee, &expected).await;
    rig.shut().await;
}

#[tokio::test]
async fn the_end_of_latency_sends_what_is_queued_at_once_in_order_and_the_dose_stays_readable() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(latency(Duration::from_hours(1), Duration::ZERO));
    for (number, piece) in [b"one ", b"two ", b"end."].into_iter().enumerate() {
        caller.write_all(piece).await.unwrap();
        rig.until(number as u64 + 1).await;
    }
    caller.shutdown().await.unwrap();
    nothing_is_there(&callee);
    rig.link.set(Behaviour::Pass);
    let mut heard = Vec::new();
    soon(callee.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"one two end.");
    let dose = rig.link.dose();
    assert_eq!((dose.chunks, dose.bytes), (3, 12));
    // A delay that was cut short says nothing about the delay that was asked.
    assert_eq!(dose.mean_delay, Duration::ZERO);
    rig.shut().await;
}

#[tokio::test]
async fn a_partition_holds_both_directions_and_delivers_afterwards() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(Behaviour::Partition);
    caller.write_all(b"there").await.unwrap();
    rig.until(1).await;
    callee.write_all(b"back").await.unwrap();
    rig.until(2).await;
    nothing_is_there(&callee);
    nothing_is_there(&caller);
    let dose = rig.link.dose();
    assert_eq!((dose.connections_touched, dose.chunks, dose.bytes), (1, 2, 9));
    rig.link.set(Behaviour::Pass);
    hear(&mut callee, b"there").await;
    hear(&mut caller, b"back").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_loss_of_the_connection_crosses_a_partition_only_afterwards() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(Behaviour::Partition);
    caller.write_all(b"last words").await.unwrap();
    rig.until(1).await;
    caller.set_zero_linger().unwrap();
    drop(caller);
    nothing_is_there(&callee);
    rig.link.set(Behaviour::Pass);
    let mut heard = Vec::new();
    let ended = soon(callee.read_to_end(&mut heard)).await;
    // What was sent before the reset may arrive or be thrown away by it, as with TCP.
    assert!(heard.is_empty() || heard == b"last words");
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    rig.shut().await;
}

#[tokio::test]
async fn a_connection_made_during_a_partition_reaches_the_callee_afterwards() {
    let rig = Rig::new().await;
    rig.link.set(Behaviour::Partition);
    let mut caller = rig.call().await;
    caller.write_all(b"hello?").await.unwrap();
    rig.met(1).await;
    assert!(tokio::time::timeout(Duration::ZERO, rig.callee.accept()).await.is_err(), "the callee must not hear of it");
    rig.link.set(Behaviour::Pass);
    let mut callee = rig.answer().await;
    hear(&mut callee, b"hello?").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_caller_that_gave_up_during_a_partition_is_never_heard_of() {
    let rig = Rig::new().await;
    let (mut steady_caller, mut steady_callee) = rig.pair().await;
    rig.link.set(Behaviour::Partition);
    let mut hasty = rig.call().await;
    hasty.write_all(b"buy").await.unwrap();
    rig.met(1).await;
    drop(hasty);
    // A round trip through the link's own runtime: by then it has heard that the caller left.
    steady_caller.write_all(b"x").await.unwrap();
    rig.until(1).await;
    rig.link.set(Behaviour::Pass);
    hear(&mut steady_callee, b"x").await;
    let mut patient = rig.call().await;
    patient.write_all(b"patient").await.unwrap();
    let mut callee = rig.answer().await;
    hear(&mut callee, b"patient").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_reset_breaks_open_connections_on_both_sides_and_new_ones_at_once_until_it_ends() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(Behaviour::Reset);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(kind_of_end(&mut callee).await, Some(ErrorKind::ConnectionReset));
    // The reset may come before or after the caller's own system call returns.
    let refused = match soon(TcpStream::connect(rig.link.address())).await {
        Ok(mut late) => kind_of_end(&mut late).await,
        Err(error) => Some(error.kind()),
    };
    assert_eq!(refused, Some(ErrorKind::ConnectionReset));
    rig.when(|dose| dose.resets >= 2).await;
    assert_eq!(rig.link.dose().connections_touched, 2);
    rig.link.set(Behaviour::Pass);
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"again").await.unwrap();
    hear(&mut callee, b"again").await;
    rig.shut().await;
}

#[tokio::test]
async fn open_connections_can_be_reset_once_without_a_lasting_fault() {
    let rig = Rig::new().await;
    let (mut first, _first_callee) = rig.pair().await;
    let (mut second, _second_callee) = rig.pair().await;
    assert_eq!(rig.link.reset_connections(), 2);
    assert_eq!(kind_of_end(&mut first).await, Some(ErrorKind::ConnectionReset));
    assert_eq!(kind_of_end(&mut second).await, Some(ErrorKind::ConnectionReset));
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"fresh").await.unwrap();
    hear(&mut callee, b"fresh").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_reset_also_frees_connections_that_a_partition_holds() {
    let rig = Rig::new().await;
    rig.link.set(Behaviour::Partition);
    let mut caller = rig.call().await;
    rig.met(1).await;
    rig.link.set(Behaviour::Reset);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    rig.shut().await;
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_callee_that_refuses_resets_the_caller_and_a_new_address_is_followed() {
    let callee = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = callee.local_addr().unwrap();
    let (address, upstream) = watch::channel(nobody().await);
    let rig = Rig::leading_to(upstream, callee).await;
    let refused = match soon(TcpStream::connect(rig.link.address())).await {
        Ok(mut caller) => kind_of_end(&mut caller).await,
        Err(error) => Some(error.kind()),
    };
    assert_eq!(refused, Some(ErrorKind::ConnectionReset));
    address.send(there).unwrap();
    let (mut caller, mut callee) = rig.pair().await;
    caller.write_all(b"moved").await.unwrap();
    hear(&mut callee, b"moved").await;
    rig.shut().await;
}

#[tokio::test]
async fn a_callee_that_breaks_the_connection_breaks_it_for_the_caller() {
    let rig = Rig::new().await;
    let (mut caller, callee) = rig.pair().await;
    callee.set_zero_linger().unwrap();
    drop(callee);
    assert_eq!(kind_of_end(&mut caller).await, Some(ErrorKind::ConnectionReset));
    rig.shut().await;
}

#[tokio::test]
async fn a_new_behaviour_starts_a_new_dose_and_taking_it_empties_it() {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    rig.link.set(latency(Duration::from_millis(1), Duration::ZERO));
    caller.write_all(b"one").await.unwrap();
    hear(&mut callee, b"one").await;
    assert_eq!(rig.link.take_dose().chunks, 1);
    assert_eq!(rig.link.dose().chunks, 0);
    caller.write_all(b"two").await.unwrap();
    hear(&mut callee, b"two").await;
    assert_eq!(rig.link.dose().chunks, 1);
    rig.link.set(Behaviour::Partition);
    assert_eq!(rig.link.dose().chunks, 0);
    rig.shut().await;
}

#[tokio::test]
async fn stopping_closes_every_connection_and_the_address() -> io::Result<()> {
    let rig = Rig::new().await;
    let (mut caller, mut callee) = rig.pair().await;
    let address = rig.link.address();
    rig.shut().await;
    assert_eq!(kind_of_end(&mut caller).await, None);
    assert_eq!(kind_of_end(&mut callee).await, None);
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    Ok(())
}
