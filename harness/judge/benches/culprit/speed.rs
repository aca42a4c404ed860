//! How fast spans become an account: grouped by trace, joined to trees, and their critical paths added up by operation, on one core.

use crate::{
    chance::Chance,
    record::{self, Weather},
    trouble::Conditions,
    world::World,
};
use shakedown_model::evidence::SpanRecord;
use std::time::Instant;

const SPANS: usize = 2_000_000;
const AIM: f64 = 3e6;

pub(crate) fn print(world: &World, share: u64) {
    println!(
        "### Speed: grouping, trees, critical paths, sums by operation; one core\n\n| spans | traces | seconds | spans/s | aim 3 M |\n|---|---|---|---|---|"
    );
    let calm = Weather { steady: Conditions::default(), fault: Conditions::default() };
    let once = record::watched(world, &calm, &mut Chance::of(&[9])).candidate.spans;
    let wanted = SPANS / share as usize;
    let mut spans: Vec<SpanRecord> = Vec::with_capacity(wanted);
    for copy in 0_u64.. {
        if spans.len() >= wanted {
            break;
        }
        spans.extend(once.iter().map(|span| SpanRecord { trace_id: moved(span, copy), ..span.clone() }));
    }
    for _ in 0..5 {
        let begin = Instant::now();
        let (traces, sums) = shakedown_judge::time_spent(&spans);
        let took = begin.elapsed().as_secs_f64();
        assert!(!sums.is_empty());
        let rate = spans.len() as f64 / took;
        println!("| {} | {traces} | {took:.3} | {:.2} M | {} |", spans.len(), rate / 1e6, if rate >= AIM { "met" } else { "MISSED" });
    }
    println!();
}

/// The same trace once more.
fn moved(span: &SpanRecord, copy: u64) -> shakedown_model::ids::TraceId {
    let mut bytes = *span.trace_id.bytes();
    bytes[..8].copy_from_slice(&copy.to_be_bytes());
    shakedown_model::ids::TraceId::of(&bytes).unwrap_or(span.trace_id)
}
