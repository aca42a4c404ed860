//! The fixtures in `fixtures/configs`: adding a case is adding a file. `UPDATE=1 cargo test -p shakedown-model` writes what is printed.

use super::*;
use std::fmt::Write as _;

/// A folder of fixtures, seen as `/project`: what is printed does not depend on where the repository lies.
pub(crate) struct Fixtures {
    real: PathBuf,
}

pub(crate) const ROOT: &str = "/project";

impl Fixtures {
    pub(crate) fn new(folder: &str) -> Fixtures {
        Fixtures { real: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/configs").join(folder) }
    }

    /// Every `*.yaml` of the folder, and every `<case>/<main>` in it, as seen.
    pub(crate) fn cases(&self, main: &str) -> Vec<PathBuf> {
        let mut cases: Vec<PathBuf> = std::fs::read_dir(&self.real)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter_map(|path| {
                let is_folder = path.is_dir();
                let case = if is_folder { path.join(main) } else { path };
                (case.exists() && (is_folder || case.extension().is_some_and(|extension| extension == "yaml"))).then_some(case)
            })
            .map(|path| Path::new(ROOT).join(path.strip_prefix(&self.real).unwrap()))
            .collect();
        cases.sort();
        assert!(!cases.is_empty(), "no fixtures in {}", self.real.display());
        cases
    }

    fn real(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(ROOT) {
            Ok(inside) => self.real.join(inside),
            Err(_) => PathBuf::from("/nowhere"),
        }
    }

    /// Compares with the `.txt` beside the case.
    pub(crate) fn check(&self, case: &Path, printed: &str, failures: &mut String) {
        let golden = self.real(case).with_extension("txt");
        let printed = format!("{}\n", printed.trim_end());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(golden, printed).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if printed != expected {
            write!(failures, "\n==== {}\n---- expected\n{expected}\n---- printed\n{printed}", case.display()).unwrap();
        }
    }
}

impl Files for Fixtures {
    fn read(&self, path: &Path) -> Result<String, FileError> {
        let real = self.real(path);
        match std::fs::read(&real) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| FileError::NotUtf8),
            Err(_) if real.is_dir() => Err(FileError::IsDirectory),
            Err(_) => Err(FileError::NotFound),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.real(path).exists()
    }

    fn glob(&self, root: &Path, pattern: &str) -> Vec<PathBuf> {
        let glob = Glob::new(pattern).unwrap();
        let folder = root.join(glob.fixed_prefix());
        let Ok(entries) = std::fs::read_dir(self.real(&folder)) else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = entries
            .map(|entry| folder.join(entry.unwrap().file_name()))
            .filter(|path| path.strip_prefix(root).unwrap().to_str().is_some_and(|path| glob.matches(path)))
            .collect();
        found.sort();
        found
    }
}

pub(crate) fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("HOME".to_owned(), "/home/ci".to_owned())])
}

/// A config in memory, alone.
fn load_text(text: &str) -> Result<Loaded, Mistakes> {
    let files = BTreeMap::from([(PathBuf::from("/project/shakedown.yaml"), text.to_owned())]);
    load(Path::new("/project/shakedown.yaml"), &files, &environment())
}

#[test]
fn every_good_config_becomes_the_experiment_beside_it() {
    let fixtures = Fixtures::new("ok");
    let mut failures = String::new();
    for case in fixtures.cases("shakedown.yaml") {
        let loaded = load(&case, &fixtures, &environment()).unwrap_or_else(|mistakes| panic!("{}\n{mistakes}", case.display()));
        let printed = format!("{}\n\n{}", loaded.warnings, to_yaml(&loaded.experiment));
        fixtures.check(&case, printed.trim_start(), &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_wrong_config_is_told_as_in_the_text_beside_it() {
    let fixtures = Fixtures::new("err");
    let mut failures = String::new();
    for case in fixtures.cases("shakedown.yaml") {
        let mistakes = load(&case, &fixtures, &environment()).expect_err(&case.display().to_string());
        assert!(mistakes.errors() > 0, "{}", case.display());
        fixtures.check(&case, &mistakes.render(false), &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn an_experiment_is_the_same_after_it_was_written_and_read() {
    let fixtures = Fixtures::new("ok");
    for case in fixtures.cases("shakedown.yaml") {
        let experiment = load(&case, &fixtures, &environment()).unwrap().experiment;
        let again = from_yaml(&to_yaml(&experiment)).unwrap();
        assert_eq!(serde_json::to_value(&experiment).unwrap(), serde_json::to_value(&again).unwrap(), "{}", case.display());
    }
    assert!(from_yaml("services: 1").unwrap_err().to_string().starts_with("not an experiment"));
}

#[test]
fn a_text_that_looks_like_something_else_survives_the_run_directory() {
    let odd = [
        "null",
        "~",
        "true",
        "0x1f",
        "1e3",
        " blank ",
        "a: b",
        "# no",
        "\"",
        "'",
        "multi\nline\n",
        "ü\t",
        "{{ seq }}",
        "- x",
        "%",
        "&a",
        "*a",
        "!t",
        "|",
    ];
    for text in odd {
        let mut experiment = load_text(GOOD).unwrap().experiment;
        experiment.loads[0].body = Some(text.to_owned());
        experiment.scenarios[0].why = Some(text.to_owned());
        let again = from_yaml(&to_yaml(&experiment)).unwrap();
        assert_eq!((again.loads[0].body.as_deref(), again.scenarios[0].why.as_deref()), (Some(text), Some(text)));
    }
}

/// A disk of bytes that are no text.
struct Binary;
impl Files for Binary {
    fn read(&self, _: &Path) -> Result<String, FileError> {
        Err(FileError::NotUtf8)
    }
    fn exists(&self, _: &Path) -> bool {
        true
    }
    fn glob(&self, _: &Path, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_what_to_do() {
    let files = BTreeMap::from([(PathBuf::from("/project/sub/x.yaml"), String::new())]);
    let told = |path: &str, files: &dyn Files| load(Path::new(path), files, &environment()).unwrap_err().render(false);
    assert!(told("/project/shakedown.yaml", &files).contains("`shakedown init`"));
    assert!(told("/project/sub", &files).contains("is a directory"));
    assert!(told("/project/shakedown.yaml", &Binary).contains("not UTF-8"));
    let large = BTreeMap::from([(PathBuf::from("/project/shakedown.yaml"), "#".repeat(2 << 20))]);
    assert!(told("/project/shakedown.yaml", &large).contains("larger than 1024 KiB"));
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_nothing() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(load_text(&text).unwrap().experiment.loads.len(), 1);
    let mistakes = load_text(&text.replace("50/s", "50")).unwrap_err();
    assert_eq!((mistakes.0[0].line, &text.replace("50/s", "50")[mistakes.0[0].span.clone()]), (5, "50"));
}

const GOOD: &str = "services:
  process:
    gateway: {run: [./shop], env: {A: \"{{ payment }}\"}}
    payment: {run: [./shop], depends_on: [gateway]}
load: {home: {to: \"gateway:8080\", request: GET /, rate: 50/s}}
steady_state: [{load: home, success: \">= 99%\"}, {http: \"GET gateway:8080/\"}]
scenarios:
  - scenario: s
    faults: [{for: 5s, on: \"gateway -> payment\", latency: {delay: 5ms}}, {for: 5s, on: payment, pause: {}}]
    expect: {recovery: {within: 5s}, logs: {forbid: [\"a\"]}}
";

/// A small generator with a fixed start: the same texts on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// Cuts, doubles and swaps pieces, and strews in what means something to a reader.
pub(crate) fn mutations(good: &str, count: usize) -> impl Iterator<Item = String> {
    const SALT: [&str; 26] = [
        "\n", "  ", ": ", "- ", "{", "}", "[", "]", "\"", "'", "&a ", "*a", "<<: ", "!x ", "|", ">", "#", "\t", "~", "${", "$", "\u{0}",
        "ü", "---\n", "0", "%",
    ];
    let chars: Vec<char> = good.chars().collect();
    let mut dice = Dice(0x5EED);
    (0..count).map(move |_| {
        let mut text = chars.clone();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(text.len());
            let end = (at + dice.roll(12)).min(text.len());
            match dice.roll(3) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, SALT[dice.roll(SALT.len())].chars())),
                _ => {
                    let piece: Vec<char> = text[at..end].to_vec();
                    let to = dice.roll(text.len());
                    text.splice(to..to, piece);
                }
            }
        }
        text.into_iter().collect()
    })
}

#[test]
fn no_text_makes_the_reader_panic_and_every_refusal_names_an_error() {
    let fixtures = Fixtures::new("ok");
    let everything = fixtures.read(Path::new("/project/everything.yaml")).unwrap();
    let mut good = 0;
    for text in mutations(GOOD, 2000).chain(mutations(&everything, 400)) {
        match load_text(&text) {
            Ok(_) => good += 1,
            Err(mistakes) => {
                assert!(mistakes.errors() > 0, "{text}");
                assert!(mistakes.0.iter().all(|mistake| mistake.message != "cannot be read"), "{text}");
                assert!(!mistakes.render(true).is_empty());
            }
        }
    }
    assert!(good > 0, "the texts are broken too much to test anything");
}

/// Many lines of one kind.
pub(crate) fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |text, n| text + &line(n))
}

#[test]
fn a_hostile_file_is_refused_in_bounded_work() {
    let many_mistakes = format!("{GOOD}{}", many(20_000, |n| format!("k{n}: 1\n")));
    let one_line = format!("{{{}}}", many(20_000, |n| format!("k{n}: 1, ")));
    let open = "[".repeat(200_000);
    let chain = many(8_000, |n| format!("    s{n}: {{run: [a], depends_on: [s{}]}}\n", n + 1));
    let chain = format!("services:\n  process:\n{chain}");
    let faults = "{for: 5s, on: payment, pause: {}}, ".repeat(8_000);
    let faults = format!("scenarios: [{{scenario: s, faults: [{faults}]}}]\n");
    let long_text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(50_000));
    let long_pattern = format!("scenarios: [\"{}[\"]\n", "x".repeat(500_000));
    for text in [many_mistakes, one_line, open, chain, faults, long_text, long_pattern] {
        let mistakes = load_text(&text).unwrap_err();
        assert!(mistakes.0.len() <= 100);
        assert!(mistakes.render(false).len() < 1 << 20);
    }
}

#[test]
fn control_characters_of_a_config_do_not_reach_the_terminal() {
    let mistakes = load_text(&format!("{GOOD}\"\\e[31mred\": 1\n# \u{1b}[32m\nrat\u{1b}[0me: 1\n")).unwrap_err();
    let shown = mistakes.render(false);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

/// What the reader knows, by the definition of the schema that says the same.
fn keys_of_the_reader() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("", KEYS.to_vec()),
        ("ServicesSection", services::KEYS.to_vec()),
        ("ProcessEntry", services::PROCESS_KEYS.to_vec()),
        ("ReadyEntry", services::READY_KEYS.to_vec()),
        ("TelemetrySection", load::TELEMETRY_KEYS.to_vec()),
        ("LoadEntry", load::LOAD_KEYS.to_vec()),
        ("ExpectationEntry", expectation::KEYS.to_vec()),
        ("BaselineSection", gate::BASELINE_KEYS.to_vec()),
        ("GateSection", gate::GATE_KEYS.to_vec()),
        ("WaiverEntry", waivers::KEYS.to_vec()),
        ("HistorySection", gate::HISTORY_KEYS.to_vec()),
        ("PhasesSection", gate::PHASE_KEYS.to_vec()),
        ("ScenarioFile", scenario::KEYS.to_vec()),
        ("RandomEntry", random::KEYS.to_vec()),
        ("WhenEntry", scenario::WHEN_KEYS.to_vec()),
        ("FaultEntry", [faults::FRAME, faults::ON_SERVICE, faults::ON_EDGE].concat()),
        ("TermEntry", vec!["grace"]),
        ("CrashLoopEntry", vec!["every"]),
        ("CpuEntry", kinds::CPU_KEYS.to_vec()),
        ("MemoryEntry", kinds::MEMORY_KEYS.to_vec()),
        ("IoEntry", kinds::IO_KEYS.to_vec()),
        ("FillEntry", kinds::FILL_KEYS.to_vec()),
        ("DiskEntry", kinds::DISK_KEYS.to_vec()),
        ("PidsEntry", kinds::PIDS_KEYS.to_vec()),
        ("FilesEntry", vec!["leave"]),
        ("ClockEntry", vec!["offset"]),
        ("DnsEntry", kinds::DNS_KEYS.to_vec()),
        ("PartitionEntry", vec!["direction"]),
        ("GrpcEntry", kinds::GRPC_KEYS.to_vec()),
        ("PostgresEntry", kinds::POSTGRES_KEYS.to_vec()),
        ("RedisEntry", kinds::REDIS_KEYS.to_vec()),
        ("LatencyEntry", kinds::LATENCY_KEYS.to_vec()),
        ("LossEntry", kinds::LOSS_KEYS.to_vec()),
        ("ReorderEntry", kinds::REORDER_KEYS.to_vec()),
        ("CorruptEntry", vec!["share"]),
        ("DuplicateEntry", vec!["share"]),
        ("ConnectEntry", vec!["delay"]),
        ("MtuEntry", vec!["size"]),
        ("BandwidthEntry", vec!["rate"]),
        ("SlicerEntry", kinds::SLICER_KEYS.to_vec()),
        ("LimitDataEntry", vec!["bytes"]),
        ("SlowCloseEntry", vec!["delay"]),
        ("TimeoutEntry", vec!["after"]),
        ("HttpEntry", http::KEYS.to_vec()),
        ("HttpPatchEntry", http::PATCH_KEYS.to_vec()),
        ("NoParameters", Vec::new()),
        ("ExpectSection", scenario::EXPECT_KEYS.to_vec()),
        ("RecoveryEntry", scenario::RECOVERY_KEYS.to_vec()),
        ("LogsEntry", scenario::LOGS_KEYS.to_vec()),
        ("StopEntry", scenario::STOP_KEYS.to_vec()),
    ]
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let schema = serde_json::to_value(schema()).unwrap();
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    let mut seen = Vec::new();
    for (definition, keys) in keys_of_the_reader() {
        let node = if definition.is_empty() { &schema } else { &schema["$defs"][definition] };
        let properties = node["properties"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        assert_eq!(sorted(properties), sorted(keys.iter().map(|key| (*key).to_owned()).collect()), "{definition}");
        assert_eq!(node["additionalProperties"], false, "{definition}");
        seen.push(definition);
    }
    let objects = schema["$defs"].as_object().unwrap().iter().filter(|(_, node)| node["type"] == "object");
    for (name, _) in objects {
        assert!(seen.contains(&name.as_str()), "the schema has {name}, and no reader is named for it");
    }
}

/// What an editor says of a text: whether the schema takes it.
fn editor_takes(schemas: &boon::Schemas, index: boon::SchemaIndex, text: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    schemas.validate(&value, index).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_schema_takes_every_good_config_and_refuses_what_it_can_know_to_be_wrong() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("config.json", serde_json::to_value(schema()).unwrap()).unwrap();
    compiler.add_resource("scenario.json", serde_json::to_value(scenario_schema()).unwrap()).unwrap();
    let config = compiler.compile("config.json", &mut schemas).unwrap();
    let scenario = compiler.compile("scenario.json", &mut schemas).unwrap();

    let good = Fixtures::new("ok");
    for case in good.cases("shakedown.yaml") {
        let text = good.read(&case).unwrap();
        editor_takes(&schemas, config, &text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    }
    let text = good.read(Path::new("/project/contract/chaos/slow-payment.yaml")).unwrap();
    editor_takes(&schemas, scenario, &text).unwrap();

    let wrong = Fixtures::new("err");
    for case in
        ["unknown-key", "missing-keys", "load-rate", "gate", "baseline", "fault-times", "scenario-none", "load-none", "expectation-limits"]
    {
        let text = wrong.read(&Path::new(ROOT).join(case).with_extension("yaml")).unwrap();
        editor_takes(&schemas, config, &text).expect_err(case);
    }
}

#[test]
fn the_schema_says_what_each_key_is_for() {
    let schema = serde_json::to_value(schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().iter();
    for (name, node) in definitions.chain([(&"the config".to_owned(), &schema)]) {
        for (key, property) in node["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{key}");
        }
    }
    assert_eq!(serde_json::to_value(scenario_schema()).unwrap()["required"], serde_json::json!(["scenario"]));
}

#[test]
fn the_config_of_the_demo_is_good() {
    let shop = Fixtures::new("../shop");
    let loaded = load(Path::new("/project/shakedown.yaml"), &shop, &environment()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(!loaded.experiment.scenarios.is_empty() && loaded.project.is_some());
}
