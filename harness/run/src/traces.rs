//! What is left on this machine when everything was taken back: looked for by marks and ids, and compared with what stood in the machine's
//! own network namespace at the beginning.

use crate::clean::of_list;
use shakedown_agent::{survey, wire::Survey};
use shakedown_model::plan::RuntimeKind;
use shakedown_runtime::Trail;

/// How the agents' tables begin.
const STEM: &str = " shakedown";

/// Where it is possible to look: nf_tables answer to root only.
pub(crate) struct Host {
    before: Option<Survey>,
}

impl Host {
    /// Looks before anything is made.
    pub(crate) async fn look() -> Host {
        Host { before: network().await }
    }

    /// What differs from the beginning and may be a fault's work.
    async fn residues(&self) -> Vec<String> {
        let (Some(before), Some(after)) = (&self.before, network().await) else { return Vec::new() };
        of_host(before, &after).into_iter().map(|what| format!("this machine's own network: {what}")).collect()
    }
}

/// What is still there. `trail` was asked for before anything was taken back.
pub(crate) async fn left(host: &Host, trail: &Trail) -> Vec<String> {
    let (mut left, residues) = tokio::join!(trail.remains(), host.residues());
    left.extend(residues);
    left
}

/// The containers of a run, while they have ids.
pub(crate) async fn trail(run: &str, runtime: RuntimeKind) -> Trail {
    Trail::of(run, runtime).await
}

async fn network() -> Option<Survey> {
    tokio::task::spawn_blocking(survey::of_network).await.ok()
}

/// Links, routes and rules of a machine change with every container of anybody; the same goes for a link's qdisc as long as the link is new or
/// gone.
fn of_host(before: &Survey, after: &Survey) -> Vec<String> {
    let ours = |survey: &Survey| survey.nft_tables.iter().filter(|row| row.contains(STEM)).cloned().collect::<Vec<_>>();
    let new: Vec<String> = ours(after).into_iter().filter(|row| !before.nft_tables.contains(row)).collect();
    let link = |row: &String| row.split(' ').next().unwrap_or_default().to_owned();
    // A link that is coming or going stands in one list of a survey and not yet or no more in the other: a link that stays has a queue.
    let names = |survey: &Survey| {
        let queued = |name: &String| survey.qdiscs.iter().any(|row| link(row) == *name);
        survey.links.iter().map(link).filter(queued).collect::<Vec<_>>()
    };
    let (then, now) = (names(before), names(after));
    let lasting = |survey: &Survey| {
        let stays = |row: &&String| then.contains(&link(row)) && now.contains(&link(row));
        survey.qdiscs.iter().filter(stays).cloned().collect::<Vec<_>>()
    };
    let qdiscs = of_list("qdiscs", &lasting(before), &lasting(after));
    of_list("nft tables", &[], &new).into_iter().chain(qdiscs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(tables: &[&str], links: &[&str], qdiscs: &[&str]) -> Survey {
        let rows = |rows: &[&str]| rows.iter().map(|&row| row.to_owned()).collect();
        Survey { nft_tables: rows(tables), links: rows(links), qdiscs: rows(qdiscs), ..Survey::default() }
    }

    #[test]
    fn what_others_do_to_a_machine_meanwhile_is_life_and_tables_and_queues_of_a_fault_are_not() {
        let before = host(&["ip nat"], &["eth0 up mtu 1500", "veth1 up mtu 1500"], &["eth0 root mq 0:", "veth1 root noqueue 0:"]);
        let life = host(&["ip nat", "inet firewall"], &["eth0 up mtu 1500", "veth2 up mtu 1500"], &["eth0 root mq 0:", "veth2 root fq 1:"]);
        assert_eq!(of_host(&before, &life), [""; 0]);
        let going = host(&["ip nat"], &["eth0 up mtu 1500", "veth1 up mtu 1500"], &["eth0 root mq 0:"]);
        assert_eq!((of_host(&before, &going), of_host(&going, &before)), (vec![], vec![]), "a container that starts or ends meanwhile");
        let left = host(&["ip nat", "ip shakedown_7_1_slow"], &["eth0 up mtu 1500"], &["eth0 root tbf 8001:"]);
        assert_eq!(of_host(&before, &left), ["nft tables: none → ip shakedown_7_1_slow", "qdiscs: eth0 root mq 0: → eth0 root tbf 8001:"]);
    }
}
