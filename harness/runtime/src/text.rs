//! Small helpers for messages.

use std::fmt::Write;

/// `, did you mean `x`?` where a known name is near, else nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!(", did you mean `{candidate}`?"))
}

/// What an exit code usually means, for people who do not know the numbers by heart.
pub(crate) fn exit_meaning(code: i64) -> String {
    let meaning = match code {
        125 => " (the engine could not run it)",
        126 => " (the command cannot be executed)",
        127 => " (the command was not found)",
        134 => " (aborted)",
        137 => " (killed: SIGKILL, often memory)",
        139 => " (segmentation fault)",
        143 => " (terminated: SIGTERM)",
        _ => "",
    };
    format!("exit code {code}{meaning}")
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["orders", "payment"];
        assert_eq!(did_you_mean("order", known.into_iter()), ", did you mean `orders`?");
        assert_eq!(did_you_mean("redis", known.into_iter()), "");
    }
}
