//! `cargo run -p shakedown-reporters --example render -- RESULT.json FOLDER`: every report of one result, to look at.

use shakedown_model::result::RunResult;
use shakedown_reporters::{Console, Html, Json, Junit, Markdown, Reporter};
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [result, folder] = arguments.as_slice() else {
        return Err("give the path of a result.json and the folder to print to".into());
    };
    let result: RunResult = serde_json::from_str(&fs::read_to_string(result)?)?;
    let console = Console { color: false, width: 80, report: Some("report.html".to_owned()) };
    for reporter in [&Html as &dyn Reporter, &Junit::default(), &Markdown, &Json, &console] {
        let mut bytes = Vec::new();
        reporter.render(&result, &mut bytes)?;
        fs::write(Path::new(folder).join(reporter.file_name()), bytes)?;
    }
    Ok(())
}
