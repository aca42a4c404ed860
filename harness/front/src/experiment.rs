//! An experiment as a test asks for it, and its run.

use crate::{outcome::Outcome, turn::Turn};
use rustix::process::{Pid, Signal, kill_process};
use shakedown_model::result::RunResult;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
};

/// Lines of progress that are kept for an error message.
const LAST_LINES: usize = 30;

/// What to run. Nothing happens before [`Experiment::run`].
#[derive(Debug, Clone)]
pub struct Experiment {
    config: PathBuf,
    scenarios: Vec<String>,
    arguments: Vec<OsString>,
    binary: Option<PathBuf>,
}

/// Why an experiment has no outcome. One that fails or cannot tell has one.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The binary is nowhere.
    #[error("there is no `shakedown`: build it (`cargo build -p shakedown`), put it into PATH, or name it in SHAKEDOWN_BINARY")]
    NoBinary,
    /// It could not be started, or what it said could not be read.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What went wrong.
        source: io::Error,
    },
    /// It ended without a verdict: a mistake in the config, no engine, a signal.
    #[error("shakedown ended with exit code {code} and no result; its last lines:\n{said}")]
    NoResult {
        /// Exit code; -1 for a signal.
        code: i32,
        /// The end of stderr.
        said: String,
    },
    /// `result.json` is of another version.
    #[error("{path}: {source}")]
    Result {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Experiment {
    /// The experiment of this file; a relative path is from the package's root, as `cargo test` starts tests there.
    pub fn at(config: impl AsRef<Path>) -> Experiment {
        Experiment { config: config.as_ref().to_owned(), scenarios: Vec::new(), arguments: Vec::new(), binary: None }
    }

    /// Only this scenario; may be said again. Otherwise the change decides, as in `shakedown run`.
    #[must_use]
    pub fn scenario(mut self, name: &str) -> Experiment {
        self.scenarios.push(name.to_owned());
        self
    }

    /// Containers (`docker`) or processes (`process`); otherwise whichever is there.
    #[must_use]
    pub fn runtime(self, runtime: &str) -> Experiment {
        self.argument("--runtime").argument(runtime)
    }

    /// Compared with this revision; otherwise with the merge-base.
    #[must_use]
    pub fn against(self, revision: &str) -> Experiment {
        self.argument("--base").argument(revision)
    }

    /// Only expectations are judged: half the machine, and no answer to whether a change made it worse.
    #[must_use]
    pub fn against_nothing(self) -> Experiment {
        self.argument("--baseline-mode").argument("none")
    }

    /// Of everything random; otherwise a function of the commit.
    #[must_use]
    pub fn seed(self, seed: u64) -> Experiment {
        self.argument("--seed").argument(seed.to_string())
    }

    /// The run directory, which must not exist; otherwise one below `.shakedown/runs`.
    #[must_use]
    pub fn out(self, directory: impl AsRef<Path>) -> Experiment {
        self.argument("--out").argument(directory.as_ref())
    }

    /// Any other argument of `shakedown run`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString> + AsRef<std::ffi::OsStr>) -> Experiment {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// The binary to ask; otherwise `SHAKEDOWN_BINARY`, one that was built beside the test, or `shakedown` in PATH.
    #[must_use]
    pub fn binary(mut self, path: impl AsRef<Path>) -> Experiment {
        self.binary = Some(path.as_ref().to_owned());
        self
    }

    /// Runs it and waits for its turn before. Progress goes to stderr.
    ///
    /// Dropped half-way (a timeout around it), the run is asked to take everything back, as by Ctrl-C.
    pub async fn run(&self) -> Result<Outcome, RunError> {
        let binary = self.found()?;
        let _turn = Turn::take().await.map_err(io_at("waiting for other experiments"))?;
        let mut command = Command::new(&binary);
        command.arg("--config").arg(&self.config).args(["run", "--mode", "block"]).args(&self.arguments);
        for name in &self.scenarios {
            command.args(["--scenario", name]);
        }
        command.arg("--format").arg("json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running(command.spawn().map_err(io_at(&binary.display().to_string()))?);
        let (stdout, stderr) = (running.0.stdout.take(), running.0.stderr.take());
        let (said, told) = tokio::join!(read(stdout, false), read(stderr, true));
        let status = running.0.wait().await.map_err(io_at("shakedown"))?;
        let (said, told) = (said.map_err(io_at("stdout"))?, told.map_err(io_at("stderr"))?);
        outcome(status.code().unwrap_or(-1), &said, &told)
    }

    /// The scenarios of the file, in its order. Nothing is started.
    pub fn names(&self) -> Result<Vec<String>, RunError> {
        let mut command = std::process::Command::new(self.found()?);
        command.arg("--config").arg(&self.config).args(["--quiet", "--format", "json", "validate"]);
        let ran = command.output().map_err(io_at("shakedown validate"))?;
        let said = || String::from_utf8_lossy(&ran.stderr).into_owned();
        if !ran.status.success() {
            return Err(RunError::NoResult { code: ran.status.code().unwrap_or(-1), said: said() });
        }
        let experiment: Listed =
            serde_json::from_slice(&ran.stdout).map_err(|source| RunError::Result { path: "validate".to_owned(), source })?;
        Ok(experiment.scenarios.into_iter().map(|scenario| scenario.name).collect())
    }

    fn found(&self) -> Result<PathBuf, RunError> {
        let named = self.binary.clone().or_else(|| std::env::var_os("SHAKEDOWN_BINARY").map(PathBuf::from));
        if let Some(named) = named {
            return Ok(named);
        }
        // `target/<profile>/deps/<test>`: the binary is two up.
        let beside = std::env::current_exe().ok().and_then(|test| Some(test.parent()?.parent()?.join("shakedown")));
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&paths).map(|directory| directory.join("shakedown"));
        beside.into_iter().chain(in_path).find(|path| path.is_file()).ok_or(RunError::NoBinary)
    }
}

/// What is asked of `validate`.
#[derive(serde::Deserialize)]
struct Listed {
    scenarios: Vec<Named>,
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

/// A run that is asked to clean up where nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // It was not waited for, so that the number is still its own. Where it is gone nothing is left to ask.
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

/// All lines, or the last ones where they are shown as they come.
async fn read(from: Option<impl AsyncRead + Unpin>, shown: bool) -> io::Result<String> {
    let Some(from) = from else { return Ok(String::new()) };
    let (mut lines, mut kept) = (BufReader::new(from).lines(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        if shown {
            show(&line);
            if kept.len() == LAST_LINES {
                kept.remove(0);
            }
        }
        kept.push(line);
    }
    Ok(kept.join("\n"))
}

#[expect(clippy::print_stderr, reason = "the test runner shows it where the test fails")]
fn show(line: &str) {
    eprintln!("{line}");
}

fn outcome(code: i32, said: &str, told: &str) -> Result<Outcome, RunError> {
    let no_result = || RunError::NoResult { code, said: told.to_owned() };
    if said.trim().is_empty() {
        return Err(no_result());
    }
    let result: RunResult = serde_json::from_str(said).map_err(|source| RunError::Result { path: "result".to_owned(), source })?;
    Ok(Outcome { result })
}

fn io_at(what: &str) -> impl FnOnce(io::Error) -> RunError + use<> {
    let what = what.to_owned();
    |source| RunError::Io { what, source }
}
