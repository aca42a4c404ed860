//! Which scenarios a change asks for: trailers, labels and changed paths.

/// What a commit message or the labels of a pull request ask for: `Shakedown: skip`, `Shakedown: all`, `Shakedown: slow-payment, redis-down`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Nothing runs.
    Skip,
    /// Everything runs.
    All,
    /// These run.
    Names(Vec<String>),
}

impl Selection {
    /// Reads the last `Shakedown:` trailer in the last paragraph of a message (git-interpret-trailers).
    pub(crate) fn of_message(message: &str) -> Option<Selection> {
        let last_paragraph = message.trim_end().rsplit("\n\n").next()?;
        let value = last_paragraph.lines().rev().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case("shakedown").then_some(value.trim())
        })?;
        let names: Vec<String> = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => None,
            ["skip"] => Some(Selection::Skip),
            ["all"] => Some(Selection::All),
            _ => Some(Selection::Names(names)),
        }
    }
}

impl Selection {
    /// Reads labels such as `shakedown:all`, `shakedown:skip`, `shakedown:slow-payment`; others are not ours. Where several are there, the one
    /// that runs more wins.
    pub fn of_labels(labels: &[String]) -> Option<Selection> {
        let ours = labels.iter().filter_map(|label| {
            let (key, value) = label.split_once(':')?;
            key.trim().eq_ignore_ascii_case("shakedown").then_some(value.trim()).filter(|value| !value.is_empty())
        });
        let (mut names, mut all, mut skip) = (Vec::new(), false, false);
        for value in ours {
            match value {
                "all" => all = true,
                "skip" => skip = true,
                name => names.push(name.to_owned()),
            }
        }
        match (all, names.is_empty(), skip) {
            (true, _, _) => Some(Selection::All),
            (false, false, _) => Some(Selection::Names(names)),
            (false, true, true) => Some(Selection::Skip),
            (false, true, false) => None,
        }
    }
}

/// The first of `paths` that one of `globs` matches. A glob that cannot be read matches nothing (`validate` refuses it earlier).
pub fn matches_any<'a>(globs: &[String], paths: &'a [String]) -> Option<&'a str> {
    let mut set = globset::GlobSetBuilder::new();
    for glob in globs {
        if let Ok(glob) = globset::GlobBuilder::new(glob).literal_separator(true).build() {
            set.add(glob);
        }
    }
    let set = set.build().ok()?;
    paths.iter().map(String::as_str).find(|path| set.is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trailer_selects() {
        let names = |list: &[&str]| Some(Selection::Names(list.iter().map(|&name| name.to_owned()).collect()));
        let cases = [
            ("fix: x\n\nShakedown: skip", Some(Selection::Skip)),
            ("fix: x\n\nbody\n\nSigned-off-by: a\nshakedown: all\n", Some(Selection::All)),
            ("fix: x\n\nShakedown: slow-payment, redis-down", names(&["slow-payment", "redis-down"])),
            ("fix: x\n\nShakedown: skip\n\nbut that was not the last paragraph", None),
            ("Shakedown:", None),
            ("no trailer", None),
        ];
        for (message, expected) in cases {
            assert_eq!(Selection::of_message(message), expected, "{message:?}");
        }
    }

    #[test]
    fn labels_select_and_the_one_that_runs_more_wins() {
        let of = |labels: &[&str]| Selection::of_labels(&labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["bug", "shake:all"]), None);
        assert_eq!(of(&["Shakedown: skip"]), Some(Selection::Skip));
        assert_eq!(of(&["shakedown:skip", "shakedown:a", "shakedown:b"]), Some(Selection::Names(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(of(&["shakedown:a", "shakedown:all"]), Some(Selection::All));
        assert_eq!(of(&["shakedown:", "shakedown"]), None);
    }

    #[test]
    fn globs_match_whole_paths() {
        let globs = ["services/payment/**".to_owned(), "*.toml".to_owned()];
        let paths = |list: &[&str]| list.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
        assert_eq!(matches_any(&globs, &paths(&["README.md", "services/payment/src/main.rs"])), Some("services/payment/src/main.rs"));
        assert_eq!(matches_any(&globs, &paths(&["Cargo.toml"])), Some("Cargo.toml"));
        assert_eq!(matches_any(&globs, &paths(&["services/orders/Cargo.toml"])), None);
    }
}
