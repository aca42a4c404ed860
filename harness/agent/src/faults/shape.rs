//! The same faults by the kernel's own queueing disciplines, for an agent that is asked to prefer them.
//!
//! A discipline stands where packets leave an interface, in a class that nothing leads to but the rules of the fault's table:
//! they give a packet the priority that names the class, and count it. The table goes with the agent's socket, so that after
//! a SIGKILL of the agent no packet goes to the class any more, although the discipline itself stays.
//!
//! Chosen is only what the discipline does in the same way and what its counters prove. Not chosen are: direction `in`
//! (disciplines are for what leaves); corrupt, duplicate and reorder (netem counts none of the packets that it does this to);
//! a correlated latency (netem's correlation narrows the spread: see `line::delay`); jitters of more than a second (netem has
//! 32 bits for them).
//!
//! What remains different. Latency with jitter draws for every packet and does not keep a flow's order. What is held when the
//! fault ends goes on when it is due and not at once. How long packets were held is not measured. Before Linux 6.6 seeds are not
//! obeyed. A line (`tbf`) lets the first packet after a pause pass without its own time, and counts the header of the link.

use super::{Plan, Recipe, Site, Step, owner_words};
use crate::kernel::{Act, Discipline, Meters, Sentence, Shape};
use crate::wire::{Direction, Facts, FaultSpec, Kind, Powers, Target};

/// The discipline that can do this; or why there is none, for those who ask for one.
pub fn discipline(spec: &FaultSpec, powers: &Powers) -> Result<Discipline, &'static str> {
    let discipline = of_kind(&spec.kind)?;
    match discipline {
        _ if spec.direction != Some(Direction::Out) => Err("disciplines are for direction out"),
        Discipline::Hold(_) | Discipline::Lose(_) if !powers.netem => Err("this kernel has none"),
        Discipline::Pace(_) if !powers.tbf => Err("this kernel has none"),
        discipline => Ok(discipline),
    }
}

fn of_kind(kind: &Kind) -> Result<Discipline, &'static str> {
    match kind {
        Kind::Latency(latency) if latency.correlation_ppm > 0 => Err("its correlation narrows the spread"),
        Kind::Latency(latency) if latency.jitter_us > Discipline::JITTER_MAX_US => Err("its jitter is at most a second"),
        Kind::Latency(latency) => Ok(Discipline::Hold(latency.clone())),
        Kind::Loss(loss) => Ok(Discipline::Lose(loss.clone())),
        Kind::Bandwidth(bandwidth) => Ok(Discipline::Pace(bandwidth.clone())),
        Kind::Corrupt(_) | Kind::Duplicate(_) | Kind::Reorder(_) => Err("netem does not count what it does"),
        _ => Err("none does this"),
    }
}

/// How it is done, for the report.
pub fn mechanism(discipline: &Discipline, facts: &Facts) -> String {
    let (jitters, chooses) = match discipline {
        Discipline::Hold(latency) => (latency.jitter_us > 0, latency.jitter_us > 0),
        Discipline::Lose(_) => (false, true),
        Discipline::Pace(_) => (false, false),
    };
    let order = if jitters { "; jitter may reorder a flow's packets" } else { "" };
    let seed = if chooses && !obeys_seeds(&facts.kernel) { "; no seed before Linux 6.6" } else { "" };
    format!("{} (led to by {}){order}{seed}", discipline.kind(), owner_words(&facts.powers))
}

/// Whether netem of this release, such as `6.1.0-56-cloud-amd64`, takes a seed.
fn obeys_seeds(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 6)
}

/// What to do, in order: tables, discipline, rules.
pub fn plan(spec: &FaultSpec, site: &Site, discipline: Discipline) -> Plan {
    let Target::Packets { addresses, .. } = &spec.to else { return Plan { steps: Vec::new(), meters: Meters::default() } };
    let shape = Shape { handle: site.handle, addresses: addresses.clone(), discipline };
    let sentence = Sentence::Shape { class: Shape::class(site.handle) };
    let recipe = Recipe { treatment: None, relay: None, protocols: &[], first: &[], sentence: &|_| sentence };
    let mut plan = recipe.plan(spec, site);
    let before_rules = plan.meters.tables.len();
    plan.steps.insert(before_rules, Step::from(Act::Shape(shape.clone())));
    plan.meters.shape = Some(shape);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_obeyed_from_6_6_on() {
        for (release, obeys) in [("6.1.0-56-cloud-amd64", false), ("6.6.0", true), ("6.18.44-x", true), ("7.0-rc1", true), ("?", false)] {
            assert_eq!(obeys_seeds(release), obeys, "{release}");
        }
    }

    #[test]
    fn what_a_discipline_cannot_do_in_the_same_way_or_cannot_prove_is_left_to_the_queue() {
        let powers = Powers { netem: true, tbf: true, ..Powers::default() };
        let ask = |kind: &str, direction: &str, powers: &Powers| {
            let to = r#"{"addresses":["10.0.0.1"]}"#;
            let line = format!(r#"{{"name":"f","ttl_ms":1,"kind":{kind},"to":{to},"direction":"{direction}"}}"#);
            discipline(&serde_json::from_str(&line).unwrap(), powers)
        };
        let latency = r#"{"latency":{"delay_us":2000000,"jitter_us":1000000,"distribution":"pareto"}}"#;
        let loss = r#"{"loss":{"share_ppm":5,"burst_packets":3}}"#;
        let bandwidth = r#"{"bandwidth":{"bytes_per_second":5}}"#;
        for kind in [latency, loss, bandwidth] {
            assert!(ask(kind, "out", &powers).is_ok(), "{kind}");
            for (direction, powers) in [("in", &powers), ("both", &powers), ("out", &Powers::default())] {
                assert!(ask(kind, direction, powers).is_err(), "{kind} {direction}");
            }
        }
        assert!(ask(bandwidth, "out", &Powers { tbf: false, ..powers.clone() }).is_err());
        let left = [
            r#"{"latency":{"delay_us":2000000,"jitter_us":1000001}}"#,
            r#"{"latency":{"delay_us":20,"jitter_us":10,"correlation_ppm":1}}"#,
            r#"{"corrupt":{"share_ppm":5}}"#,
            r#"{"duplicate":{"share_ppm":5}}"#,
            r#"{"reorder":{"share_ppm":5,"delay_us":5}}"#,
            r#"{"partition":{}}"#,
            r#"{"mtu":{"bytes":1400}}"#,
        ];
        for kind in left {
            assert!(ask(kind, "out", &powers).is_err(), "{kind}");
        }
    }
}
