//! Behaviours that are on a share of the connections.

use crate::rig::{Rig, hear, kind_of_end, soon};
use shakedown_link::{Behaviour, Toxicity};
use std::{io::ErrorKind, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

fn half() -> Toxicity {
    Toxicity::try_new(0.5, 9).unwrap()
}

async fn pairs(rig: &Rig, count: usize) -> Vec<(TcpStream, TcpStream)> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push(rig.pair().await);
    }
    pairs
}

#[tokio::test]
async fn a_behaviour_is_on_a_share_of_the_connections_open_ones_included_and_the_others_pass() {
    let rig = Rig::new().await;
    let mut open = pairs(&rig, 8).await;
    rig.link.set_for(Behaviour::Slicer { size: 1, delay: Duration::ZERO }, half());
    open.extend(pairs(&rig, 8).await);
    for (caller, callee) in &mut open {
        caller.write_all(b"abcd").await.unwrap();
        hear(callee, b"abcd").await;
    }
    rig.when(|dose| dose.connections_touched + dose.connections_spared == 16).await;
    let dose = rig.link.dose();
    assert!((2..15).contains(&dose.connections_touched), "{dose:?}");
    assert_eq!((dose.chunks, dose.slices), (dose.connections_touched, 4 * dose.connections_touched));
    rig.shut().await;
}

#[tokio::test]
async fn only_the_share_is_held_by_a_partition_or_reset_and_an_undrawn_connection_is_free_again() {
    let rig = Rig::new().await;
    let mut open = pairs(&rig, 12).await;
    rig.link.set(Behaviour::Partition);
    for (caller, _) in &mut open {
        caller.write_all(b"held").await.unwrap();
    }
    rig.until(12).await;
    rig.link.set_for(Behaviour::Reset, half());
    rig.when(|dose| dose.resets + dose.connections_spared == 12).await;
    let resets = rig.link.dose().resets;
    assert!((1..12).contains(&resets));
    let mut reset = 0;
    for (caller, callee) in &mut open {
        let mut first = [0; 1];
        if soon(callee.peek(&mut first)).await.is_ok() {
            hear(callee, b"held").await;
        } else {
            reset += 1;
            assert_eq!(kind_of_end(caller).await, Some(ErrorKind::ConnectionReset));
        }
    }
    assert_eq!(reset, resets);
    rig.shut().await;
}

#[tokio::test]
async fn a_share_of_nothing_spares_everyone() {
    for behaviour in [Behaviour::Partition, Behaviour::Reset] {
        let rig = Rig::new().await;
        rig.link.set_for(behaviour, Toxicity::try_new(0.0, 1).unwrap());
        let mut open = pairs(&rig, 3).await;
        for (caller, callee) in &mut open {
            caller.write_all(b"free").await.unwrap();
            hear(callee, b"free").await;
        }
        assert_eq!((rig.link.dose().connections_touched, rig.link.dose().connections_spared), (0, 3));
        rig.shut().await;
    }
}
