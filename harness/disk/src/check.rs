//! Whether a fault can be what its words say. Pure.

use std::time::Duration;

use shakedown_line::{check_name, check_ttl, invalid};

use crate::errno;
use crate::wire::{Effect, Failure, FaultSpec, Mount, Op, Setup};

const DELAY_MAX: Duration = Duration::from_mins(1);

/// What is wrong with a fault, if anything is.
pub(crate) fn fault(spec: &FaultSpec) -> Result<(), Failure> {
    check_name(&spec.name)?;
    check_ttl(spec.ttl_ms)?;
    if spec.ops.is_empty() {
        return refuse("ops is empty", "name at least one of read, write, fsync, open, metadata");
    }
    if spec.share_ppm == 0 || spec.share_ppm > 1_000_000 {
        return refuse("share_ppm is not between 1 and 1000000", "1000000 is every operation");
    }
    if spec.pattern.as_deref() == Some("") {
        return refuse("the pattern is empty", "leave it out to mean every file");
    }
    effect(spec)
}

fn effect(spec: &FaultSpec) -> Result<(), Failure> {
    match &spec.effect {
        Effect::Delay(delay) if delay.delay_us == 0 || Duration::from_micros(delay.delay_us) > DELAY_MAX => {
            refuse("delay_us is not between 1 us and 60 s", "choose another delay")
        }
        Effect::Delay(delay) if delay.jitter_us > delay.delay_us => {
            refuse("jitter_us is above delay_us", "an answer cannot come before its question")
        }
        Effect::Errno(name) if errno::number(name).is_none() => {
            refuse(&format!("`{name}` is not an error that this can answer with"), &format!("choose one of {}", errno::known()))
        }
        Effect::Short {} | Effect::Corrupt {} if spec.ops != [Op::Read] => {
            refuse("short and corrupt are about what a read returns", r#"say "ops":["read"]"#)
        }
        _ => Ok(()),
    }
}

/// What is wrong with what the wrapper was told, if anything is.
pub(crate) fn setup(setup: &Setup) -> Result<(), Failure> {
    if setup.mounts.is_empty() {
        return refuse("mounts is empty", "name at least one directory");
    }
    for (index, Mount { path, .. }) in setup.mounts.iter().enumerate() {
        if !path.starts_with('/') || path.trim_end_matches('/').is_empty() {
            return refuse(&format!("`{path}` is not an absolute path below /"), "name the directory where the service keeps its data");
        }
        let inside =
            |other: &Mount| (format!("{}/", path.trim_end_matches('/'))).starts_with(&format!("{}/", other.path.trim_end_matches('/')));
        if setup.mounts.iter().enumerate().any(|(at, other)| at != index && inside(other)) {
            return refuse(
                &format!("`{path}` is inside another directory of this list"),
                "name the outer one, and choose files by a pattern",
            );
        }
    }
    Ok(())
}

fn refuse(message: &str, hint: &str) -> Result<(), Failure> {
    Err(invalid(message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Delay;

    fn spec() -> FaultSpec {
        FaultSpec {
            name: "f".to_owned(),
            ttl_ms: 1,
            path: "/data".to_owned(),
            ops: vec![Op::Read],
            share_ppm: 1,
            seed: 0,
            pattern: None,
            effect: Effect::Corrupt {},
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_way_out() {
        let delay = |delay_us, jitter_us| Effect::Delay(Delay { delay_us, jitter_us });
        let wrong = [
            FaultSpec { name: String::new(), ..spec() },
            FaultSpec { name: "a b".to_owned(), ..spec() },
            FaultSpec { ttl_ms: 0, ..spec() },
            FaultSpec { ttl_ms: 86_400_001, ..spec() },
            FaultSpec { ops: vec![], ..spec() },
            FaultSpec { share_ppm: 0, ..spec() },
            FaultSpec { share_ppm: 1_000_001, ..spec() },
            FaultSpec { pattern: Some(String::new()), ..spec() },
            FaultSpec { ops: vec![Op::Write], ..spec() },
            FaultSpec { ops: vec![Op::Read, Op::Write], effect: Effect::Short {}, ..spec() },
            FaultSpec { effect: Effect::Errno("ENOTHING".to_owned()), ..spec() },
            FaultSpec { effect: delay(0, 0), ..spec() },
            FaultSpec { effect: delay(60_000_001, 0), ..spec() },
            FaultSpec { effect: delay(5, 6), ..spec() },
        ];
        for spec in wrong {
            let failure = fault(&spec).expect_err(&format!("{spec:?}"));
            assert!(failure.code == "invalid" && !failure.hint.is_empty());
        }
        assert_eq!(fault(&spec()), Ok(()));
    }

    #[test]
    fn directories_are_absolute_and_none_is_inside_another() {
        let mounts = |paths: &[&str]| {
            let mount = |path: &&str| Mount { path: (*path).to_owned(), cache_ms: 0, direct: false };
            setup(&Setup { mounts: paths.iter().map(mount).collect(), drop: vec![] }).is_ok()
        };
        assert!(mounts(&["/data"]) && mounts(&["/data", "/database"]) && mounts(&["/data/a", "/data/b"]));
        for wrong in [&[][..], &["data"], &["/"], &["//"], &["/data", "/data/wal"], &["/data/", "/data"]] {
            assert!(!mounts(wrong), "{wrong:?}");
        }
    }
}
