//! One round: fresh instances of both variants, every scenario of the plan on them, and the evidence closed at the end.

use crate::{
    background::Background,
    clean::{self, Before},
    conductor::{Orders, Stop},
    instances::{Ground, bring_up},
    live::Live,
    posts::{lead_past, lead_through, take_posts},
    scenario::Stage,
    search::{self, Witness},
    sides::Side,
};
use futures_util::future::{join_all, try_join_all};
use shakedown_model::{
    experiment::Scenario,
    run::{Play, RunMeta},
};
use std::sync::Arc;

/// Plays the round. When this returns nobody listens any more and all evidence is on disk; the instances are left to the journal.
pub(crate) async fn play(orders: &Orders, meta: &mut RunMeta, round: u32, grounds: &[Ground]) -> Result<(), Stop> {
    let mut background = Background::default();
    let played = plays(orders, meta, round, grounds, &mut background).await;
    background.finish(orders).await;
    played
}

async fn plays(orders: &Orders, meta: &mut RunMeta, round: u32, grounds: &[Ground], background: &mut Background) -> Result<(), Stop> {
    let mut sides = bring_up(orders, round, grounds, background).await?;
    let live = Arc::new(Live::default());
    for scenario in orders.plan.scenarios.iter().map(|planned| &planned.scenario) {
        if scenario.searched().is_some() {
            search::play(orders, meta, &mut sides, &live, scenario, round).await?;
            continue;
        }
        for episode in 1..=scenario.episodes {
            play_once(orders, meta, &mut sides, &live, scenario, Play { round, episode }, Witness::default()).await?;
        }
    }
    Ok(())
}

/// One play, between two looks at the services.
pub(crate) async fn play_once(
    orders: &Orders,
    meta: &mut RunMeta,
    sides: &mut [Side],
    live: &Arc<Live>,
    scenario: &Scenario,
    play: Play,
    witness: Witness,
) -> Result<(), Stop> {
    let runtime = orders.plan.runtime;
    for side in &mut *sides {
        take_posts(side, scenario, runtime, &orders.journal).await.map_err(|error| orders.stop(&error))?;
    }
    let before = try_join_all(sides.iter().map(|side| clean::look(side, scenario))).await.map_err(|why| orders.stop(&why))?;
    for side in &mut *sides {
        lead_through(side, scenario, runtime).await;
    }
    let stage = Stage { orders, sides, live: Arc::clone(live), play, witness };
    let (record, played) = stage.play(scenario).await;
    meta.scenarios.push(record);
    for side in &mut *sides {
        side.note_losses();
        lead_past(side, &orders.announcer).await;
    }
    meta.left.extend(residues(orders, sides, &before, &scenario.name).await);
    orders.directory.write_run(meta).map_err(|error| Stop::Environment(format!("run.json: {error}")))?;
    played
}

/// What a scenario left in the services. After the third signal nobody looks.
async fn residues(orders: &Orders, sides: &mut [Side], before: &[Before], scenario: &str) -> Vec<String> {
    let looks = join_all(sides.iter_mut().zip(before).map(|(side, before)| clean::residues(side, before, &orders.journal)));
    let found: Vec<String> = tokio::select! {
        found = looks => found.concat(),
        () = orders.interrupt.desperate().cancelled() => Vec::new(),
    };
    found.into_iter().map(|what| format!("{what} (after {scenario})")).collect()
}
