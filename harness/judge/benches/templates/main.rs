//! How well and how fast templates of log lines are found: `cargo bench --package shakedown-judge --bench templates`.
//!
//! Accuracy is grouping accuracy (Zhu et al., "Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019): the share of lines whose group has
//! exactly the lines of one label. The lines are made here, in the manner of systems that are widely run, and labelled by the statement that would
//! have written them; none is copied from a data set. They are easier than what people labelled by hand, and harder in that headers are left on.
//! With `-- DIRECTORY` labelled lines of your own are measured instead: files `NAME.tsv`, on each line a label, a tab and the line.

#![expect(clippy::print_stdout, reason = "tables are what it is for")]

mod systems;
mod values;

use shakedown_judge::templates::{Miner, TemplateId};
use std::{collections::HashMap, fs, hint::black_box, path::Path, time::Instant};

const LINES: usize = 20_000;
/// Lines a second are measured over so many.
const SPEED_LINES: usize = 1_000_000;

/// Lines and what wrote each.
struct Labelled {
    name: String,
    lines: Vec<(String, String)>,
}

fn main() {
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let all: Vec<Labelled> = match &directory {
        Some(directory) => read(Path::new(directory)),
        None => systems::ALL.iter().map(|system| Labelled { name: system.name.to_owned(), lines: system.lines(LINES, 7) }).collect(),
    };
    println!("| system | lines | labels | groups | grouping accuracy | lines/s |\n|---|---|---|---|---|---|");
    let mut accuracies = Vec::new();
    for Labelled { name, lines } in &all {
        let mut miner = Miner::new();
        let ids: Vec<TemplateId> = lines.iter().map(|(_, line)| miner.add(line)).collect();
        let ids: Vec<TemplateId> = ids.into_iter().map(|id| miner.settled(id)).collect();
        let accuracy = grouping_accuracy(lines, &ids);
        accuracies.push(accuracy);
        let (labels, groups) = (distinct(lines.iter().map(|(label, _)| label)), distinct(ids.iter()));
        println!("| {name} | {} | {labels} | {groups} | {accuracy:.3} | {:.0} |", lines.len(), lines_per_second(lines));
        if std::env::var_os("SHOW").is_some() {
            show(lines, &ids, &miner);
        }
    }
    println!("| mean | | | | {:.3} | |", accuracies.iter().sum::<f64>() / accuracies.len().max(1) as f64);
}

fn read(directory: &Path) -> Vec<Labelled> {
    let mut files: Vec<_> = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    files.sort();
    let labelled = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).expect("UTF-8");
        let lines =
            text.lines().filter_map(|line| line.split_once('\t')).map(|(label, line)| (label.to_owned(), line.to_owned())).collect();
        Labelled { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), lines }
    };
    files.iter().map(labelled).collect()
}

fn distinct<T: std::hash::Hash + Eq>(all: impl Iterator<Item = T>) -> usize {
    all.collect::<std::collections::HashSet<T>>().len()
}

fn grouping_accuracy(lines: &[(String, String)], ids: &[TemplateId]) -> f64 {
    let (mut of_label, mut of_id, mut of_both) = (HashMap::new(), HashMap::new(), HashMap::new());
    for ((label, _), id) in lines.iter().zip(ids) {
        *of_label.entry(label).or_insert(0_usize) += 1;
        *of_id.entry(id).or_insert(0_usize) += 1;
        *of_both.entry((label, id)).or_insert(0_usize) += 1;
    }
    let exact = of_both.iter().filter(|((label, id), count)| of_label[*label] == **count && of_id[*id] == **count);
    exact.map(|(_, count)| count).sum::<usize>() as f64 / lines.len().max(1) as f64
}

fn lines_per_second(lines: &[(String, String)]) -> f64 {
    let mut miner = Miner::new();
    let begun = Instant::now();
    for (_, line) in lines.iter().cycle().take(SPEED_LINES) {
        black_box(miner.add(line));
    }
    SPEED_LINES as f64 / begun.elapsed().as_secs_f64()
}

/// The groups that are no label's, to see why.
fn show(lines: &[(String, String)], ids: &[TemplateId], miner: &Miner) {
    let mut labels: HashMap<&TemplateId, HashMap<&str, usize>> = HashMap::new();
    let mut groups: HashMap<&str, HashMap<&TemplateId, usize>> = HashMap::new();
    for ((label, _), id) in lines.iter().zip(ids) {
        *labels.entry(id).or_default().entry(label).or_default() += 1;
        *groups.entry(label).or_default().entry(id).or_default() += 1;
    }
    let mut mixed: Vec<_> = labels.iter().filter(|(_, labels)| labels.len() > 1).collect();
    mixed.sort_by_key(|(_, labels)| std::cmp::Reverse(labels.values().sum::<usize>()));
    for (id, labels) in mixed.into_iter().take(6) {
        println!("    mixed {}: {:?}", miner.template(**id), labels);
    }
    let mut split: Vec<_> = groups.iter().filter(|(_, groups)| groups.len() > 1).collect();
    split.sort_by_key(|(_, groups)| std::cmp::Reverse(groups.values().sum::<usize>()));
    for (label, groups) in split.into_iter().take(6) {
        println!("    split {label}:");
        for id in groups.keys().take(4) {
            println!("        {}", miner.template(**id));
        }
    }
}
