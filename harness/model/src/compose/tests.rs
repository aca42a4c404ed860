//! The compose files in `fixtures/configs/{ok,err}/compose`: adding a case is adding a file.

use super::*;
use crate::config::tests::{Fixtures, environment, many, mutations};
use docker_compose_types as other;
use std::path::PathBuf;

#[test]
fn every_good_compose_file_becomes_the_project_beside_it() {
    let fixtures = Fixtures::new("ok/compose");
    let mut failures = String::new();
    for case in fixtures.cases("compose.yaml") {
        let project = read(&case, &fixtures, &environment()).unwrap_or_else(|mistakes| panic!("{}\n{mistakes}", case.display()));
        fixtures.check(&case, &serde_json::to_string_pretty(&project).unwrap(), &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_wrong_compose_file_is_told_as_in_the_text_beside_it() {
    let fixtures = Fixtures::new("err/compose");
    let mut failures = String::new();
    for case in fixtures.cases("compose.yaml") {
        let mistakes = read(&case, &fixtures, &environment()).expect_err(&case.display().to_string());
        fixtures.check(&case, &mistakes.render(false), &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

fn read_one(text: &str, env: &[(&str, &str)]) -> Result<Project, Mistakes> {
    let files = BTreeMap::from([(PathBuf::from("/p/compose.yaml"), text.to_owned())]);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    read(Path::new("/p/compose.yaml"), &files, &env)
}

#[test]
fn the_callers_environment_wins_over_dotenv() {
    let fixtures = Fixtures::new("ok/compose");
    let image = |env: &BTreeMap<String, String>| {
        read(Path::new("/project/web-and-db.yaml"), &fixtures, env).unwrap().services["web"].image.clone().unwrap()
    };
    assert_eq!(image(&environment()), "example/web:from-dotenv");
    assert_eq!(image(&BTreeMap::from([("TAG".to_owned(), "v2".to_owned())])), "example/web:v2");
}

#[test]
fn a_profile_that_is_asked_for_brings_its_services() {
    let text = "services:\n  a: {image: x}\n  b: {image: x, profiles: [full]}\n";
    assert_eq!(read_one(text, &[]).unwrap().services.len(), 1);
    for profiles in ["full", "other, full", "*"] {
        assert_eq!(read_one(text, &[("COMPOSE_PROFILES", profiles)]).unwrap().services.len(), 2, "{profiles}");
    }
}

#[test]
fn a_project_has_a_name_that_engines_take() {
    let name = |text: &str, env: &[(&str, &str)]| read_one(&format!("{text}\nservices: {{a: {{image: x}}}}"), env).unwrap().name;
    assert_eq!(name("", &[]), "p");
    assert_eq!(name("name: My Shop!", &[]), "myshop");
    assert_eq!(name("name: shop", &[("COMPOSE_PROJECT_NAME", "-Other_1")]), "other_1");
}

#[test]
fn an_override_file_that_compose_would_read_is_told() {
    let files = BTreeMap::from([
        (PathBuf::from("/p/compose.yaml"), "services: {a: {image: x}}".to_owned()),
        (PathBuf::from("/p/compose.override.yaml"), "services: {a: {image: y}}".to_owned()),
    ]);
    let project = read(Path::new("/p/compose.yaml"), &files, &BTreeMap::new()).unwrap();
    assert!(project.warnings[0].contains("compose.override.yaml"), "{:?}", project.warnings);
}

#[test]
fn no_key_of_the_format_is_in_two_minds() {
    for table in [keys::TOP, keys::SERVICE, keys::BUILD, keys::DEPLOY, keys::HEALTHCHECK, keys::NETWORK, keys::VOLUME, keys::MOUNT] {
        let mut names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }
}

#[test]
fn every_key_that_is_read_changes_what_is_read() {
    // A key that the table calls read and that no reader looks at would be dropped in silence.
    let samples = [
        ("build", "."),
        ("cap_add", "[A]"),
        ("cap_drop", "[A]"),
        ("command", "a"),
        ("cpus", "1"),
        ("depends_on", "[b]"),
        ("deploy", "{resources: {limits: {pids: 1}}}"),
        ("entrypoint", "a"),
        ("env_file", "e.env"),
        ("environment", "{A: b}"),
        ("expose", "[1]"),
        ("extends", "b"),
        ("extra_hosts", "[\"a:1.1.1.1\"]"),
        ("healthcheck", "{disable: true}"),
        ("hostname", "h"),
        ("image", "y"),
        ("init", "true"),
        ("labels", "{a: b}"),
        ("links", "[b]"),
        ("mem_limit", "1m"),
        ("network_mode", "host"),
        ("networks", "[n]"),
        ("pids_limit", "1"),
        ("ports", "[1]"),
        ("privileged", "true"),
        ("profiles", "[p]"),
        ("read_only", "true"),
        ("restart", "always"),
        ("scale", "2"),
        ("security_opt", "[a]"),
        ("shm_size", "1m"),
        ("stop_signal", "A"),
        ("sysctls", "{a: 1}"),
        ("tmpfs", "/t"),
        ("ulimits", "{nofile: 1}"),
        ("user", "u"),
        ("volumes", "[/v]"),
        ("working_dir", "/w"),
    ];
    let outcome = |line: &str| {
        let text = format!("services:\n  a:\n    image: x\n    {line}\n  b: {{image: x, user: base}}\nnetworks: {{n: }}\n")
            .replace("image: x\n    image: y", "image: y");
        let files = BTreeMap::from([(PathBuf::from("/p/compose.yaml"), text), (PathBuf::from("/p/e.env"), "A=1".to_owned())]);
        match read(Path::new("/p/compose.yaml"), &files, &BTreeMap::new()) {
            Ok(project) => serde_json::to_string(&project).unwrap(),
            Err(mistakes) => mistakes.render(false),
        }
    };
    let plain = outcome("x-nothing: 1");
    for (key, support) in keys::SERVICE {
        if *support == keys::Support::Read {
            let (_, value) = samples.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("no sample for `{key}`"));
            assert_ne!(outcome(&format!("{key}: {value}")), plain, "`{key}` is dropped in silence");
        } else {
            let told = outcome(&format!("{key}: {{a: b}}"));
            assert!(told.contains(&format!("`{key}`")), "`{key}` is dropped in silence: {told}");
        }
    }
}

/// Words as the crate has them.
fn words(command: &other::Command) -> Vec<String> {
    match command {
        other::Command::Simple(text) => shlex::split(text).unwrap(),
        other::Command::Args(words) => words.clone(),
    }
}

#[test]
fn the_ecosystems_own_reader_finds_the_same_services() {
    // Files without variables and `extends`, which that crate leaves alone.
    let text = "services:\n  web:\n    image: web:1\n    command: serve --name 'a b'\n    depends_on: [db]\n    environment: [A=1]\n    expose: [\"80\"]\n    hostname: h\n    stop_signal: SIGINT\n  db:\n    image: postgres:16\n    command: [postgres, -c, fsync=off]\n    privileged: true\nvolumes: {}\n";
    let theirs: other::Compose = serde_saphyr::from_str(text).unwrap();
    let ours = read_one(text, &[]).unwrap();
    assert_eq!(ours.services.keys().collect::<Vec<_>>(), theirs.services.0.keys().collect::<Vec<_>>());
    for (name, theirs) in &theirs.services.0 {
        let (ours, theirs) = (&ours.services[name], theirs.as_ref().unwrap());
        assert_eq!(ours.image, theirs.image);
        assert_eq!(ours.command, theirs.command.as_ref().map(words));
        assert_eq!((&ours.hostname, &ours.stop_signal, ours.privileged), (&theirs.hostname, &theirs.stop_signal, theirs.privileged));
        let depends: Vec<String> = match &theirs.depends_on {
            other::DependsOnOptions::Simple(names) => names.clone(),
            other::DependsOnOptions::Conditional(map) => map.keys().cloned().collect(),
        };
        assert_eq!(ours.depends_on.iter().map(|dependency| dependency.service.clone()).collect::<Vec<_>>(), depends);
    }
}

#[test]
fn no_compose_file_makes_the_reader_panic() {
    let fixtures = Fixtures::new("ok/compose");
    let mut good = 0;
    for case in fixtures.cases("compose.yaml") {
        let text = fixtures.read(&case).unwrap();
        for text in mutations(&text, 250) {
            match read_one(&text, &[("A", "1"), ("DB_PASSWORD", "x")]) {
                Ok(_) => good += 1,
                Err(mistakes) => assert!(mistakes.errors() > 0 && !mistakes.render(false).is_empty(), "{text}"),
            }
        }
    }
    assert!(good > 0, "the texts are broken too much to test anything");
}

#[test]
fn what_multiplies_is_bounded() {
    let chain = many(5_000, |n| format!("  s{n}: {{image: x, extends: s{}}}\n", n + 1));
    let large = many(20_000, |n| format!("v{n}, "));
    let heirs = many(3_000, |n| format!("  s{n}: {{extends: base}}\n"));
    let heirs = format!("  base: {{image: x, cap_add: [{large}]}}\n{heirs}");
    let dollars = format!("  a: {{image: x, command: \"{}\"}}\n", "$LONG".repeat(10_000));
    let many_dollars = many(3_000, |n| format!("  s{n}: {{image: \"$LONG$LONG\"}}\n"));
    let ports = format!("  a: {{image: x, expose: [{}]}}\n", "\"1-999\", ".repeat(50_000));
    let unknown = many(5_000, |n| format!("  s{n}: {{image: x, depends_on: [t{n}]}}\n"));
    let long = "x".repeat(100_000);
    for text in [chain, heirs, dollars, many_dollars, ports, unknown] {
        let mistakes = read_one(&format!("services:\n{text}"), &[("LONG", long.as_str())]).unwrap_err();
        assert!(mistakes.render(false).len() < 1 << 20);
    }
}

#[test]
fn a_file_of_variables_that_doubles_itself_is_bounded() {
    let doubling = many(200, |n| format!("V{}=${{V{n}}}${{V{n}}}\n", n + 1));
    let files = BTreeMap::from([
        (PathBuf::from("/p/compose.yaml"), "services: {a: {image: x, env_file: [a.env]}}".to_owned()),
        (PathBuf::from("/p/a.env"), format!("V0=xxxxxxxxxxxxxxxx\n{doubling}")),
    ]);
    let environment = read(Path::new("/p/compose.yaml"), &files, &BTreeMap::new()).map(|project| project.services["a"].environment.clone());
    assert!(environment.is_ok_and(|environment| environment.values().all(|value| value.len() < 1 << 20)));
}
