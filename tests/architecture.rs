//! The direction of dependencies between rooms, read from `cargo metadata`: ARCHITECTURE.md says it, this keeps it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// Each room and the rooms it may use. What is not listed here is not a room.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("shakedown-model", &[]),
    ("shakedown-undo", &["shakedown-model"]),
    ("shakedown-judge", &["shakedown-model"]),
    ("shakedown-reporters", &["shakedown-model"]),
    ("shakedown-front", &["shakedown-model"]),
    ("shakedown-line", &[]),
    ("shakedown-link", &["shakedown-line"]),
    ("shakedown-load", &["shakedown-model"]),
    ("shakedown-commits", &["shakedown-model"]),
    ("shakedown-history", &["shakedown-model", "shakedown-commits"]),
    ("shakedown-agent", &["shakedown-line"]),
    ("shakedown-disk", &["shakedown-line"]),
    ("shakedown-evidence", &["shakedown-model"]),
    ("shakedown-runtime", &["shakedown-model", "shakedown-undo"]),
    (
        "shakedown-run",
        &[
            "shakedown-model",
            "shakedown-undo",
            "shakedown-line",
            "shakedown-link",
            "shakedown-load",
            "shakedown-evidence",
            "shakedown-runtime",
            "shakedown-commits",
            "shakedown-agent",
            "shakedown-disk",
        ],
    ),
    ("shakedown-tests", &[]),
    // The binary wires everything.
    ("shakedown", &["*"]),
];

/// Rooms that must stay plain: no async runtime, no network, no clock of their own.
const PURE: [&str; 3] = ["shakedown-model", "shakedown-judge", "shakedown-reporters"];
const IMPURE_CRATES: [&str; 7] = ["tokio", "hyper", "axum", "tonic", "bollard", "testcontainers", "git2"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Package to its normal (not dev, not build) dependencies.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
            let names = normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn rooms_use_only_what_stands_above_them() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    for (package, uses) in dependencies() {
        let may = allowed.get(package.as_str()).unwrap_or_else(|| panic!("{package} is not a room: add it to ARCHITECTURE.md and here"));
        for used in uses.iter().filter(|used| used.starts_with("shakedown")) {
            assert!(may.contains(&"*") || may.contains(&used.as_str()), "{package} must not use {used} (ARCHITECTURE.md)");
        }
    }
}

#[test]
fn pure_rooms_have_no_async_runtime_and_no_network() {
    let dependencies = dependencies();
    for room in PURE {
        for used in &dependencies[room] {
            assert!(!IMPURE_CRATES.contains(&used.as_str()), "{room} is pure and must not use {used}");
        }
    }
}

#[test]
fn architecture_md_names_every_room() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md")).unwrap();
    for (package, _) in ALLOWED.iter().filter(|(package, _)| *package != "shakedown-tests") {
        let folder = match *package {
            "shakedown" => "harness/cli",
            "shakedown-reporters" => "reporters",
            other => &format!("harness/{}", other.trim_start_matches("shakedown-")),
        };
        assert!(text.contains(&format!("`{folder}`")), "ARCHITECTURE.md does not name `{folder}`");
    }
}
