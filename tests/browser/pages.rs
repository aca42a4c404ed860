//! Reports to look at: recorded runs, printed by the binary.

use serde_json::Value;
use shakedown_tests::{Folder, binary, repository};
use std::{fs, path::Path, process::Command};

/// A folder with the reports of one run in it.
pub(crate) struct Report {
    pub(crate) folder: Folder,
}

impl Report {
    /// Of a recorded result in `fixtures/runs`.
    pub(crate) fn of_result(name: &str) -> Report {
        Report::of_text(&recorded(name), &[])
    }

    /// With style and script beside it.
    pub(crate) fn in_files(name: &str) -> Report {
        Report::of_text(&recorded(name), &["--html-layout", "dir"])
    }

    /// Of a recorded run in `fixtures/runs`, judged anew.
    pub(crate) fn of_run(name: &str) -> Report {
        let folder = Folder::new();
        copy(&repository().join("fixtures/runs").join(name), folder.path());
        // The verdict is the exit code; here the page counts.
        let output = Command::new(binary()).arg("judge").arg(folder.path()).output().expect("shakedown starts");
        assert!(folder.path().join("report.html").is_file(), "{}", String::from_utf8_lossy(&output.stderr));
        Report { folder }
    }

    /// Of as many scenarios as asked for, made of recorded ones.
    pub(crate) fn of_scenarios(count: usize) -> (Report, String) {
        let mut result: Value = serde_json::from_str(&recorded("retry-storm-result.json")).expect("the result is JSON");
        let scenarios = result["scenarios"].as_array().expect("it has scenarios").clone();
        let many = scenarios.iter().cycle().take(count).enumerate().map(|(index, scenario)| {
            let mut scenario = scenario.clone();
            scenario["name"] = format!("{}-{index}", scenario["name"].as_str().expect("a name")).into();
            scenario
        });
        result["scenarios"] = many.collect();
        Report::printed(&result.to_string(), &[])
    }

    fn of_text(text: &str, flags: &[&str]) -> Report {
        Report::printed(text, flags).0
    }

    fn printed(text: &str, flags: &[&str]) -> (Report, String) {
        let folder = Folder::new();
        folder.write("result.json", text);
        let output = Command::new(binary()).arg("report").arg(folder.path()).args(flags).output().expect("shakedown starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        (Report { folder }, told)
    }

    /// As a browser is told to open it from disk.
    pub(crate) fn address(&self) -> String {
        format!("file://{}", self.folder.path().join("report.html").display())
    }

    pub(crate) fn size(&self) -> u64 {
        fs::metadata(self.folder.path().join("report.html")).expect("the page is there").len()
    }
}

fn recorded(name: &str) -> String {
    fs::read_to_string(repository().join("fixtures/runs").join(name)).expect("the result is there")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room for a copy");
    for entry in fs::read_dir(from).expect("the run is there").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("room for a copy");
        }
    }
}
