//! Faults that are drawn from the commit's seed: the same commit always meets the same weather. Pure.

use crate::means::{Means, means};
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use shakedown_model::{
    experiment::{Random, Scenario},
    fault::{Action, Bandwidth, Cpu, Distribution, Fault, Latency, Loss, Partition, Target},
    plan::RuntimeKind,
    units::{Percent, Span, Throughput},
};
use std::time::Duration;

/// The scenario with its faults drawn, if they are to be.
pub(crate) fn drawn(scenario: &Scenario, seed: u64, runtime: RuntimeKind) -> Scenario {
    let mut scenario = scenario.clone();
    if let Some(random) = &scenario.random {
        scenario.faults = draw(random, &scenario, seed, runtime);
    }
    scenario
}

fn draw(random: &Random, scenario: &Scenario, seed: u64, runtime: RuntimeKind) -> Vec<Fault> {
    // By the scenario's name too: two scenarios of a commit differ.
    let name = scenario.name.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ name);
    let mut targets = random.targets.clone();
    targets.retain(|(target, _)| !possible(random, target, runtime).is_empty());
    let every = random.lasts.0 + random.gap.0;
    let fault = |number: u32, dice: &mut ChaCha8Rng| {
        let (on, _) = targets.choose_weighted(dice, |(_, weight)| *weight).ok()?;
        let kind = possible(random, on, runtime).choose(dice).copied()?.to_owned();
        let at = Span(every * number);
        let action = action(&kind, dice)?;
        Some(Fault {
            at,
            lasts: random.lasts,
            on: on.clone(),
            action,
            connections: Percent(1.0),
            ports: Vec::new(),
            search: None,
            source: scenario.source.clone(),
        })
    };
    (0..random.count).filter_map(|number| fault(number, &mut dice)).collect()
}

/// The kinds that were asked for, that fit a target, and that the runtime can do.
fn possible<'r>(random: &'r Random, target: &Target, runtime: RuntimeKind) -> Vec<&'r str> {
    let fits = |kind: &&str| {
        // Whatever its parameters.
        let Some(action) = action(kind, &mut ChaCha8Rng::seed_from_u64(0)) else { return false };
        let is_possible = !matches!(means(&action, Percent(1.0), runtime), Means::Impossible(_));
        is_possible && action.is_on_edge() == matches!(target, Target::Edge(_))
    };
    random.kinds.iter().map(String::as_str).filter(fits).collect()
}

/// A kind with parameters that hurt and can be borne.
fn action(kind: &str, dice: &mut ChaCha8Rng) -> Option<Action> {
    let millis = |millis| Span(Duration::from_millis(millis));
    Some(match kind {
        "latency" => {
            let delay = dice.random_range(20..=400);
            let (delay, jitter) = (millis(delay), millis(delay / 4));
            Action::Latency(Latency { delay, jitter, distribution: Distribution::Normal, correlation: Percent(0.0) })
        }
        "loss" => Action::Loss(Loss { share: Percent(f64::from(dice.random_range(1..=20_u32)) / 100.0), burst: 1 }),
        "bandwidth" => Action::Bandwidth(Bandwidth { rate: Throughput(dice.random_range(16..=512_u64) << 10) }),
        "partition" => Action::Partition(Partition::default()),
        "reset" => Action::Reset,
        "down" => Action::Down,
        "pause" => Action::Pause,
        "stop" => Action::Stop,
        "kill" => Action::Kill,
        "restart" => Action::Restart,
        "cpu" => Action::Cpu(Cpu::Quota(Percent(f64::from(dice.random_range(5..=50_u32)) / 100.0))),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::config;
    use std::{
        collections::BTreeMap,
        path::{Path, PathBuf},
    };

    const CONFIG: &str = r#"
services:
  process:
    gateway: {run: [./shop, gateway], depends_on: [orders]}
    orders: {run: [./shop, orders], depends_on: [payment]}
    payment: {run: [./shop, payment]}
load: {home: {to: "gateway:8080", request: GET /, rate: 50/s}}
scenarios: [{scenario: weather, random: {count: 40, for: 2s, gap: 1s}}]
"#;

    fn scenario(text: &str) -> Scenario {
        let files = BTreeMap::from([(PathBuf::from("/p/shakedown.yaml"), text.to_owned())]);
        let loaded = config::load(Path::new("/p/shakedown.yaml"), &files, &BTreeMap::new());
        loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).experiment.scenarios.remove(0)
    }

    fn said(seed: u64, runtime: RuntimeKind) -> Vec<String> {
        let faults = drawn(&scenario(CONFIG), seed, runtime).faults;
        faults.iter().map(|fault| format!("{} {} {:?}", fault.at, fault.on, fault.action)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_weather_and_another_draws_another() {
        assert_eq!(said(7, RuntimeKind::Docker), said(7, RuntimeKind::Docker));
        assert_ne!(said(7, RuntimeKind::Docker), said(8, RuntimeKind::Docker));
        assert_eq!(said(7, RuntimeKind::Docker).len(), 40);
    }

    #[test]
    fn faults_follow_each_other_fit_their_targets_and_are_possible_where_they_are_run() {
        for runtime in [RuntimeKind::Docker, RuntimeKind::Process] {
            let faults = drawn(&scenario(CONFIG), 7, runtime).faults;
            for (number, fault) in (0_u32..).zip(&faults) {
                assert_eq!(fault.at.0, Duration::from_secs(3) * number);
                assert_eq!(fault.action.is_on_edge(), matches!(fault.on, Target::Edge(_)), "{} on {}", fault.action.kind(), fault.on);
                assert!(!matches!(means(&fault.action, fault.connections, runtime), Means::Impossible(_)), "{}", fault.action.kind());
            }
        }
    }

    #[test]
    fn what_much_depends_on_is_drawn_more_often() {
        let only = CONFIG.replace("count: 40", "count: 50, kinds: [kill]");
        let faults = drawn(&scenario(&only), 1, RuntimeKind::Docker).faults;
        let times = |service: &str| faults.iter().filter(|fault| fault.on == Target::Service(service.to_owned())).count();
        assert!(times("payment") > times("gateway"), "payment {}, gateway {}", times("payment"), times("gateway"));
    }
}
