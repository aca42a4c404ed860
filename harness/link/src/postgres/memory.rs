//! Texts of the statements and portals of a connection, in bounded memory. It must not know what is done with them.

use std::{collections::HashMap, sync::Arc};

/// Statements, and portals, of one connection that are known by name.
const NAMES: usize = 4 << 10;
/// Bytes of the texts of its statements. Those beyond are not known.
const TEXTS: usize = 4 << 20;

/// What a client prepared. A text that is not known is nothing.
#[derive(Default)]
pub(super) struct Memory {
    statements: HashMap<Vec<u8>, Arc<str>>,
    texts: usize,
    portals: HashMap<Vec<u8>, Arc<str>>,
}

impl Memory {
    pub(super) fn prepare(&mut self, statement: &[u8], text: Option<String>) {
        self.forget(statement);
        let Some(text) = text else { return };
        if self.statements.len() < NAMES && self.texts + text.len() <= TEXTS {
            self.texts += text.len();
            self.statements.insert(statement.to_owned(), text.into());
        }
    }

    pub(super) fn forget(&mut self, statement: &[u8]) {
        if let Some(text) = self.statements.remove(statement) {
            self.texts -= text.len();
        }
    }

    pub(super) fn bind(&mut self, portal: &[u8], statement: &[u8]) {
        self.close(portal);
        if let Some(text) = self.statements.get(statement)
            && self.portals.len() < NAMES
        {
            self.portals.insert(portal.to_owned(), Arc::clone(text));
        }
    }

    pub(super) fn close(&mut self, portal: &[u8]) {
        self.portals.remove(portal);
    }

    /// Portals live no longer than their transaction.
    pub(super) fn close_all(&mut self) {
        self.portals.clear();
    }

    /// The text that a portal executes.
    pub(super) fn text(&self, portal: &[u8]) -> Option<Arc<str>> {
        self.portals.get(portal).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portal_has_the_text_that_its_statement_had_when_it_was_bound() {
        let mut memory = Memory::default();
        memory.prepare(b"s", Some("one".into()));
        memory.bind(b"", b"s");
        memory.prepare(b"s", Some("two".into()));
        assert_eq!(memory.text(b"").as_deref(), Some("one"));
        memory.bind(b"p", b"s");
        memory.forget(b"s");
        assert_eq!(memory.text(b"p").as_deref(), Some("two"));
        memory.bind(b"p", b"s");
        assert_eq!(memory.text(b"p"), None);
        assert_eq!(memory.texts, 0);
    }

    #[test]
    fn memory_is_bounded_and_what_is_beyond_is_not_known() {
        let mut memory = Memory::default();
        for number in 0..2 * NAMES as u64 {
            memory.prepare(&number.to_be_bytes(), Some("x".repeat(2_000)));
            memory.bind(&number.to_be_bytes(), &number.to_be_bytes());
        }
        assert!(memory.texts <= TEXTS && memory.statements.len() < NAMES && memory.portals.len() <= NAMES);
        assert_eq!(memory.text(&(NAMES as u64).to_be_bytes()), None);
        memory.prepare(b"huge", Some("x".repeat(TEXTS)));
        memory.bind(b"", b"huge");
        assert_eq!(memory.text(b""), None);
    }
}
