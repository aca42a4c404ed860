//! Which scenarios run, and why.

use super::*;
use indexmap::IndexMap;
use shakedown_model::{
    experiment::{BaselineCommit, BaselineSpec, Gate, PhaseLengths, Scenario, Services, Source, Telemetry, When},
    fault::{Edge, Fault, Target},
    stack::{BuildSpec, Condition, ContainerSpec, Dependency, Project},
    units::{Percent, Span},
    verdict::GateMode,
};
use std::path::{Path, PathBuf};

fn scenario(name: &str, when: When, seconds: u64) -> Scenario {
    let second = Span(Duration::from_secs(1));
    Scenario {
        name: name.to_owned(),
        why: None,
        when,
        faults: vec![Fault {
            at: Span::default(),
            lasts: Span(Duration::from_secs(seconds - 3)),
            on: Target::Service("a".to_owned()),
            action: shakedown_model::fault::Action::Pause,
            ports: Vec::new(),
            search: None,
            connections: Percent(1.0),
            source: Source::default(),
        }],
        random: None,
        episodes: 1,
        expect_fault: Vec::new(),
        recover_within: None,
        forbid_logs: Vec::new(),
        stop_when: Vec::new(),
        phases: PhaseLengths { warmup: second, steady: second, recovery: second },
        source: Source::default(),
    }
}

fn experiment() -> Experiment {
    let second = Span(Duration::from_secs(1));
    Experiment {
        config: PathBuf::from("shakedown.yaml"),
        root: PathBuf::from("/"),
        services: Services::default(),
        telemetry: Telemetry { otlp: true, metrics: IndexMap::new(), alerts: Vec::new() },
        loads: IndexMap::new(),
        steady_state: Vec::new(),
        baseline: BaselineSpec { commit: BaselineCommit::MergeBase, mode: BaselineMode::Paired, rounds: 1, slot: None },
        gate: Gate {
            tolerance: Percent(0.05),
            harmful: Percent(0.3),
            confidence: Percent(0.99),
            inconclusive: GateMode::Block,
            mode: GateMode::Block,
        },
        waivers: Vec::new(),
        history: None,
        phases: PhaseLengths { warmup: second, steady: second, recovery: second },
        scenarios: vec![
            scenario("always", When::Always, 10),
            scenario("payment", When::Paths(vec!["services/payment/**".to_owned()]), 20),
            scenario("orders", When::Paths(vec!["services/orders/**".to_owned()]), 30),
        ],
    }
}

fn names(choice: &Choice) -> Vec<String> {
    let plan = plan(&experiment(), CommitInfo::default(), choice, RuntimeKind::Process, String::new()).unwrap();
    assert_eq!(plan.scenarios.len() + plan.left_out.len(), 3, "each scenario is planned or left out with a reason");
    plan.scenarios.into_iter().map(|planned| planned.scenario.name).collect()
}

fn changed(paths: &[&str]) -> Option<Vec<String>> {
    Some(paths.iter().map(|&path| path.to_owned()).collect())
}

#[test]
fn the_change_decides_and_flags_and_trailers_go_before_it() {
    let touched = Choice { changed: changed(&["services/payment/main.rs"]), ..Choice::default() };
    assert_eq!(names(&touched), ["always", "payment"]);
    assert_eq!(names(&Choice { all: true, ..touched.clone() }), ["always", "payment", "orders"]);
    assert_eq!(names(&Choice { names: vec!["orders".to_owned()], ..touched.clone() }), ["orders"]);
    assert_eq!(names(&Choice { trailer: Some(Selection::Skip), ..touched.clone() }), [""; 0]);
    assert_eq!(names(&Choice { trailer: Some(Selection::Skip), all: true, ..touched }), ["always", "payment", "orders"]);
    assert_eq!(names(&Choice::default()), ["always", "payment", "orders"], "without a baseline everything runs");
}

#[test]
fn every_scenario_is_in_exactly_one_shard() {
    let all = |shard| names(&Choice { all: true, shard: Some(shard), ..Choice::default() });
    assert_eq!(all((1, 2)), ["orders"]);
    assert_eq!(all((2, 2)), ["always", "payment"]);
}

#[test]
fn a_budget_leaves_out_what_does_not_fit() {
    let choice = Choice { all: true, budget: Some(Duration::from_secs(35)), ..Choice::default() };
    assert_eq!(names(&choice), ["always", "payment"]);
}

#[test]
fn what_cannot_be_carried_out_is_an_error() {
    let fails = |choice: &Choice| plan(&experiment(), CommitInfo::default(), choice, RuntimeKind::Process, String::new()).unwrap_err();
    let unknown = fails(&Choice { names: vec!["paymnet".to_owned()], ..Choice::default() });
    assert!(unknown.to_string().contains("always, payment, orders"), "{unknown}");
    assert_eq!(fails(&Choice { shard: Some((3, 2)), ..Choice::default() }), PlanError::Shard(3, 2));
}

#[test]
fn the_seed_follows_the_commit_and_the_flag_goes_before_it() {
    let with = |candidate: &str, seed| {
        let commit = CommitInfo { candidate: Some(candidate.to_owned()), ..CommitInfo::default() };
        plan(&experiment(), commit, &Choice { seed, ..Choice::default() }, RuntimeKind::Process, String::new()).unwrap().seed
    };
    assert_eq!(with("abc", None), with("abc", None));
    assert_ne!(with("abc", None), with("def", None));
    assert_eq!(with("abc", Some(7)), 7);
}

#[test]
fn rounds_are_for_a_baseline_beside_the_candidate_and_a_budget_counts_all_of_them() {
    let with = |baseline: bool, mode, budget: Option<u64>| {
        let mut experiment = experiment();
        experiment.baseline.rounds = 4;
        experiment.scenarios.iter_mut().for_each(|scenario| scenario.episodes = 2);
        let commit = CommitInfo { baseline: baseline.then(|| "b".to_owned()), ..CommitInfo::default() };
        let choice = Choice { all: true, mode: Some(mode), budget: budget.map(Duration::from_secs), ..Choice::default() };
        plan(&experiment, commit, &choice, RuntimeKind::Process, String::new()).unwrap()
    };
    let paired = with(true, BaselineMode::Paired, None);
    assert_eq!((paired.rounds, paired.most_rounds, paired.scenarios.len()), (4, 4, 3));
    assert!(paired.estimated_seconds > 4.0 * 2.0 * 60.0, "{}", paired.estimated_seconds);
    for (baseline, mode) in [(false, BaselineMode::Paired), (true, BaselineMode::Recorded), (true, BaselineMode::None)] {
        let alone = with(baseline, mode, Some(10_000));
        assert_eq!((alone.rounds, alone.most_rounds, alone.estimated_seconds), (1, 1, 120.0), "{mode:?}");
    }
    let short = with(true, BaselineMode::Paired, Some(300));
    assert_eq!(short.scenarios.iter().map(|planned| planned.scenario.name.as_str()).collect::<Vec<_>>(), ["always", "payment"]);
    assert!(short.estimated_seconds <= 300.0 && short.left_out[0].1.contains("each round"), "{:?}", short.left_out);
    assert_eq!(with(true, BaselineMode::Paired, Some(1_000)).most_rounds, 8);
}

/// gateway -> orders -> payment -> ledger, each built from a folder of its own but `web`, whose context is the whole project.
fn shop() -> (Experiment, Project) {
    let service = |name: &str, context: &str, dockerfile: &str, on: &[&str]| ContainerSpec {
        name: name.to_owned(),
        build: Some(BuildSpec { context: PathBuf::from(context), dockerfile: dockerfile.to_owned(), target: None, args: IndexMap::new() }),
        depends_on: on.iter().map(|&on| Dependency { service: on.to_owned(), condition: Condition::Started }).collect(),
        ..ContainerSpec::default()
    };
    let services = [
        service("gateway", "/repo/deploy/../services/gateway", "Dockerfile", &["orders"]),
        service("orders", "/repo", "services/orders/Dockerfile", &[]),
        service("payment", "/repo/services/payment", "../../docker/payment.Dockerfile", &["ledger"]),
        service("ledger", "/repo/services/ledger", "Dockerfile", &[]),
        service("web", "/repo", "Dockerfile", &[]),
    ];
    let nowhere = When::Paths(vec!["nothing/**".to_owned()]);
    let mut on_edge = scenario("slow-payment", nowhere.clone(), 10);
    on_edge.faults[0].on = Target::Edge(Edge { from: "orders".to_owned(), to: "payment".to_owned() });
    let mut on_service = scenario("ledger-dies", nowhere.clone(), 10);
    on_service.faults[0].on = Target::Service("ledger".to_owned());
    let mut on_web = scenario("web-dies", nowhere, 10);
    on_web.faults[0].on = Target::Service("web".to_owned());
    let experiment = Experiment { root: PathBuf::from("/repo/deploy"), scenarios: vec![on_edge, on_service, on_web], ..experiment() };
    let project = Project { services: services.into_iter().map(|service| (service.name.clone(), service)).collect(), ..Project::default() };
    (experiment, project)
}

fn planned_for(changed_path: &str) -> Plan {
    let (experiment, project) = shop();
    let graph = ServiceGraph::of(&experiment, Some(&project), Path::new("/repo"));
    let choice = Choice { changed: changed(&[changed_path]), graph, ..Choice::default() };
    plan(&experiment, CommitInfo::default(), &choice, RuntimeKind::Process, String::new()).unwrap()
}

fn chosen_for(changed_path: &str) -> Vec<String> {
    planned_for(changed_path).scenarios.into_iter().map(|planned| planned.scenario.name).collect()
}

#[test]
fn a_change_of_a_service_chooses_the_faults_on_it_and_on_its_neighbours() {
    assert_eq!(chosen_for("services/payment/main.rs"), ["slow-payment", "ledger-dies"], "ledger is called by payment");
    assert_eq!(chosen_for("services/ledger/main.rs"), ["slow-payment", "ledger-dies"], "payment calls ledger");
    assert_eq!(chosen_for("services/gateway/main.rs"), ["slow-payment"], "gateway calls orders; the context was written with `..`");
    assert_eq!(chosen_for("docker/payment.Dockerfile"), ["slow-payment", "ledger-dies"], "a Dockerfile outside the context");
    assert_eq!(chosen_for("services/orders/Dockerfile"), ["slow-payment"], "the folder of the Dockerfile, where the context is everything");
}

#[test]
fn changed_files_are_told_by_service_and_that_there_are_none_only_where_that_is_known() {
    let (experiment, project) = shop();
    let graph = ServiceGraph::of(&experiment, Some(&project), Path::new("/repo"));
    let mut paths =
        changed(&["README.md", "docker/payment.Dockerfile", "services/payment/main.rs", "src/web/page.rs", "cmd/web.go"]).unwrap();
    paths.extend((0..30).map(|number| format!("services/gateway/{number:02}.rs")));
    let changes = graph.changes(&paths);
    let of = |service: &str| changes.services.get(service).map(|of| (of.files, of.named.len()));
    assert_eq!(changes.files, 35);
    assert_eq!(changes.services["payment"].named, ["docker/payment.Dockerfile", "services/payment/main.rs"]);
    assert_eq!(changes.services["web"].named, ["src/web/page.rs", "cmd/web.go"], "by its name, since its context is everything");
    assert_eq!((of("gateway"), of("ledger"), of("orders")), (Some((30, 20)), Some((0, 0)), None));
    let choice = Choice { all: true, changes: Some(changes.clone()), ..Choice::default() };
    assert_eq!(plan(&experiment, CommitInfo::default(), &choice, RuntimeKind::Process, String::new()).unwrap().changes, Some(changes));
}

#[test]
fn a_context_that_is_the_whole_project_says_nothing() {
    assert_eq!(chosen_for("README.md"), [""; 0]);
    assert_eq!(chosen_for("services/paymentology/main.rs"), [""; 0], "a name that only begins alike");
}

#[test]
fn the_plan_says_why_by_name_and_path() {
    let plan = planned_for("services/ledger/main.rs");
    assert_eq!(plan.scenarios[0].why, "payment calls ledger, of which the change touches services/ledger/main.rs");
    assert_eq!(plan.scenarios[1].why, "the change touches services/ledger/main.rs of ledger");
    assert!(plan.left_out[0].1.contains("none of nothing/**"), "{:?}", plan.left_out);
}

#[test]
fn labels_go_before_trailers_and_flags_before_both() {
    let labelled = Choice { labels: Some(Selection::Names(vec!["orders".to_owned()])), trailer: Some(Selection::All), ..Choice::default() };
    assert_eq!(names(&labelled), ["orders"]);
    assert_eq!(names(&Choice { all: true, ..labelled.clone() }), ["always", "payment", "orders"]);
    let unknown = Choice { labels: Some(Selection::Names(vec!["nobody".to_owned()])), ..Choice::default() };
    let error = plan(&experiment(), CommitInfo::default(), &unknown, RuntimeKind::Process, String::new()).unwrap_err();
    assert!(error.to_string().contains("`nobody`"), "{error}");
}

/// Days ago, runs, and how many of them did not pass.
fn exercised(entries: &[(&str, u64, u32, u32)]) -> (BTreeMap<String, Exercise>, Option<UnixNanos>) {
    let now = UnixNanos(1_800_000_000_000_000_000);
    let before = |days: u64| Some(UnixNanos(now.0 - days * 86_400_000_000_000));
    let entry = |&(name, days, runs, troubled): &(&str, u64, u32, u32)| (name.to_owned(), Exercise { last: before(days), runs, troubled });
    (entries.iter().map(entry).collect(), Some(now))
}

#[test]
fn within_a_budget_what_was_not_exercised_for_long_or_failed_lately_comes_first() {
    let ordered = |entries: &[(&str, u64, u32, u32)]| {
        let (exercised, now) = exercised(entries);
        names(&Choice { all: true, budget: Some(Duration::from_secs(60)), exercised, now, ..Choice::default() })
    };
    assert_eq!(ordered(&[("always", 1, 10, 0), ("payment", 12, 10, 0), ("orders", 2, 10, 0)]), ["payment", "orders", "always"], "age");
    assert_eq!(ordered(&[("always", 2, 10, 0), ("payment", 2, 10, 0), ("orders", 2, 10, 5)]), ["orders", "always", "payment"], "failures");
    assert_eq!(ordered(&[("always", 2, 10, 0), ("orders", 2, 10, 0)]), ["payment", "always", "orders"], "never exercised");
    let (known, now) = exercised(&[("payment", 12, 10, 0)]);
    assert_eq!(
        names(&Choice { all: true, exercised: known, now, ..Choice::default() }),
        ["always", "payment", "orders"],
        "no budget, no order"
    );
}

#[test]
fn within_a_budget_what_more_services_depend_on_comes_first() {
    let (experiment, project) = shop();
    let graph = ServiceGraph::of(&experiment, Some(&project), Path::new("/repo"));
    let choice = Choice { all: true, graph, budget: Some(Duration::from_secs(60)), ..Choice::default() };
    let plan = plan(&experiment, CommitInfo::default(), &choice, RuntimeKind::Process, String::new()).unwrap();
    let order: Vec<&str> = plan.scenarios.iter().map(|planned| planned.scenario.name.as_str()).collect();
    assert_eq!(order, ["ledger-dies", "slow-payment", "web-dies"], "payment, orders and gateway stand on ledger; nobody on web");
}

#[test]
fn the_plan_says_when_a_scenario_was_exercised_last() {
    let (exercised, now) = exercised(&[("payment", 12, 10, 2)]);
    let choice = Choice { all: true, budget: Some(Duration::from_secs(35)), exercised, now, ..Choice::default() };
    let plan = plan(&experiment(), CommitInfo::default(), &choice, RuntimeKind::Process, String::new()).unwrap();
    let why = |name: &str| plan.scenarios.iter().find(|planned| planned.scenario.name == name).map(|planned| planned.why.clone());
    assert_eq!(why("payment").unwrap(), "all are asked for with --all; last exercised 12 days ago, 2 of its last 10 runs did not pass");
    assert_eq!(plan.left_out[0].0, "orders");
    assert!(
        plan.left_out[0].1.contains("do not fit") && plan.left_out[0].1.contains("not exercised as far as is known"),
        "{:?}",
        plan.left_out
    );
}

#[test]
fn shards_are_dealt_alike_whatever_each_knows_of_history() {
    let (known, now) = exercised(&[("payment", 12, 10, 2), ("orders", 1, 10, 10)]);
    let one = names(&Choice {
        all: true,
        shard: Some((1, 2)),
        exercised: known,
        now,
        budget: Some(Duration::from_secs(600)),
        ..Choice::default()
    });
    let two = names(&Choice { all: true, shard: Some((2, 2)), ..Choice::default() });
    let mut both = [one, two].concat();
    both.sort();
    assert_eq!(both, ["always", "orders", "payment"]);
}

/// The scenario `only` with its fault's dose searched in 32 steps.
fn searching(mut experiment: Experiment) -> Experiment {
    use shakedown_model::fault::{DoseUnit, Search, Worse};
    experiment.scenarios.truncate(1);
    let (unit, worse) = (DoseUnit::Seconds, Worse::Larger);
    experiment.scenarios[0].faults[0].search =
        Some(Search { path: "latency.delay".to_owned(), unit, worse, from: 0.0, to: 3.2, step: 0.1 });
    experiment
}

#[test]
fn a_search_is_made_once_however_many_rounds_there_are_and_costs_its_plays() {
    let mut both = experiment();
    both.baseline.rounds = 4;
    let alone = searching(both.clone());
    let again = alone.scenarios[0].clone();
    let commit = || CommitInfo { baseline: Some("b".to_owned()), ..CommitInfo::default() };
    let made = |experiment: &Experiment| plan(experiment, commit(), &Choice::default(), RuntimeKind::Process, String::new()).unwrap();
    let planned = made(&alone);
    assert_eq!((planned.rounds, planned.estimated_seconds as u64), (1, 150), "15 plays of 10 s for two variants");
    both.scenarios = vec![both.scenarios[0].clone(), Scenario { name: "search".to_owned(), ..again }];
    let planned = made(&both);
    assert_eq!((planned.rounds, planned.estimated_seconds as u64), (4, 150 + 4 * (10 + 2)));
}
