//! Builds the agent, the relay and the file system as static binaries and hands their paths to `helpers.rs`, so that the CLI carries the bytes it puts into containers.
//!
//! A nested build, because it needs other flags than the CLI: `+crt-static` does not go together with proc-macros in one build without
//! an explicit `--target`. It has a target directory of its own, so the two builds do not wait for each other.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The variable that names the path, and the name of the binary. Somebody who packages sets the variable to one that is built already.
const BINARIES: [(&str, &str); 3] = [
    ("SHAKEDOWN_AGENT_BINARY", "shakedown-agent"),
    ("SHAKEDOWN_RELAY_BINARY", "shakedown-relay"),
    ("SHAKEDOWN_DISK_BINARY", "shakedown-disk"),
];

fn main() {
    for path in [
        "../agent/src",
        "../agent/Cargo.toml",
        "../link/src",
        "../link/Cargo.toml",
        "../disk/src",
        "../disk/Cargo.toml",
        "../line/src",
        "../line/Cargo.toml",
        "../../Cargo.lock",
        "build.rs",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    for (name, _) in BINARIES {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let wanted: Vec<&str> = BINARIES.iter().filter(|(name, _)| env::var_os(name).is_none()).map(|(_, binary)| *binary).collect();
    let built = match variable("CARGO_CFG_TARGET_OS").as_str() {
        "linux" if !wanted.is_empty() => Some(build(&wanted)),
        _ => None,
    };
    for (name, binary) in BINARIES {
        let path = match (env::var_os(name), &built) {
            (Some(given), _) => PathBuf::from(given),
            (None, Some(directory)) => directory.join(binary),
            (None, None) => empty(),
        };
        println!("cargo:rustc-env={name}={}", path.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Builds these binaries in one go; where they are.
fn build(binaries: &[&str]) -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    // <target>/<profile>/build/<package>/out: one build for all profiles.
    let target_directory = out.ancestors().nth(4).unwrap_or(&out).join("agent");
    let target = variable("TARGET");
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let status = Command::new(variable("CARGO"))
        .args([
            "build",
            "--release",
            "--package",
            "shakedown-agent",
            "--package",
            "shakedown-link",
            "--package",
            "shakedown-disk",
            "--target",
            &target,
        ])
        .args(binaries.iter().flat_map(|binary| ["--bin", binary]))
        .arg("--manifest-path")
        .arg(workspace)
        .arg("--target-dir")
        .arg(&target_directory)
        .env("RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .status()
        .unwrap_or_else(|error| panic!("cargo cannot be started for the helpers: {error}"));
    assert!(status.success(), "the helpers do not build");
    target_directory.join(target).join("release")
}

/// Elsewhere than on Linux there is neither: what they do is then said to be unavailable.
fn empty() -> PathBuf {
    let path = PathBuf::from(variable("OUT_DIR")).join("no-agent");
    std::fs::write(&path, b"").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
