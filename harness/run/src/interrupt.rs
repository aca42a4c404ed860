//! Signals escalate: the first asks the run to end and take everything back, the second and third give up
//! requests, the third gives up and leaves the rest to `shakedown recover`.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Which signal came first: it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: the CI cancels the job.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// SIGQUIT: Ctrl-\.
    Quit,
}

impl Signal {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "SIGHUP",
            Signal::Quit => "SIGQUIT",
        }
    }
}

/// The state of escalation. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    first: Arc<OnceLock<Signal>>,
    polite: CancellationToken,
    urgent: CancellationToken,
    desperate: CancellationToken,
}

impl Interrupt {
    /// Takes a signal in.
    pub fn signal(&self, signal: Signal) {
        if self.first.set(signal).is_ok() {
            self.polite.cancel();
        } else if self.urgent.is_cancelled() {
            self.desperate.cancel();
        } else {
            self.urgent.cancel();
        }
    }

    /// The first signal, if one came.
    pub fn first(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// Cancelled by the first signal.
    pub fn polite(&self) -> &CancellationToken {
        &self.polite
    }

    /// Cancelled by the second.
    pub fn urgent(&self) -> &CancellationToken {
        &self.urgent
    }

    /// Cancelled by the third.
    pub fn desperate(&self) -> &CancellationToken {
        &self.desperate
    }

    /// Listens to every signal that asks for an end, until dropped.
    pub async fn listen(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupts, mut terminations) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (mut hangups, mut quits) = (signal(SignalKind::hangup())?, signal(SignalKind::quit())?);
        loop {
            tokio::select! {
                Some(()) = interrupts.recv() => self.signal(Signal::Interrupt),
                Some(()) = terminations.recv() => self.signal(Signal::Terminate),
                Some(()) = hangups.recv() => self.signal(Signal::Hangup),
                Some(()) = quits.recv() => self.signal(Signal::Quit),
                else => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_escalate_and_the_first_one_names_the_exit_code() {
        let interrupt = Interrupt::default();
        let state = |interrupt: &Interrupt| {
            [interrupt.polite().is_cancelled(), interrupt.urgent().is_cancelled(), interrupt.desperate().is_cancelled()]
        };
        assert_eq!(state(&interrupt), [false; 3]);
        interrupt.signal(Signal::Terminate);
        assert_eq!(state(&interrupt), [true, false, false]);
        interrupt.signal(Signal::Interrupt);
        assert_eq!(state(&interrupt), [true, true, false]);
        interrupt.signal(Signal::Interrupt);
        assert_eq!(state(&interrupt), [true; 3]);
        assert_eq!(interrupt.first(), Some(Signal::Terminate));
    }
}
