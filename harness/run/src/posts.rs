//! Who stands beside which service in a scenario, and which edges go through a relay.

use crate::{
    announce::Announcer,
    faults::{lead, let_go},
    helpers::Helper as Conversation,
    means::{Means, means},
    sides::Side,
};
use futures_util::future::join_all;
use shakedown_model::{
    experiment::Scenario,
    fault::{Fault, Target},
    plan::RuntimeKind,
};
use shakedown_runtime::{Helper, Post, RuntimeError};
use shakedown_undo::Journal;
use std::{collections::BTreeSet, time::Duration};
use tokio::sync::Mutex;

/// A relay leads connections past itself after the length of its scenario, as often, and this: the harness is then taken for dead.
const GRACE: Duration = Duration::from_mins(5);

/// Who has to stand where for the faults of a scenario.
fn posts(scenario: &Scenario, runtime: RuntimeKind) -> BTreeSet<(String, Post)> {
    scenario.faults.iter().flat_map(|fault| posts_of(fault, runtime)).collect()
}

fn posts_of(fault: &Fault, runtime: RuntimeKind) -> Vec<(String, Post)> {
    let service = match &fault.on {
        Target::Edge(edge) => &edge.from,
        Target::Service(service) => service,
    };
    let posts: &[Post] = match means(&fault.action, fault.connections, runtime) {
        Means::Packets => &[Post::Packets],
        Means::Relay => &[Post::Packets, Post::Relay],
        Means::Processes => &[Post::Processes],
        _ => &[],
    };
    posts.iter().map(|post| (service.clone(), *post)).collect()
}

/// What has to go through a relay, and the callee's ports; none: all. There is one relay for an edge, and a behaviour of it is for all that goes
/// through it: faults that name different ports cannot share it.
fn relayed(scenario: &Scenario, runtime: RuntimeKind) -> Vec<(Target, Result<Vec<u16>, String>)> {
    let mut relayed: Vec<(Target, Result<Vec<u16>, String>)> = Vec::new();
    let by_relay = scenario.faults.iter().filter(|fault| means(&fault.action, fault.connections, runtime) == Means::Relay);
    for fault in by_relay {
        match relayed.iter_mut().find(|(target, _)| *target == fault.on) {
            None => relayed.push((fault.on.clone(), Ok(fault.ports.clone()))),
            Some((_, ports)) if ports.as_ref().is_ok_and(|ports| *ports != fault.ports) => {
                *ports = Err(format!("faults on {} name different ports: put them into scenarios of their own", fault.on));
            }
            Some(_) => {}
        }
    }
    relayed
}

/// Puts everybody where he has to be, once; one whose service was started again, or that no longer answers, is replaced.
pub(crate) async fn take_posts(side: &mut Side, scenario: &Scenario, runtime: RuntimeKind, journal: &Journal) -> Result<(), RuntimeError> {
    for (service, post) in posts(scenario, runtime) {
        let started_at = side.stack.state(&service).await?.started_at;
        if stands(side, &service, post, &started_at).await {
            continue;
        }
        take_post(side, &service, post, started_at, journal).await?;
    }
    Ok(())
}

/// Another agent in the place of one that is gone.
pub(crate) async fn replace_agent(side: &mut Side, service: &str, post: Post, journal: &Journal) -> Result<(), RuntimeError> {
    let started_at = side.stack.state(service).await?.started_at;
    take_post(side, service, post, started_at, journal).await
}

async fn take_post(side: &mut Side, service: &str, post: Post, started_at: String, journal: &Journal) -> Result<(), RuntimeError> {
    let helper = match post {
        Post::Packets => Helper { name: "agent", binary: side.helpers.agent, post },
        Post::Processes => Helper { name: "warden", binary: side.helpers.agent, post },
        Post::Relay => Helper { name: "relay", binary: side.helpers.relay, post },
    };
    let pipe = side.stack.stand_beside(service, &helper, journal).await?;
    let who = format!("{} beside {service}", helper.name);
    if post == Post::Relay {
        side.relays.insert(service.to_owned(), Mutex::new(Conversation::new(who, started_at, pipe)));
    } else {
        side.agents.insert((service.to_owned(), post), Mutex::new(Conversation::new(who, started_at, pipe)));
    }
    Ok(())
}

async fn stands(side: &Side, service: &str, post: Post, started_at: &str) -> bool {
    match (post, side.relay(service), side.agent(service, post)) {
        (Post::Relay, Ok(relay), _) => relay.lock().await.answers_beside(started_at).await,
        (Post::Packets | Post::Processes, _, Ok(agent)) => agent.lock().await.answers_beside(started_at).await,
        _ => false,
    }
}

/// Leads what the faults of a scenario are for through relays.
pub(crate) async fn lead_through(side: &mut Side, scenario: &Scenario, runtime: RuntimeKind) {
    let ttl = scenario.length() * 2 + GRACE;
    let relayed = relayed(scenario, runtime);
    let led = join_all(relayed.iter().map(|(target, ports)| {
        let side = &*side;
        async move { lead(side, target, ports.as_ref().map_err(Clone::clone)?, ttl).await }
    }))
    .await;
    side.relayed = relayed.into_iter().map(|(target, _)| target).zip(led).collect();
}

/// Leads them past the relays again.
pub(crate) async fn lead_past(side: &mut Side, announcer: &Announcer) {
    for (target, relayed) in std::mem::take(&mut side.relayed) {
        let Ok(relayed) = relayed else { continue };
        if let Err(why) = let_go(side, &target, &relayed).await {
            announcer.warn(format!("{target} may still go through its relay: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_model::config;
    use std::{
        collections::BTreeMap,
        path::{Path, PathBuf},
    };

    fn scenario(faults: &str) -> Scenario {
        let text = format!(
            r#"
services: {{process: {{a: {{run: [./a]}}, b: {{run: [./b]}}}}}}
load: {{home: {{to: "a:80", request: GET /, rate: 50/s}}}}
scenarios: [{{scenario: s, faults: [{faults}]}}]
"#
        );
        let files = BTreeMap::from([(PathBuf::from("/p/shakedown.yaml"), text)]);
        let loaded = config::load(Path::new("/p/shakedown.yaml"), &files, &BTreeMap::new());
        loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).experiment.scenarios.remove(0)
    }

    #[test]
    fn faults_of_one_edge_share_a_relay_only_where_they_name_the_same_ports() {
        let of = |second: &str| {
            let first = r#"{for: 5s, on: "a -> b", down: {}, ports: [80]}, {for: 5s, at: 9s, on: "a -> b", reset: {}, ports: [7]}"#;
            let found = relayed(&scenario(&format!("{first}, {{for: 5s, at: 20s, on: \"a -> b\", {second}}}")), RuntimeKind::Docker);
            assert_eq!(found.len(), 1, "packets need no relay");
            found.into_iter().next().map(|(_, ports)| ports)
        };
        assert_eq!(of("timeout: {after: 1s}, ports: [80]"), Some(Ok(vec![80])));
        for other in ["timeout: {after: 1s}", "timeout: {after: 1s}, ports: [81]"] {
            assert!(of(other).is_some_and(|ports| ports.is_err_and(|why| why.contains("different ports"))), "{other}");
        }
    }

    #[test]
    fn who_only_drops_packets_gets_no_relay_and_who_is_only_killed_nobody() {
        let of = |faults: &str| posts(&scenario(faults), RuntimeKind::Docker).into_iter().collect::<Vec<_>>();
        assert_eq!(of(r#"{for: 5s, on: "a -> b", partition: {}}"#), [("a".to_owned(), Post::Packets)]);
        assert_eq!(of(r#"{for: 5s, on: "a -> b", down: {}}"#), [("a".to_owned(), Post::Packets), ("a".to_owned(), Post::Relay)]);
        assert_eq!(of("{for: 5s, on: b, clock: {offset: 1h}}"), [("b".to_owned(), Post::Processes)]);
        assert_eq!(of("{for: 5s, on: b, kill: {}}"), []);
    }
}
