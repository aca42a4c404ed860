//! The statuses of gRPC, by their codes: names are for people, and nobody here reads them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `UNAUTHENTICATED`
const LAST: u8 = 16;

/// How a gRPC call ended: one of those that the protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct GrpcStatus(u8);

impl GrpcStatus {
    /// What callers may try again.
    pub const UNAVAILABLE: GrpcStatus = GrpcStatus(14);

    /// Its number.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for GrpcStatus {
    type Error = GrpcStatusError;

    fn try_from(code: u8) -> Result<GrpcStatus, GrpcStatusError> {
        if code <= LAST { Ok(GrpcStatus(code)) } else { Err(GrpcStatusError(code)) }
    }
}

impl From<GrpcStatus> for u8 {
    fn from(status: GrpcStatus) -> u8 {
        status.0
    }
}

/// Not the code of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcStatusError(u8);

impl fmt::Display for GrpcStatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a status of gRPC: they go from 0 to {LAST}", self.0)
    }
}

impl std::error::Error for GrpcStatusError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_up_to_the_last_is_a_status_and_no_other() {
        for code in 0..=LAST {
            assert_eq!(GrpcStatus::try_from(code).map(GrpcStatus::code), Ok(code));
        }
        assert_eq!(GrpcStatus::try_from(LAST + 1), Err(GrpcStatusError(17)));
    }
}
