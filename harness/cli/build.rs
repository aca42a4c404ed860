//! Builds the agent as a static binary and hands its path to `agent.rs`, so that the CLI carries the bytes it puts into containers.
//!
//! A nested build, because it needs other flags than the CLI: `+crt-static` does not go together with proc-macros in one build without
//! an explicit `--target`. It has a target directory of its own, so the two builds do not wait for each other.

use std::{env, path::PathBuf, process::Command};

fn main() {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../agent/Cargo.toml");
    for path in ["../agent/src", "../agent/Cargo.toml", "../../Cargo.lock", "build.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=SHAKEDOWN_AGENT_BINARY");
    let binary = match env::var_os("SHAKEDOWN_AGENT_BINARY") {
        Some(given) => PathBuf::from(given),
        None if variable("CARGO_CFG_TARGET_OS") == "linux" => build(&manifest),
        None => empty(),
    };
    println!("cargo:rustc-env=SHAKEDOWN_AGENT_BINARY={}", binary.display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn build(manifest: &PathBuf) -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    // <target>/<profile>/build/<package>/out: one agent for all profiles.
    let target_directory = out.ancestors().nth(4).unwrap_or(&out).join("agent");
    let target = variable("TARGET");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--bin", "shakedown-agent", "--target", &target])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target_directory)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .status()
        .unwrap_or_else(|error| panic!("cargo cannot be started for the agent: {error}"));
    assert!(status.success(), "the agent does not build");
    target_directory.join(target).join("release/shakedown-agent")
}

/// Elsewhere than on Linux there is no agent: packet faults are then said to be unavailable.
fn empty() -> PathBuf {
    let path = PathBuf::from(variable("OUT_DIR")).join("no-agent");
    std::fs::write(&path, b"").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
