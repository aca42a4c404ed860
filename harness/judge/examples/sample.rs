//! Prints a rich `result.json` of a run that never was: one scenario fails, one passes, one is inconclusive. For whoever works on reports:
//! `cargo run -p shakedown-judge --example sample > fixtures/runs/sample-result.json`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Behaviour, Story};
use shakedown_model::fault::{Action, Target};
use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut storm = Story::slow_payment("slow-payment");
    storm.candidate = Behaviour { fault: 0.62, failures: 0.03, calls: 4, sick: 0.8, ..Behaviour::default() };
    let mut killed = Story::slow_payment("payment-killed");
    killed.why = None;
    killed.fault.on = Target::Service("payment".to_owned());
    killed.fault.action = Action::Kill;
    for behaviour in [&mut killed.candidate, &mut killed.baseline] {
        *behaviour = Behaviour { fault: 0.03, touched: 1, sick: 0.3, ..Behaviour::default() };
    }
    let mut untouched = Story::slow_payment("catalog-unreachable");
    untouched.why = Some("Checkout does not need the catalog.");
    untouched.candidate = Behaviour { fault: 0.02, touched: 0, ..Behaviour::default() };
    untouched.baseline = untouched.candidate.clone();
    let mut evidence = common::evidence(&[storm, killed, untouched]);
    evidence.candidate.losses.insert("spans dropped".to_owned(), 12);
    let result = shakedown_judge::judge(&evidence);
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &result)?;
    writeln!(out)
}
