//! Whether what every fault has makes sense, before anything is tried. Pure.

use crate::failure::{Failure, invalid};

const NAME_MAX: usize = 64;
const TTL_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// That a name is 1 to 64 of `A-Z a-z 0-9 _ - .`.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(known) {
        return Ok(());
    }
    Err(invalid(format!("the name {name:?} is not usable"), "1 to 64 letters, digits, '_', '-' and '.'"))
}

/// That a time to live is from 1 ms to 24 h.
pub fn check_ttl(ttl_ms: u64) -> Result<(), Failure> {
    if (1..=TTL_MAX_MS).contains(&ttl_ms) {
        return Ok(());
    }
    Err(invalid(format!("ttl_ms is {ttl_ms}"), "between 1 and 86400000 (24 h)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_to_live_have_bounds_and_what_is_refused_has_a_way_out() {
        let longest = "x".repeat(NAME_MAX);
        for name in ["f", "A-b_c.9", &longest] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in ["", "a b", "ä", "a/b", "a\n", &"x".repeat(NAME_MAX + 1)] {
            let failure = check_name(name).expect_err(name);
            assert!(failure.code == "invalid" && failure.message.contains(&format!("{name:?}")) && !failure.hint.is_empty());
        }
        assert_eq!((check_ttl(1), check_ttl(86_400_000)), (Ok(()), Ok(())));
        for ttl_ms in [0, 86_400_001, u64::MAX] {
            let failure = check_ttl(ttl_ms).unwrap_err();
            assert_eq!((failure.code, failure.message), ("invalid".to_owned(), format!("ttl_ms is {ttl_ms}")));
        }
    }
}
