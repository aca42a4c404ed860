//! How much DATA the caller takes on the whole connection (RFC 9113, section 5.2), where not all of it is the callee's. It must not know streams.

/// Of a connection and of each stream, before anything else was agreed on.
const INITIAL: i64 = 65_535;

/// No frame is longer than fits.
pub(super) fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The caller's window as it sees it.
pub(super) struct Window {
    /// Of the connection.
    open: i64,
    /// Of a new stream.
    pub(super) initial: i64,
    /// What DATA took of it that the link wrote, or held back for a time. The callee does not know, so what the caller gives back for it is not the
    /// callee's.
    borrowed: i64,
}

impl Window {
    pub(super) fn new() -> Window {
        Window { open: INITIAL, initial: INITIAL, borrowed: 0 }
    }

    /// What the caller still takes.
    pub(super) fn open(&self) -> i64 {
        self.open
    }

    /// DATA of the callee went to the caller.
    pub(super) fn carried(&mut self, bytes: usize) {
        self.open -= signed(bytes);
    }

    /// DATA of the link, or some that it held back, went to the caller.
    pub(super) fn borrow(&mut self, bytes: usize) {
        self.carried(bytes);
        self.borrowed += signed(bytes);
    }

    /// DATA of the callee goes no further, or not yet: how much of it the link gives back in the caller's place.
    pub(super) fn dropped(&mut self, bytes: usize) -> u32 {
        self.repay(bytes as u32)
    }

    /// Whether the callee, which does not know what the link took, sends more than the caller takes.
    pub(super) fn is_exceeded_by(&self, bytes: usize) -> bool {
        self.borrowed > 0 && signed(bytes) > self.open
    }

    /// The caller gives back: how much of it is for the callee.
    pub(super) fn granted(&mut self, increment: u32) -> u32 {
        self.open += i64::from(increment);
        self.repay(increment)
    }

    fn repay(&mut self, bytes: u32) -> u32 {
        let paid = i64::from(bytes).min(self.borrowed);
        self.borrowed -= paid;
        bytes - paid as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callee_that_does_not_know_what_the_link_took_is_stopped_and_no_other() {
        let mut window = Window::new();
        assert!(!window.is_exceeded_by(1 << 20));
        window.borrow(INITIAL as usize - 5);
        assert!(window.is_exceeded_by(6) && !window.is_exceeded_by(5));
    }

    #[test]
    fn what_the_link_sends_is_paid_with_what_it_drops_and_then_with_what_the_caller_gives() {
        let mut window = Window::new();
        window.borrow(100);
        assert_eq!(window.open(), INITIAL - 100);
        assert_eq!((window.dropped(30), window.dropped(0)), (0, 0));
        assert_eq!((window.granted(50), window.granted(50), window.granted(7)), (0, 30, 7));
        assert_eq!((window.dropped(9), window.open()), (9, INITIAL + 7));
    }
}
