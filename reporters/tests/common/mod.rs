//! The sample run, small changes of it, and how to render it.

use shakedown_model::result::RunResult;
use shakedown_reporters::Reporter;

/// The run that `data/README.md` describes.
pub(crate) fn sample() -> RunResult {
    serde_json::from_str(include_str!("../data/sample-result.json")).expect("the sample fits the model")
}

/// What `reporter` prints.
pub(crate) fn render(reporter: &dyn Reporter, result: &RunResult) -> String {
    let mut out = Vec::new();
    reporter.render(result, &mut out).expect("a result can be rendered");
    String::from_utf8(out).expect("reports are UTF-8")
}
