//! Every scenario of `experiment/shakedown.yaml` is a test: `cargo test -p shakedown-front --test scenarios -- --list`.

fn main() -> std::process::ExitCode {
    shakedown_front::scenarios("tests/experiment/shakedown.yaml", |experiment| experiment.runtime("process").against_nothing())
}
