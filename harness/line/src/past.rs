//! The faults that have ended.

use std::collections::VecDeque;

use crate::words::Reverted;

/// How many are remembered.
const MAX: usize = 256;

/// The latest faults that have ended, so that a late `revert` is told what its fault did.
#[derive(Debug)]
pub struct Past<D>(VecDeque<Reverted<D>>);

impl<D> Default for Past<D> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<D: Clone> Past<D> {
    /// Remembers one, and forgets the oldest where there are too many.
    pub fn keep(&mut self, reverted: &Reverted<D>) {
        self.0.push_back(Reverted { already_gone: true, ..reverted.clone() });
        self.0.drain(..self.0.len().saturating_sub(MAX));
    }

    /// Forgets what had this name: it names another fault now.
    pub fn forget(&mut self, name: &str) {
        self.0.retain(|reverted| reverted.name != name);
    }

    /// What is said of a fault that is not in force: what it did, if it ever was.
    pub fn recall(&self, name: &str) -> Reverted<D> {
        let ended = self.0.iter().find(|reverted| reverted.name == name).cloned();
        ended.unwrap_or_else(|| Reverted { name: name.to_owned(), already_gone: true, dose: None, reverted_at_unix_ns: None, took_us: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverted(name: usize, dose: u8) -> Reverted<u8> {
        Reverted { name: name.to_string(), already_gone: false, dose: Some(dose), reverted_at_unix_ns: Some(1), took_us: 2 }
    }

    #[test]
    fn a_fault_that_has_ended_is_told_of_until_its_name_is_used_again() {
        let mut past = Past::default();
        past.keep(&reverted(1, 7));
        assert_eq!(past.recall("1"), Reverted { already_gone: true, ..reverted(1, 7) });
        past.forget("1");
        assert_eq!(past.recall("1").dose, None);
        past.keep(&reverted(1, 8));
        assert_eq!(past.recall("1").dose, Some(8));
    }

    #[test]
    fn of_a_fault_that_never_was_nothing_is_told() {
        let never = Past::<u8>::default().recall("never");
        assert_eq!((never.already_gone, never.dose, never.reverted_at_unix_ns), (true, None, None));
    }

    #[test]
    fn only_so_many_are_remembered_the_oldest_go() {
        let mut past = Past::default();
        for name in 0..=MAX {
            past.keep(&reverted(name, 1));
        }
        assert_eq!((past.recall("0").dose, past.recall("1").dose, past.0.len()), (None, Some(1), MAX));
    }
}
