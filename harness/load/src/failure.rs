//! Why a request got no complete answer, in the words that the evidence keeps.

use std::{error::Error, fmt, io};

/// Why there was no complete answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No answer by the deadline.
    Timeout,
    /// No connection was made.
    Connect(io::Error),
    /// This machine had nothing left to make a connection with: its own fault, not the service's.
    Exhausted(io::Error),
    /// The other side broke the connection.
    Reset(io::ErrorKind),
    /// The other side ended the connection before the answer was complete.
    Closed,
    /// What came back was not HTTP/1.1.
    Protocol(String),
    /// The answer is larger than a generator reads.
    TooLarge(u64),
    /// The load's own text could not be rendered for this request.
    Template(String),
    /// Too many requests were open.
    Shed,
}

impl Failure {
    /// Of an attempt to connect.
    pub(crate) fn connecting(error: io::Error) -> Failure {
        use rustix::io::Errno;
        let exhausted = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS].map(Errno::raw_os_error);
        if error.raw_os_error().is_some_and(|code| exhausted.contains(&code)) { Failure::Exhausted(error) } else { Failure::Connect(error) }
    }

    /// Of an exchange on an open connection.
    pub(crate) fn exchanging(error: &hyper::Error) -> Failure {
        match io_kind(error) {
            Some(kind @ (io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted)) => {
                Failure::Reset(kind)
            }
            Some(io::ErrorKind::UnexpectedEof) => Failure::Closed,
            Some(kind) => Failure::Protocol(kind.to_string()),
            None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => Failure::Closed,
            None => Failure::Protocol(error.to_string()),
        }
    }

    /// Whether this machine is to blame rather than the service.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Failure::Exhausted(_) | Failure::Shed)
    }
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = inner.source();
    }
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Timeout => f.write_str("timeout"),
            // The kind only: messages of the system differ from one to the next, and reports group by this text.
            Failure::Connect(error) => write!(f, "connect: {}", error.kind()),
            Failure::Exhausted(error) => {
                write!(f, "shed: no connection could be opened on this machine ({error}): raise `ulimit -n` or lower the rate")
            }
            Failure::Reset(kind) => write!(f, "reset: {kind}"),
            Failure::Closed => f.write_str("closed: the connection ended before the answer was complete"),
            Failure::Protocol(what) => write!(f, "protocol: {what}"),
            Failure::TooLarge(limit) => write!(f, "oversize: the answer is larger than {} MiB", limit >> 20),
            Failure::Template(reason) => write!(f, "template: {reason}"),
            Failure::Shed => f.write_str("shed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_our_fault_and_a_refusal_is_not() {
        let own = Failure::connecting(rustix::io::Errno::MFILE.into());
        assert!(own.is_own() && own.to_string().contains("ulimit -n"), "{own}");
        let theirs = Failure::connecting(io::ErrorKind::ConnectionRefused.into());
        assert!(!theirs.is_own());
        assert_eq!(theirs.to_string(), "connect: connection refused");
    }
}
