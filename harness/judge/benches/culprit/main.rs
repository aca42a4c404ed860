//! How often the right one is named: simulated systems with one thing wrong in them, or nothing. Beside chance and other ways to rank, on the same
//! telemetry. Prints Markdown. `--quick` plays a tenth: a smoke run, whose figures mean little. Names of parts (`shop paired watched calm speed`) choose some.
//!
//! Parameters may be looked at on the even seeds only; the odd ones are what counts.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

#[path = "../gate/chance.rs"]
#[allow(dead_code, reason = "the gate's bench draws more kinds of numbers")]
mod chance;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/matrix.rs"]
mod matrix;
mod play;
#[path = "../gate/rate.rs"]
mod rate;
mod record;
mod rivals;
mod speed;
mod trouble;
mod world;

use chance::Chance;
use rate::{Rate, on_all_cores};
use record::Weather;
use rivals::RIVALS;
use shakedown_model::evidence::Evidence;
use std::collections::{BTreeMap, BTreeSet};
use trouble::{Conditions, DEFECTS, INCIDENTS, Truth};
use world::{World, worlds};

/// Seeds of each kind of trouble in each world.
const SEEDS: u64 = 20;
/// Runs of each world in which nothing is wrong.
const CALM: u64 = 300;

/// What was found in one run.
struct Found {
    truth: Truth,
    services: usize,
    /// Service and operation, most likely first.
    blamed: Vec<(String, String)>,
    rivals: Vec<Vec<String>>,
    odd: bool,
}

impl Found {
    fn first(&self) -> bool {
        self.among(1)
    }

    fn among(&self, count: usize) -> bool {
        self.blamed.iter().take(count).any(|(service, _)| *service == self.truth.service)
    }

    /// The right operation of the right service; `None`: there is no single one.
    fn operation(&self) -> Option<bool> {
        let named = |(_, operation): &(String, String)| self.truth.operations.contains(operation);
        (!self.truth.operations.is_empty()).then(|| self.first() && self.blamed.first().is_some_and(named))
    }
}

/// One kind of trouble in one world, from a seed; `None`: there is no room for it.
type Make = fn(&World, usize, &mut Chance) -> Option<(Truth, Evidence)>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let share = if arguments.iter().any(|argument| argument == "--quick") { 10 } else { 1 };
    let chosen: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.contains(&part);
    let worlds = worlds();
    if wanted("shop") {
        shop();
    }
    if wanted("paired") {
        println!("### A defect in the candidate, both variants under the same fault\n");
        table(&worlds, 1, DEFECTS.map(|(name, _)| name).as_slice(), defective, share);
    }
    if wanted("watched") {
        println!("### An incident at one service, before and during, nobody says where\n");
        table(&worlds, 2, INCIDENTS.map(|(name, _)| name).as_slice(), disturbed, share);
    }
    if wanted("calm") {
        calm(&worlds, share);
    }
    if wanted("speed") {
        speed::print(&worlds[1], share);
    }
}

/// The real shop, as `fixtures/runs/matrix` has it.
fn shop() {
    println!("### A defect in the real shop, recorded on Docker, both variants under the same fault\n");
    header("defect");
    let (mut by_defect, mut falsely): (BTreeMap<String, Vec<Found>>, Vec<bool>) = (BTreeMap::new(), Vec::new());
    for matrix::Recorded { name, defect, seed, evidence } in matrix::matrix() {
        let Some((kind, matrix::Culpable { service, operations })) = defect else {
            falsely.push(!shakedown_judge::accused(&evidence).remove(0).is_empty());
            continue;
        };
        let blamed = matrix::blamed(&shakedown_judge::judge(&evidence).scenarios[0]);
        let truth = Truth { service, operations };
        let rivals = rivals::rankings(&evidence, &mut Chance::of(&[4, name.len() as u64, seed]));
        let services = evidence.candidate.spans.iter().map(|span| &*span.service).collect::<BTreeSet<_>>().len();
        by_defect.entry(kind).or_default().push(Found { truth, services, blamed, rivals, odd: seed % 2 == 1 });
    }
    for (defect, found) in &by_defect {
        row(defect, &found.iter().collect::<Vec<_>>());
    }
    let all: Vec<&Found> = by_defect.values().flatten().collect();
    row("**all**", &all);
    println!(
        "\nChance: 1 of {}. As it is, under the same faults, somebody is blamed: {}.\n",
        all[0].services,
        Rate::of(falsely.into_iter()).text()
    );
}

fn header(of: &str) {
    println!("| {of} | runs | Top-1 service | Top-3 | operation | blamed nobody | {} |", RIVALS.join(" | "));
    println!("|---|---|---|---|---|---|{}", "---|".repeat(RIVALS.len()));
}

/// A change with a mistake, and the commit before it.
fn defective(world: &World, kind: usize, chance: &mut Chance) -> Option<(Truth, Evidence)> {
    let (spot, fault, truth) = trouble::defect(world, DEFECTS[kind].1, chance)?;
    let steady = Conditions { tolerant: true, ..Conditions::default() };
    let fault = Conditions { fault: Some(fault), ..steady.clone() };
    let with = |conditions: &Conditions| Conditions { defect: Some((spot, DEFECTS[kind].1)), ..conditions.clone() };
    let candidate = Weather { steady: with(&steady), fault: with(&fault) };
    Some((truth, record::paired(world, &candidate, &Weather { steady, fault }, chance)))
}

fn disturbed(world: &World, kind: usize, chance: &mut Chance) -> Option<(Truth, Evidence)> {
    let (service, truth) = trouble::incident(world, INCIDENTS[kind].1, chance)?;
    let fault = Conditions { incident: Some((service, INCIDENTS[kind].1)), ..Conditions::default() };
    Some((truth, record::watched(world, &Weather { steady: Conditions::default(), fault }, chance)))
}

fn table(worlds: &[World], part: u64, kinds: &[&str], make: Make, share: u64) {
    header("trouble");
    let mut all: Vec<Found> = Vec::new();
    for (kind, name) in kinds.iter().enumerate() {
        let found: Vec<Found> =
            worlds.iter().zip(0..).flat_map(|(world, number)| played(world, [part, number, kind as u64], make, share)).collect();
        row(name, &found.iter().collect::<Vec<_>>());
        all.extend(found);
    }
    for world in worlds {
        row(&format!("*{}*", world.name), &all.iter().filter(|found| found.services == world.services.len()).collect::<Vec<_>>());
    }
    row("**even seeds**", &all.iter().filter(|found| !found.odd).collect::<Vec<_>>());
    row("**odd seeds**", &all.iter().filter(|found| found.odd).collect::<Vec<_>>());
    println!("\nChance: 1 of 4, of 10, of 24 services.\n");
}

fn played(world: &World, [part, number, kind]: [u64; 3], make: Make, share: u64) -> Vec<Found> {
    let found = on_all_cores((SEEDS / share).max(2), |seed| {
        let mut chance = Chance::of(&[part, number, kind, seed]);
        let (truth, evidence) = make(world, kind as usize, &mut chance)?;
        let culprits = shakedown_judge::accused(&evidence).remove(0);
        let rivals = rivals::rankings(&evidence, &mut chance);
        if std::env::var_os("WRONG").is_some()
            && culprits.first().is_none_or(|first| {
                first.service != truth.service || !(truth.operations.is_empty() || truth.operations.contains(&first.operation))
            })
        {
            println!("{} {kind} seed {seed}: {truth:?}\n{culprits:#?}", world.name);
        }
        let blamed = culprits.into_iter().map(|culprit| (culprit.service, culprit.operation)).collect();
        Some(Found { truth, services: world.services.len(), blamed, rivals, odd: seed % 2 == 1 })
    });
    found.into_iter().flatten().collect()
}

fn row(name: &str, found: &[&Found]) {
    let first = |ranking: &Vec<String>, truth: &Truth| ranking.first() == Some(&truth.service);
    let operations = Rate::of(found.iter().filter_map(|found| found.operation()));
    let rivals = (0..RIVALS.len()).map(|rival| Rate::of(found.iter().map(|found| first(&found.rivals[rival], &found.truth))).percent());
    println!(
        "| {name} | {} | {} | {} | {} | {} | {} |",
        found.len(),
        Rate::of(found.iter().map(|found| found.first())).text(),
        Rate::of(found.iter().map(|found| found.among(3))).percent(),
        operations.percent(),
        Rate::of(found.iter().map(|found| found.blamed.is_empty())).percent(),
        rivals.collect::<Vec<_>>().join(" | ")
    );
}

/// Of a paired run and a watched one: whether we blame somebody, whether N-sigma is alarmed, whether the traversal is.
type Alarms = [[bool; 3]; 2];

/// Runs in which nothing is wrong: whoever is blamed is blamed falsely.
fn calm(worlds: &[World], share: u64) {
    println!("### Nothing is wrong\n\nSomebody is blamed, or something is called anomalous:\n");
    println!(
        "| system | runs of each | paired, under a fault | N-sigma > 3 | traversal | watched | N-sigma > 3 | traversal |\n|---|---|---|---|---|---|---|---|"
    );
    let mut all: Vec<Alarms> = Vec::new();
    for (world, number) in worlds.iter().zip(0..) {
        let blamed = on_all_cores((CALM / share).max(2), |seed| {
            let mut chance = Chance::of(&[3, number, seed]);
            let calm = || Weather { steady: Conditions::default(), fault: Conditions::default() };
            let watched = record::watched(world, &calm(), &mut chance);
            let (_, fault, _) = trouble::defect(world, DEFECTS[seed as usize % DEFECTS.len()].1, &mut chance)?;
            let steady = Conditions { tolerant: true, ..Conditions::default() };
            let disturbed = || Weather { steady: steady.clone(), fault: Conditions { fault: Some(fault.clone()), ..steady.clone() } };
            let paired = record::paired(world, &disturbed(), &disturbed(), &mut chance);
            let columns = [paired, watched].map(|evidence| {
                let [sigmas, traversal] = rivals::alarmed(&evidence);
                [blames_somebody(&evidence, world, seed), sigmas, traversal]
            });
            Some(columns)
        });
        let blamed: Vec<Alarms> = blamed.into_iter().flatten().collect();
        calm_row(world.name, &blamed);
        all.extend(blamed);
    }
    calm_row("**all**", &all);
    println!();
}

fn calm_row(name: &str, blamed: &[Alarms]) {
    let rates: Vec<String> = (0..6)
        .map(|column| {
            let rate = Rate::of(blamed.iter().map(|blamed| blamed[column / 3][column % 3]));
            if column % 3 == 0 { rate.text() } else { rate.percent() }
        })
        .collect();
    println!("| {name} | {} | {} |", blamed.len(), rates.join(" | "));
}

fn blames_somebody(evidence: &Evidence, world: &World, seed: u64) -> bool {
    let culprits = shakedown_judge::accused(evidence).remove(0);
    if std::env::var_os("WRONG").is_some() && !culprits.is_empty() {
        println!("{} seed {seed}: {culprits:#?}", world.name);
    }
    !culprits.is_empty()
}
