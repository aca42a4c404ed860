//! The same for faults that a queueing discipline does.

use serde_json::json;

use super::{Crash, FakeKernel, able, kinds, request};
use crate::session::{Means, Session};
use crate::wire::Answer;

/// A request for a fault in direction `out`.
fn outward(id: u64, kind: &serde_json::Value) -> Vec<u8> {
    let mut line: serde_json::Value = serde_json::from_slice(&request(id, "apply", kind)).unwrap();
    line["fault"]["direction"] = json!("out");
    line.to_string().into_bytes()
}

/// The kinds that a discipline can do, and the one that the kernel calls it.
fn shaped_kinds() -> [(serde_json::Value, &'static str); 3] {
    let [latency, _, _, loss, _, bandwidth, ..] = kinds();
    [(latency, "netem ("), (loss, "netem ("), (bandwidth, "tbf (")]
}

#[test]
fn the_world_ends_whole_wherever_a_step_with_a_discipline_fails() {
    for (kind, _) in shaped_kinds() {
        let live = |crash| {
            let mut kernel = FakeKernel { crash, ..able() };
            let mut session = Session::by(Means::Netem, &mut kernel);
            let replies = [session.answer(&outward(1, &kind)), session.answer(&request(2, "revert", &kind))];
            let (_, clean) = session.take_back_all();
            drop(session);
            assert!(clean && kernel.is_whole(), "{kind} with {crash:?} left {kernel:?}");
            (kernel.calls, replies)
        };
        let (calls, replies) = live(Crash::default());
        assert!(calls == 10 && replies.iter().all(|reply| reply.ok.is_some()), "{calls} {replies:?}");
        for at in 0..calls {
            for after_effect in [false, true] {
                let (_, replies) = live(Crash { at: Some(at), after_effect });
                assert!(replies.iter().any(|reply| reply.error.is_some()), "a failure must be told: {replies:?}");
            }
        }
    }
}

#[test]
fn a_discipline_is_used_only_where_it_is_preferred_and_a_queue_where_it_cannot_be_had() {
    for (kind, name) in shaped_kinds() {
        for (means, no_discipline, expected) in
            [(Means::Queue, false, "nfqueue ("), (Means::Netem, false, name), (Means::Netem, true, "nfqueue (")]
        {
            let mut kernel = FakeKernel { no_discipline, ..able() };
            let mut session = Session::by(means, &mut kernel);
            let reply = session.answer(&outward(1, &kind));
            let Some(Answer::Applied(applied)) = reply.ok else { panic!("{reply:?}") };
            assert!(applied.mechanism.starts_with(expected), "{}", applied.mechanism);
            let why = applied.mechanism.ends_with("; no discipline: somebody's");
            drop(session);
            let shaped = name == expected;
            assert_eq!((kernel.shapes.len(), kernel.queues.is_empty(), why), (usize::from(shaped), shaped, no_discipline));
            assert_eq!(kernel.tables.len(), 2, "what was begun for the discipline is taken back");
        }
    }
}
