//! What is a residue and what is life.

use super::*;
use shakedown_runtime::ServiceState;

fn state(word: StateWord, started_at: &str) -> ServiceState {
    ServiceState { word, exit_code: None, out_of_memory: false, health: None, started_at: started_at.to_owned() }
}

fn running() -> Survey {
    let limits = vec![("memory".to_owned(), 64), ("tasks".to_owned(), 50)];
    Survey { state: state(StateWord::Running, "then"), is_stopped: false, limits, ours: Vec::new() }
}

fn network(qdisc: &str) -> Namespaces {
    let rows = |row: &str| vec![row.to_owned()];
    Namespaces { qdiscs: rows(qdisc), links: rows("eth0 up mtu 1500"), routes: rows("ip default via 10.0.0.1"), ..Namespaces::default() }
}

fn processes(limits: &[u64]) -> ProcessSurvey {
    ProcessSurvey { count: 3, file_limits: limits.iter().map(|limit| (*limit, 1)).collect(), ..ProcessSurvey::default() }
}

#[test]
fn a_service_that_stands_as_it_did_has_no_residue() {
    assert_eq!(of_stack(&running(), &running()), [""; 0]);
    assert_eq!(of_namespaces(Post::Packets, &network("eth0 root noqueue 0:"), &network("eth0 root noqueue 0:")), [""; 0]);
}

#[test]
fn limits_that_are_other_more_or_fewer_are_named_with_both_values() {
    let other = Survey { limits: vec![("memory".to_owned(), 32), ("billionths of cores".to_owned(), 5)], ..running() };
    let found = of_stack(&running(), &other);
    assert_eq!(found, ["limit of billionths of cores: none → 5", "limit of memory: 64 → 32", "limit of tasks: 50 → none"]);
}

#[test]
fn a_service_that_is_paused_or_stopped_is_a_residue_and_one_that_ended_is_not() {
    let paused = Survey { state: state(StateWord::Paused, "then"), ..running() };
    assert_eq!(of_stack(&running(), &paused), ["state: running → paused"]);
    assert_eq!(of_stack(&running(), &Survey { is_stopped: true, ..running() }), ["main process: runs → stopped (SIGSTOP)"]);
    let ended = Survey { state: state(StateWord::Exited, "then"), ..running() };
    assert_eq!(of_stack(&running(), &ended), [""; 0]);
    assert_eq!(of_stack(&paused, &paused), [""; 0], "it was before");
}

#[test]
fn a_helper_that_still_runs_inside_is_a_residue() {
    let found = of_stack(&running(), &Survey { ours: vec![".shakedown-with".to_owned()], ..running() });
    assert_eq!(found, ["helpers inside: none → .shakedown-with"]);
}

#[test]
fn only_a_service_that_has_run_all_the_time_still_has_its_namespaces() {
    let with = |word, started| Survey { state: state(word, started), ..running() };
    assert!(is_one_life(&running(), &running()));
    assert!(is_one_life(&running(), &with(StateWord::Paused, "then")));
    assert!(!is_one_life(&running(), &with(StateWord::Running, "later")));
    assert!(!is_one_life(&running(), &with(StateWord::Exited, "then")));
    assert!(!is_one_life(&with(StateWord::Exited, "then"), &running()));
}

#[test]
fn of_the_network_each_row_that_came_or_went_is_named() {
    let mut after = network("eth0 root tbf 8001:");
    after.nft_tables.push("inet left".to_owned());
    after.routes.clear();
    let found = of_namespaces(Post::Packets, &network("eth0 root noqueue 0:"), &after);
    let expected =
        ["nft tables: none → inet left", "qdiscs: eth0 root noqueue 0: → eth0 root tbf 8001:", "routes: ip default via 10.0.0.1 → none"];
    assert_eq!(found, expected);
    assert_eq!(of_namespaces(Post::Processes, &network("a"), &after), [""; 0], "an agent among processes has a network of its own");
}

#[test]
fn what_could_be_looked_at_before_and_not_again_is_not_proven() {
    let blind = Namespaces { unseen: vec!["qdiscs: no".to_owned()], ..network("q") };
    assert_eq!(of_namespaces(Post::Packets, &network("q"), &blind), ["could not be looked at again: qdiscs: no"]);
    assert_eq!(of_namespaces(Post::Packets, &blind, &blind), [""; 0], "it could not be before");
    let seen = Namespaces { processes: Some(processes(&[9])), ..Namespaces::default() };
    assert_eq!(of_namespaces(Post::Processes, &seen, &network("q")), ["its processes could not be looked at again"]);
}

#[test]
fn a_limit_of_open_files_that_nobody_had_is_a_residue_if_it_is_lower_and_life_if_not() {
    let before = processes(&[1024, 4096]);
    assert_eq!(of_processes(&before, &processes(&[1024])), [""; 0], "processes end");
    assert_eq!(of_processes(&before, &processes(&[1024, 4096, 65_536])), [""; 0], "a process may raise its own");
    assert_eq!(of_processes(&before, &processes(&[64, 1024])), ["limits of open files: 1024, 4096 → 64"]);
}

#[test]
fn clocks_that_are_wrong_and_processes_that_stand_still_are_named_if_they_were_not_so_before() {
    let before = ProcessSurvey { stopped: vec!["4 shell".to_owned()], ..processes(&[9]) };
    let after =
        ProcessSurvey { skewed: vec!["7 java".to_owned()], stopped: vec!["4 shell".to_owned(), "8 sh".to_owned()], ..processes(&[9]) };
    let found = of_processes(&before, &after);
    assert_eq!(found, ["processes with a wrong clock: none → 7 java", "processes that stand still: 4 shell → 8 sh"]);
}
