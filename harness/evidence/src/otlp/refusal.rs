//! Why an export was not taken, in the words of HTTP, of gRPC and of a person.

use hyper::StatusCode;
use tonic::Code;

/// Why an export was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request is larger than {limit} bytes {stage}; let the exporter send smaller batches")]
    TooLarge { limit: usize, stage: &'static str },
    #[error("the request has more than {limit} parts; let the exporter send smaller batches")]
    TooManyParts { limit: usize },
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    #[error("content type {found:?} is not taken; use application/x-protobuf or application/json")]
    ContentType { found: String },
    #[error("content encoding {found:?} is not taken; use gzip or none")]
    ContentEncoding { found: String },
    #[error("the request did not arrive within {seconds} seconds")]
    Slow { seconds: u64 },
    #[error("{path} is not taken; use /v1/traces, /v1/logs or /v1/metrics")]
    Path { path: String },
    #[error("only POST is taken here")]
    Method,
    #[error("the recorder is behind; send it again in a second")]
    Overloaded,
    #[error("reading the request failed inside the receiver")]
    Internal,
}

impl Refusal {
    /// For HTTP. Only 429 makes a client try again.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::TooLarge { .. } | Refusal::TooManyParts { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            Refusal::ContentType { .. } | Refusal::ContentEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Refusal::Path { .. } => StatusCode::NOT_FOUND,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For gRPC, and inside the body of an HTTP answer. A client tries UNAVAILABLE again; RESOURCE_EXHAUSTED without a delay it does not.
    pub(super) fn code(&self) -> Code {
        match self {
            Refusal::TooLarge { .. } | Refusal::TooManyParts { .. } => Code::ResourceExhausted,
            Refusal::Malformed(_) | Refusal::ContentType { .. } | Refusal::ContentEncoding { .. } => Code::InvalidArgument,
            Refusal::Slow { .. } => Code::DeadlineExceeded,
            Refusal::Path { .. } | Refusal::Method => Code::Unimplemented,
            Refusal::Overloaded => Code::Unavailable,
            Refusal::Internal => Code::Internal,
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        tonic::Status::new(refusal.code(), refusal.to_string())
    }
}
