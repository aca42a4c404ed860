//! Helpers of the end-to-end tests: a folder with an experiment, the binary, and eyes for what a run leaves behind.

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// The binary that was built beside this test.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("shakedown");
    assert!(path.is_file(), "{} is not there: `make test` builds it (cargo build --package shakedown)", path.display());
    path
}

/// Says aloud that a test is skipped, and why; counted by whoever greps for the word.
pub fn skip(test: &str, why: &str) {
    // Past the test runner's capture, so that a skipped test is seen.
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED {test}: {why}");
}

/// Whether a container engine answers.
pub fn engine_answers() -> bool {
    let output = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The static binary of the demo shop.
pub fn shop() -> PathBuf {
    let path = repository().join("fixtures/shop/image/shop");
    assert!(path.is_file(), "{} is not there: run `make shop`", path.display());
    path
}

/// A folder with an experiment in it; removed at the end.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        Folder { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    /// Asks git here, and answers what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]).args(arguments);
        let ran = git.current_dir(self.path()).env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git is there");
        assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Copies a file here under its own name.
    pub fn copy(&self, from: &Path) -> PathBuf {
        let to = self.path().join(from.file_name().expect("a file has a name"));
        // Not by this process: where another test forks meanwhile, its child would hold the file open for writing, and nothing could execute it.
        let copied = Command::new("cp").arg(from).arg(&to).status().expect("cp is there");
        assert!(copied.success(), "{}", from.display());
        to
    }

    /// `shakedown` in this folder, with an environment that is scrubbed of CI and shakedown variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SHAKEDOWN_") || text.starts_with("GITHUB_") || text.starts_with("SHOP_") || text == "CI" {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Runs it to its end.
    pub fn shakedown(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().expect("the binary starts"))
    }

    /// Starts it with piped output.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }

    /// Processes whose executable lies in this folder.
    pub fn processes(&self) -> Vec<String> {
        let inside = |pid: &PathBuf| fs::read_link(pid.join("exe")).is_ok_and(|exe| exe.starts_with(self.path()));
        let entries = fs::read_dir("/proc").expect("/proc is there").flatten().map(|entry| entry.path());
        entries.filter(inside).map(|pid| fs::read_to_string(pid.join("cmdline")).unwrap_or_default().replace('\0', " ")).collect()
    }
}

impl Default for Folder {
    fn default() -> Folder {
        Folder::new()
    }
}

/// What a command said.
pub struct Ran {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// The result.
    pub stdout: String,
    /// Progress and errors.
    pub stderr: String,
}

impl Ran {
    /// Of a finished process.
    pub fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails with everything that was said where the code is another.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Ran {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails where `text` was not said on stderr.
    #[track_caller]
    pub fn expect_stderr(&self, text: &str) -> &Ran {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        self
    }
}

/// `result.json` of a run directory.
pub fn result(directory: &Path) -> Value {
    let path = directory.join("result.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("result.json is JSON")
}

/// The faults of the first scenario, each of which must have touched something and be gone.
pub fn faults_that_held(result: &Value) -> &[Value] {
    let faults = result["scenarios"][0]["faults"].as_array().expect("there are faults");
    for fault in faults {
        let touched = fault["touched"].as_u64().is_some_and(|touched| touched > 0);
        assert!(touched && !fault["reverted_at"].is_null() && fault["error"].is_null(), "{fault:#}");
    }
    faults
}

/// The findings of a result with a verdict, as `id: reason`.
pub fn findings(result: &Value, verdict: &str) -> Vec<String> {
    let scenarios = result["scenarios"].as_array().into_iter().flatten();
    let all = scenarios.flat_map(|scenario| scenario["findings"].as_array().into_iter().flatten());
    all.filter(|finding| finding["verdict"] == verdict)
        .map(|finding| format!("{}: {}", finding["id"].as_str().unwrap_or_default(), finding["reason"].as_str().unwrap_or_default()))
        .collect()
}

/// Validates against Jenkins' schema where `xmllint` is there; says aloud where it is not.
#[track_caller]
pub fn validate_junit(file: &Path) {
    let schema = repository().join("reporters/tests/data/jenkins-junit-10.xsd");
    let output = Command::new("xmllint").args(["--noout", "--schema"]).arg(&schema).arg(file).output();
    match output {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => skip("JUnit schema", "xmllint is not there (Debian: libxml2-utils)"),
    }
}

/// Names of containers, networks and volumes that carry the label of the run in `directory`.
pub fn labelled(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string(directory.join("run.json")).expect("run.json is there");
    let run: Value = serde_json::from_str(&text).expect("run.json is JSON");
    let filter = format!("label=dev.shakedown.run={}", run["run"].as_str().expect("a run has an id"));
    let list = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).args(["--filter", &filter]).output().expect("docker starts");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut names = list(&["ps", "--all", "--format", "container {{.Names}}"]);
    names.extend(list(&["network", "ls", "--format", "network {{.Name}}"]));
    names.extend(list(&["volume", "ls", "--format", "volume {{.Name}}"]));
    names
}

/// Waits until the run says `text`, then leaves the pipe to be drained.
pub fn wait_for(child: &mut Child, text: &str) {
    wait_for_each(child, &[text]);
}

/// The same for several texts, one after the other.
pub fn wait_for_each(child: &mut Child, texts: &[&str]) {
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    for text in texts {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line.contains(text));
        assert!(found.is_some(), "{text:?} was never said");
    }
    // The rest must be read, or the run would block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
}

/// Sends a signal.
pub fn signal(child: &Child, signal: i32) {
    let pid = i32::try_from(child.id()).expect("a pid fits");
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    #[expect(unsafe_code, reason = "the standard library cannot send a signal of choice")]
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0);
}
